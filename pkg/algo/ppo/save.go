package ppo

import (
	"fmt"
	"io"
	"math"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/xla"
)

// Programs returns the hashes of the update and act programs. They are the same on every backend.
func (l *learner) Programs() (under string, hashes map[string]string) {
	return xla.Library(), map[string]string{"update": l.update.Hash(), "act": l.act.Hash()}
}

// Provenance describes the backend.
func (l *learner) Provenance() map[string]string { return l.dev.Provenance() }

// Save writes parameters and optimiser as safetensors, the number of rollouts and the running normalisation of
// values among them.
func (l *learner) Save(w io.Writer) error {
	values, err := xla.Values(l.store, "/")
	if err != nil {
		return err
	}
	stats := bits(l.norm.weight)
	stats = append(append(stats, bits(l.norm.mean...)...), bits(l.norm.square...)...)
	arrays := map[string]run.Array{
		"rollouts":   {Shape: []int{}, Data: []int64{l.rollouts}},
		"value_norm": {Shape: []int{len(stats)}, Data: stats},
	}
	if q := l.past; q.numbers > 0 {
		arrays["hidden_states"] = run.Array{Shape: []int{len(q.begins)}, Data: q.begins}
	}
	if q := l.past; q.random {
		arrays["episodes"] = run.Array{Shape: []int{len(q.episode)}, Data: q.episode}
	}
	if c := bits(l.costs.state()...); len(c) > 0 {
		arrays["costs"] = run.Array{Shape: []int{len(c)}, Data: c}
	}
	for path, v := range values {
		arrays[path] = run.Array{Shape: v.Dims, Data: v.Flat}
	}
	return run.WriteArrays(w, arrays)
}

// bits are the exact values of x; the file format has no float64.
func bits(x ...float64) []uint64 {
	out := make([]uint64, len(x))
	for i := range x {
		out[i] = math.Float64bits(x[i])
	}
	return out
}

// Load reads what Save wrote into a learner of the same shapes.
func (l *learner) Load(r io.Reader) error {
	arrays, err := run.ReadArrays(r)
	if err != nil {
		return err
	}
	n, ok := arrays["rollouts"].Data.([]int64)
	stats, also := arrays["value_norm"].Data.([]uint64)
	agents := l.spec.Agents
	if !ok || len(n) != 1 || !also || len(stats) != 1+2*agents {
		return fmt.Errorf("ppo: the saved learner has no number of rollouts, or no value statistics of %d agents", agents)
	}
	delete(arrays, "rollouts")
	delete(arrays, "value_norm")
	if err := l.loadPast(arrays); err != nil {
		return err
	}
	values := map[string]xla.Value{}
	for path, a := range arrays {
		values[path] = xla.Value{Dims: a.Shape, Flat: a.Data}
	}
	l.norm.weight = math.Float64frombits(stats[0])
	for a := range agents {
		l.norm.mean[a], l.norm.square[a] = math.Float64frombits(stats[1+a]), math.Float64frombits(stats[1+agents+a])
	}
	l.rollouts = n[0]
	l.actor.acting.Changed()
	return xla.SetValues(l.store, values)
}

// loadPast takes what concerns hidden states, orders and costs out of arrays.
func (l *learner) loadPast(arrays map[string]run.Array) error {
	if q := l.past; q.numbers > 0 {
		hidden, ok := arrays["hidden_states"].Data.([]float32)
		if !ok || len(hidden) != len(q.begins) {
			return fmt.Errorf("ppo: the saved learner has %d hidden numbers, want %d", len(hidden), len(q.begins))
		}
		copy(q.begins, hidden)
	}
	if q := l.past; q.random {
		episode, ok := arrays["episodes"].Data.([]int64)
		if !ok || len(episode) != len(q.episode) {
			return fmt.Errorf("ppo: the saved learner has counted episodes of %d environments, want %d", len(episode), len(q.episode))
		}
		copy(q.episode, episode)
	}
	if c := l.costs; len(c.lambda) > 0 {
		saved, ok := arrays["costs"].Data.([]uint64)
		if !ok || len(saved) != len(c.lambda)+len(c.running) {
			return fmt.Errorf("ppo: the saved learner has %d numbers of costs, want %d", len(saved), len(c.lambda)+len(c.running))
		}
		for k := range saved {
			if x := math.Float64frombits(saved[k]); k < len(c.lambda) {
				c.lambda[k] = x
			} else {
				c.running[k-len(c.lambda)] = x
			}
		}
	}
	for _, name := range []string{"hidden_states", "episodes", "costs"} {
		delete(arrays, name)
	}
	return nil
}
