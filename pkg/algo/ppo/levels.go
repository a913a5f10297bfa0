package ppo

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// levels is the learner and the policy of DeepBiAC.
type levels struct {
	method      DeepBiAC
	spec        env.Spec
	dev         *xla.Device
	store       *model.Store
	update, act *xla.Program
	acting      *xla.Acting
	updates     int64
	metrics     train.Metrics
}

// copyTargets lets the target networks begin as copies.
func (l *levels) copyTargets() error {
	online, err := xla.Values(l.store, "/online/")
	if err != nil {
		return err
	}
	targets := map[string]xla.Value{}
	for path, v := range online {
		targets["/target/"+strings.TrimPrefix(path, "/online/")] = v
	}
	return xla.SetValues(l.store, targets)
}

// Policy acts with the newest weights.
func (l *levels) Policy() policy.Policy { return l }

// Memory is empty.
func (l *levels) Memory(int) policy.Memory { return policy.None{} }

// Act lets the leader choose and the follower answer what the leader really does, but for random actions.
func (l *levels) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	p, err := l.acting.Program(b.N)
	if err != nil {
		return err
	}
	epsilon, r, k := mode.Epsilon, key.Rand(), l.spec.Choices()
	if mode.Explore {
		epsilon = l.method.Epsilon.At(mode.Steps)
	}
	b.Observe()
	chosen, err := p.Call(b.Obs, b.Avail)
	if err != nil {
		return err
	}
	lead, reply := chosen[0].([]int32), chosen[1].([]int32)
	for i := range b.N {
		first := r.Float64() < epsilon
		second := first // one coin for both: a pair that neither would begin comes up with ε/k², not (ε/k)²
		if !mode.Explore {
			second = r.Float64() < epsilon
		}
		a := lead[i]
		if first {
			a = int32(env.RandomAction(b.Avail[2*i*k:(2*i+1)*k], r))
		}
		answer := reply[i*k+int(a)]
		if second {
			answer = int32(env.RandomAction(b.Avail[(2*i+1)*k:2*(i+1)*k], r))
		}
		out.Discrete[2*i], out.Discrete[2*i+1] = a, answer
	}
	return nil
}

// Update makes one optimiser step on a batch.
func (l *levels) Update(s *replay.Sample) (train.Metrics, error) {
	out, err := l.update.Call(s.Obs, s.Avail, s.Actions, s.Reward, s.Terminated, []float32{float32(l.updates + 1)})
	if err != nil {
		return nil, err
	}
	l.updates++
	l.acting.Changed()
	for i, name := range []string{"loss", "td_error", "follower_value", "follower_entropy"} {
		x := float64(out[0].([]float32)[i])
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("ppo: biac-deep: %s is %v at update %d; the last checkpoint stands: try a smaller learning rate than %g", name, x, l.updates, l.method.LR)
		}
		l.metrics[name] = x
	}
	return l.metrics, nil
}

// Programs returns the hashes of the update and act programs.
func (l *levels) Programs() (under string, hashes map[string]string) {
	return xla.Library(), map[string]string{"update": l.update.Hash(), "act": l.act.Hash()}
}

// Provenance describes the backend.
func (l *levels) Provenance() map[string]string { return l.dev.Provenance() }

// Save writes parameters, targets and optimiser as safetensors, the number of updates among them.
func (l *levels) Save(w io.Writer) error {
	values, err := xla.Values(l.store, "/")
	if err != nil {
		return err
	}
	arrays := map[string]run.Array{"updates": {Shape: []int{}, Data: []int64{l.updates}}}
	for path, v := range values {
		arrays[path] = run.Array{Shape: v.Dims, Data: v.Flat}
	}
	return run.WriteArrays(w, arrays)
}

// Load reads what Save wrote into a learner of the same shapes.
func (l *levels) Load(r io.Reader) error {
	arrays, err := run.ReadArrays(r)
	if err != nil {
		return err
	}
	n, ok := arrays["updates"].Data.([]int64)
	if !ok || len(n) != 1 {
		return fmt.Errorf("ppo: the saved learner of biac-deep has no number of updates")
	}
	delete(arrays, "updates")
	values := map[string]xla.Value{}
	for path, a := range arrays {
		values[path] = xla.Value{Dims: a.Shape, Flat: a.Data}
	}
	l.updates = n[0]
	l.acting.Changed()
	return xla.SetValues(l.store, values)
}
