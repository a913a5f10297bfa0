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
	Groups     [][]int32   // [step][agent] number of the agent's group when it chose, −1 = in none; nil where the method has no groups
	Scores     [][]float32 // [step][agent·agent] what the first thought of the second then, NaN = nothing; nil where the method has no scores
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
	Groups     []byte    `json:"groups,omitempty"` // base64 of varints of number + 1
	Scores     *scores   `json:"scores,omitempty"`
}

// MarshalJSON fulfils json.Marshaler.
func (e Episode) MarshalJSON() ([]byte, error) {
	var packed []byte
	for _, step := range e.Actions {
		for _, a := range step {
			packed = binary.AppendUvarint(packed, uint64(uint32(a)))
		}
	}
	var numbers, groups []byte
	for _, step := range e.Continuous {
		for _, x := range step {
			numbers = binary.LittleEndian.AppendUint32(numbers, math.Float32bits(x))
		}
	}
	for _, step := range e.Groups {
		for _, g := range step {
			groups = binary.AppendUvarint(groups, uint64(uint32(g+1)))
		}
	}
	return json.Marshal(episodeJSON{
		e.Steps, e.Stream, e.Cell, e.World, e.Number, e.Key, e.Length(), packed, numbers, e.Return, e.Outcome, groups, packScores(e.Scores),
	})
}

// UnmarshalJSON fulfils json.Unmarshaler.
func (e *Episode) UnmarshalJSON(data []byte) error {
	var d episodeJSON
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	flat, err := unpack(d.Actions, "actions")
	if err != nil {
		return err
	}
	groups, err := unpack(d.Groups, "groups")
	if err != nil {
		return err
	}
	for i := range groups {
		groups[i]--
	}
	if len(d.Continuous)%4 != 0 {
		return fmt.Errorf("recorded continuous actions are %d bytes, want a multiple of 4", len(d.Continuous))
	}
	var numbers []float32
	for rest := d.Continuous; len(rest) > 0; rest = rest[4:] {
		numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(rest)))
	}
	*e = Episode{Steps: d.Steps, Stream: d.Stream, Cell: d.Cell, World: d.World, Number: d.Number, Key: d.Key, Return: d.Return, Outcome: d.Outcome}
	if d.Length > 0 && len(flat)+len(numbers) == 0 {
		return fmt.Errorf("0 recorded actions in %d steps, want as many in each", d.Length)
	}
	if e.Actions, err = bySteps(flat, d.Length, "actions"); err != nil {
		return err
	}
	if e.Continuous, err = bySteps(numbers, d.Length, "actions"); err != nil {
		return err
	}
	if e.Groups, err = bySteps(groups, d.Length, "groups"); err != nil {
		return err
	}
	e.Scores, err = d.Scores.unpack(d.Length)
	return err
}

// unpack reads varints.
func unpack(packed []byte, what string) (flat []int32, err error) {
	for len(packed) > 0 {
		v, n := binary.Uvarint(packed)
		if n <= 0 || v > 1<<31-1 {
			return nil, fmt.Errorf("recorded %s are damaged after %d", what, len(flat))
		}
		flat, packed = append(flat, int32(v)), packed[n:]
	}
	return flat, nil
}

// bySteps cuts what was recorded into steps of equal length; nil if there is nothing.
func bySteps[T any](flat []T, steps int, what string) ([][]T, error) {
	switch {
	case len(flat) == 0 && steps >= 0:
		return nil, nil
	case steps < 1 || len(flat)%steps != 0:
		return nil, fmt.Errorf("%d recorded %s in %d steps, want as many in each", len(flat), what, steps)
	}
	return slices.Collect(slices.Chunk(flat, len(flat)/steps)), nil
}

// scores are those of an episode on disk: the bits of float32, little-endian, of those pairs of agents alone that have a
// score at some step. In small teams these are few, and scores are most of what a recorded episode takes.
type scores struct {
	Width   int    `json:"width"` // agent·agent
	Pairs   []int  `json:"pairs"`
	Numbers []byte `json:"numbers"` // [step][pair]
}

func packScores(steps [][]float32) *scores {
	if len(steps) == 0 {
		return nil
	}
	s := &scores{Width: len(steps[0])}
	for p := range s.Width {
		if slices.ContainsFunc(steps, func(row []float32) bool { return row[p] == row[p] }) {
			s.Pairs = append(s.Pairs, p)
		}
	}
	for _, row := range steps {
		for _, p := range s.Pairs {
			s.Numbers = binary.LittleEndian.AppendUint32(s.Numbers, math.Float32bits(row[p]))
		}
	}
	return s
}

const mostScores = 1 << 16 // of a step: a damaged file must not ask for more memory than there is

func (s *scores) unpack(steps int) ([][]float32, error) {
	if s == nil {
		return nil, nil
	}
	if s.Width < 1 || s.Width > mostScores || len(s.Numbers) != 4*steps*len(s.Pairs) {
		return nil, fmt.Errorf("%d bytes of recorded scores in %d steps of %d pairs out of %d, want 4 for each", len(s.Numbers), steps, len(s.Pairs), s.Width)
	}
	out := make([][]float32, steps)
	for t := range out {
		out[t] = make([]float32, s.Width)
		for p := range out[t] {
			out[t][p] = float32(math.NaN())
		}
		for k, p := range s.Pairs {
			if p < 0 || p >= s.Width {
				return nil, fmt.Errorf("recorded scores of pair %d, want 0 to %d", p, s.Width-1)
			}
			out[t][p] = math.Float32frombits(binary.LittleEndian.Uint32(s.Numbers[4*(t*len(s.Pairs)+k):]))
		}
	}
	return out, nil
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
