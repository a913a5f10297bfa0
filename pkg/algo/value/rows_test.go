package value

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/xla"
)

// inOneRow is a sample with the same episodes, all in one row.
func inOneRow(s *replay.Sample) *replay.Sample {
	out := &replay.Sample{Batch: 1, Key: s.Key}
	var moments []int // where each was: time·batch + row
	for _, e := range s.Episodes {
		out.Episodes = append(out.Episodes, replay.Stretch{From: len(moments), Steps: e.Steps})
		for t := range e.Steps + 1 {
			moments = append(moments, (e.From+t)*s.Batch+e.Row)
		}
	}
	out.Time = len(moments) - 1
	parts := (s.Time + 1) * s.Batch
	out.Obs, out.State, out.Entities = taken(s.Obs, parts, moments), taken(s.State, parts, moments), taken(s.Entities, parts, moments)
	out.Avail, out.Hidden, out.Present, out.Role = taken(s.Avail, parts, moments), taken(s.Hidden, parts, moments), taken(s.Present, parts, moments), taken(s.Role, parts, moments)
	steps, parts := moments[:out.Time], s.Time*s.Batch
	out.Actions, out.Reward = taken(s.Actions, parts, steps), taken(s.Reward, parts, steps)
	out.Terminated, out.Truncated, out.Filled = taken(s.Terminated, parts, steps), taken(s.Truncated, parts, steps), taken(s.Filled, parts, steps)
	for _, e := range out.Episodes[:len(out.Episodes)-1] { // between two
		k, n := e.From+e.Steps, len(out.Actions)/out.Time
		for a := range n {
			out.Actions[k*n+a] = -1
		}
		out.Filled[k] = 0
	}
	return out
}

// taken is parts of x, which has so many of them and is followed by zeros.
func taken[T any](x []T, parts int, from []int) (out []T) {
	k := len(x) / parts
	for _, i := range from {
		if i < parts {
			out = append(out, x[i*k:(i+1)*k]...)
		} else {
			out = append(out, make([]T, k)...)
		}
	}
	return out
}

// TestEpisodesInOneRow: of every method, an update from episodes that lie behind one another is that from the same
// episodes side by side, but for rounding. They are told apart by Sample.Episodes alone: without that methods with
// memory learn something else.
func TestEpisodesInOneRow(t *testing.T) {
	train := small()
	train.Batch = 3
	for _, backend := range backends(t) {
		for _, sys := range append(append(flatMethods(train), entityMethods(train)...), OOM(smallest(), train)) {
			if backend != xla.Go && sys.Name != "qmix" {
				continue // backends differ in loops and in nothing else
			}
			t.Run(backend+"/"+sys.Name, func(t *testing.T) {
				var w env.World = battle.Map("3m")
				if sys.Sees.Entities {
					w = brief(2, 5)
				}
				after := func(change func(*replay.Sample) *replay.Sample) map[string]xla.Value {
					l := build(t, sys, w, backend)
					s := synthetic(l, 7)
					for i, steps := range []int{5, 7, 4} { // of each episode
						s.Episodes[i].Steps = steps
						for k := steps; k < s.Time; k++ {
							s.Filled[k*s.Batch+i] = 0
						}
					}
					for range 2 {
						if _, err := l.Update(change(s)); err != nil {
							t.Fatal(err)
						}
					}
					return weights(t, l)
				}
				beside, behind := after(func(s *replay.Sample) *replay.Sample { return s }), after(inOneRow)
				if d := farthest(t, beside, behind); !(d < 2e-5) {
					t.Errorf("weights differ by up to %v, want rounding", d)
				}
				joined := after(func(s *replay.Sample) *replay.Sample {
					s = inOneRow(s)
					s.Episodes = []replay.Stretch{{Steps: s.Time}}
					return s
				})
				if d := farthest(t, beside, joined); sys.Agent.Memory > 0 && !(d > 1e-4) {
					t.Errorf("weights differ by up to %v where memory goes on into the next episode, want more", d)
				}
			})
		}
	}
}

// farthest is the largest difference between two sets of weights.
func farthest(t *testing.T, a, b map[string]xla.Value) (d float64) {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d and %d variables", len(a), len(b))
	}
	for path, v := range a {
		other := b[path].Flat.([]float32)
		for i, x := range v.Flat.([]float32) {
			d = math.Max(d, math.Abs(float64(x-other[i])))
		}
	}
	return d
}
