package run

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Episode is a recorded episode: what its world needs to play it again, to the same bits.
type Episode struct {
	Steps      int64       // joint steps trained when it was played
	Stream     string      // "eval" or "final"
	Cell       string      // "" is the world of training
	World      string      // name, as "takeout/mini-v4"
	Number     int         // of the episode within its evaluation
	Key        [2]uint64   // of the episode's random stream
	Actions    [][]int32   // [step][agent·head], nil where the world has no heads
	Continuous [][]float32 // [step][agent·ActDim], nil where the world has no continuous actions
	Return     float64     // mean over agents of their undiscounted returns
	Outcome    string      // "win", "loss", …
}

// Length is the number of steps.
func (e Episode) Length() int { return max(len(e.Actions), len(e.Continuous)) }

// episodeJSON is an Episode on disk, where discrete actions are base64 of varints, about a byte and a half each, and
// continuous ones base64 of the bits of float32, little-endian.
type episodeJSON struct {
	Steps      int64     `json:"steps"`
	Stream     string    `json:"stream"`
	Cell       string    `json:"cell"`
	World      string    `json:"world"`
	Number     int       `json:"number"`
	Key        [2]uint64 `json:"key"`
	Length     int       `json:"length"`
	Actions    []byte    `json:"actions"`
	Continuous []byte    `json:"continuous,omitempty"`
	Return     float64   `json:"return"`
	Outcome    string    `json:"outcome"`
}

// MarshalJSON fulfils json.Marshaler.
func (e Episode) MarshalJSON() ([]byte, error) {
	var packed []byte
	for _, step := range e.Actions {
		for _, a := range step {
			packed = binary.AppendUvarint(packed, uint64(uint32(a)))
		}
	}
	var numbers []byte
	for _, step := range e.Continuous {
		for _, x := range step {
			numbers = binary.LittleEndian.AppendUint32(numbers, math.Float32bits(x))
		}
	}
	return json.Marshal(episodeJSON{e.Steps, e.Stream, e.Cell, e.World, e.Number, e.Key, e.Length(), packed, numbers, e.Return, e.Outcome})
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
	if len(d.Continuous)%4 != 0 {
		return fmt.Errorf("recorded continuous actions are %d bytes, want a multiple of 4", len(d.Continuous))
	}
	var numbers []float32
	for rest := d.Continuous; len(rest) > 0; rest = rest[4:] {
		numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(rest)))
	}
	*e = Episode{d.Steps, d.Stream, d.Cell, d.World, d.Number, d.Key, nil, nil, d.Return, d.Outcome}
	if d.Length > 0 && len(flat)+len(numbers) == 0 {
		return fmt.Errorf("0 recorded actions in %d steps, want as many in each", d.Length)
	}
	var err error
	if e.Actions, err = bySteps(flat, d.Length); err != nil {
		return err
	}
	e.Continuous, err = bySteps(numbers, d.Length)
	return err
}

// bySteps cuts recorded actions into steps of equal length; nil if there are none.
func bySteps[T any](flat []T, steps int) ([][]T, error) {
	switch {
	case len(flat) == 0 && steps >= 0:
		return nil, nil
	case steps < 1 || len(flat)%steps != 0:
		return nil, fmt.Errorf("%d recorded actions in %d steps, want as many in each", len(flat), steps)
	}
	return slices.Collect(slices.Chunk(flat, len(flat)/steps)), nil
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
