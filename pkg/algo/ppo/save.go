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
