package run

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Episode is a recorded episode: what its world needs to play it again, to the same bits.
type Episode struct {
	Steps   int64     // joint steps trained when it was played
	Stream  string    // "eval" or "final"
	Cell    string    // "" is the world of training
	World   string    // name, as "takeout/mini-v4"
	Number  int       // of the episode within its evaluation
	Key     [2]uint64 // of the episode's random stream
	Actions [][]int32 // [step][agent·head]
	Return  float64   // mean over agents of their undiscounted returns
	Outcome string    // "win", "loss", …
}

// episodeJSON is an Episode on disk, where actions are base64 of varints: about a byte and a half each.
type episodeJSON struct {
	Steps   int64     `json:"steps"`
	Stream  string    `json:"stream"`
	Cell    string    `json:"cell"`
	World   string    `json:"world"`
	Number  int       `json:"number"`
	Key     [2]uint64 `json:"key"`
	Length  int       `json:"length"`
	Actions []byte    `json:"actions"`
	Return  float64   `json:"return"`
	Outcome string    `json:"outcome"`
}

// MarshalJSON fulfils json.Marshaler.
func (e Episode) MarshalJSON() ([]byte, error) {
	var packed []byte
	for _, step := range e.Actions {
		for _, a := range step {
			packed = binary.AppendUvarint(packed, uint64(uint32(a)))
		}
	}
	return json.Marshal(episodeJSON{e.Steps, e.Stream, e.Cell, e.World, e.Number, e.Key, len(e.Actions), packed, e.Return, e.Outcome})
}

// UnmarshalJSON fulfils json.Unmarshaler.
func (e *Episode) UnmarshalJSON(data []byte) error {
	var d episodeJSON
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	var flat []int32
	for rest := d.Actions; len(rest) > 0; {
		a, n := binary.Uvarint(rest)
		if n <= 0 || a > 1<<31-1 {
			return fmt.Errorf("recorded actions are damaged after %d", len(flat))
		}
		flat, rest = append(flat, int32(a)), rest[n:]
	}
	*e = Episode{d.Steps, d.Stream, d.Cell, d.World, d.Number, d.Key, nil, d.Return, d.Outcome}
	if d.Length < 0 || d.Length > len(flat) || d.Length > 0 && len(flat)%d.Length != 0 || d.Length == 0 && len(flat) > 0 {
		return fmt.Errorf("%d recorded actions in %d steps, want as many in each", len(flat), d.Length)
	}
	if d.Length > 0 {
		e.Actions = slices.Collect(slices.Chunk(flat, len(flat)/d.Length))
	}
	return nil
}

// Record keeps episodes of one evaluation in place of those that it may have kept before it was interrupted.
func (d *Dir) Record(list []Episode) error {
	if len(list) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, e := range list {
		if err := writeLine(&b, e); err != nil {
			return err
		}
	}
	if err := d.intact(); err != nil {
		return err
	}
	if err := d.root.MkdirAll("episodes", 0o755); err != nil {
		return fmt.Errorf("run: %s: %w", d.Path, err)
	}
	return writeAtomic(d.root, fmt.Sprintf("episodes/%s-%012d.jsonl", list[0].Stream, list[0].Steps), b.Bytes())
}

// Episodes returns the recorded episodes in the order in which they were played, those of the end last; none is no error.
func (r *Run) Episodes() ([]Episode, error) {
	files, err := r.recordings()
	if err != nil {
		return nil, err
	}
	var list []Episode
	for _, f := range files {
		err := eachLine(f, func(line []byte) error {
			var e Episode
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			list = append(list, e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// recordings are the files of recorded episodes: "eval-…" by steps, then "final-…".
func (r *Run) recordings() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.Dir, "episodes"))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("run: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".jsonl") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(r.Dir, "episodes", e.Name()))
		}
	}
	return files, nil
}
