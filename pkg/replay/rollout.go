package replay

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// Rollout keeps what was done since the last sample, for learners that use every step once: Time steps of
// Batch environments. A loop's pace says when it is full.
type Rollout struct {
	spec   env.Spec
	sample Sample
	steps  int // of every environment since the last sample
}

// NewRollout returns a replay of time steps of envs environments.
func NewRollout(spec env.Spec, time, envs int) (*Rollout, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if time < 1 || envs < 1 {
		return nil, fmt.Errorf("replay: a rollout of %d steps of %d environments, want at least 1 of each", time, envs)
	}
	rows, agents := time*envs, spec.Agents
	s := Sample{
		Time: time, Batch: envs,
		Obs:        make([]float32, rows*agents*spec.ObsDim),
		State:      make([]float32, rows*spec.StateDim),
		Avail:      make([]bool, rows*agents*spec.Choices()),
		Alive:      make([]float32, rows*agents),
		Actions:    make([]int32, rows*agents*len(spec.Actions)),
		Continuous: make([]float32, rows*agents*spec.ActDim),
		Reward:     make([]float32, rows*agents),
		Cost:       make([]float32, rows*agents*spec.Costs),
		Terminated: make([]float32, rows),
		Truncated:  make([]float32, rows),
	}
	return &Rollout{spec: spec, sample: s}, nil
}

// Ready is true from the beginning: the pace of the loop counts the steps of a rollout.
func (r *Rollout) Ready() bool { return true }

// Add remembers one step of all environments, each of which must play. Steps beyond Time are not kept.
func (r *Rollout) Add(before *env.Batch, act env.Actions, after *env.Batch, _ func(i int) bool) {
	s := &r.sample
	if r.steps == s.Time {
		return
	}
	if r.steps == 0 {
		s.Tail = Tail{s.Tail.Steps[:0], s.Tail.Obs[:0], s.Tail.State[:0], s.Tail.Avail[:0]}
	}
	before.Observe()
	t := r.steps
	put(s.Obs, t, before.Obs)
	put(s.State, t, before.State)
	put(s.Avail, t, before.Avail)
	put(s.Actions, t, act.Discrete)
	put(s.Continuous, t, act.Continuous)
	put(s.Reward, t, after.Reward)
	put(s.Cost, t, after.Cost)
	alive := s.Alive[t*before.N*r.spec.Agents:][:before.N*r.spec.Agents]
	for i := range alive {
		alive[i] = 1
		if before.Alive != nil && !before.Alive[i] {
			alive[i] = 0
		}
	}
	for i := range after.N {
		step := after.At(i)
		s.Terminated[t*after.N+i], s.Truncated[t*after.N+i] = float32(bit(step.Terminated)), float32(bit(step.Truncated))
		if !step.Terminated && (step.Truncated || t == s.Time-1) {
			after.Observe()
			s.Tail.Steps = append(s.Tail.Steps, int32(t*after.N+i))
			s.Tail.Obs = append(s.Tail.Obs, step.Obs...)
			s.Tail.State = append(s.Tail.State, step.State...)
			s.Tail.Avail = append(s.Tail.Avail, step.Avail...)
		}
	}
	r.steps++
}

// put copies what belongs to time t of an array that is time-major.
func put[T any](to []T, t int, from []T) { copy(to[t*len(from):], from) }

// Sample returns the rollout, which begins anew with the next Add. Where it is not full, Time says how many
// steps it has.
func (r *Rollout) Sample(key rng.Key) *Sample {
	s := r.sample
	s.Key, s.Time, r.steps = key, r.steps, 0
	return &s
}

// arrays are what Save writes, in order; their sizes follow from the header.
func (r *Rollout) arrays() []any {
	s, rows := &r.sample, r.steps*r.sample.Batch
	of := func(n int) int { return rows * n }
	n := r.spec.Agents
	return []any{
		s.Obs[:of(n*r.spec.ObsDim)], s.State[:of(r.spec.StateDim)], s.Avail[:of(n*r.spec.Choices())], s.Alive[:of(n)],
		s.Actions[:of(n*len(r.spec.Actions))], s.Continuous[:of(n*r.spec.ActDim)], s.Reward[:of(n)], s.Cost[:of(n*r.spec.Costs)], s.Terminated[:rows], s.Truncated[:rows],
		s.Tail.Steps, s.Tail.Obs, s.Tail.State, s.Tail.Avail,
	}
}

// Save writes what has been collected since the last sample.
func (r *Rollout) Save(w io.Writer) error {
	tail := &r.sample.Tail
	if r.steps == 0 { // what is left there belongs to the rollout before
		*tail = Tail{tail.Steps[:0], tail.Obs[:0], tail.State[:0], tail.Avail[:0]}
	}
	head := []int64{int64(r.sample.Time), int64(r.sample.Batch), int64(r.steps), int64(len(tail.Steps))}
	for _, a := range append([]any{head}, r.arrays()...) {
		if err := binary.Write(w, binary.LittleEndian, a); err != nil {
			return err
		}
	}
	return nil
}

// Load reads what Save wrote.
func (r *Rollout) Load(in io.Reader) error {
	head := make([]int64, 4)
	if err := binary.Read(in, binary.LittleEndian, head); err != nil {
		return fmt.Errorf("replay: saved rollout: %w", err)
	}
	s := &r.sample
	if head[0] != int64(s.Time) || head[1] != int64(s.Batch) {
		return fmt.Errorf("replay: a rollout of %d steps of %d environments was saved, want %d of %d", head[0], head[1], s.Time, s.Batch)
	}
	if head[2] < 0 || head[2] >= head[0] || head[3] < 0 || head[3] > head[2]*head[1] {
		return fmt.Errorf("replay: a rollout of %d of %d steps with %d tails was saved, want fewer steps and tails", head[2], head[0], head[3])
	}
	r.steps = int(head[2])
	tails, n := int(head[3]), r.spec.Agents
	s.Tail = Tail{
		make([]int32, tails), make([]float32, tails*n*r.spec.ObsDim), make([]float32, tails*r.spec.StateDim),
		make([]bool, tails*n*r.spec.Choices()),
	}
	for _, a := range r.arrays() {
		if err := binary.Read(in, binary.LittleEndian, a); err != nil {
			return fmt.Errorf("replay: saved rollout: %w", err)
		}
	}
	return nil
}
