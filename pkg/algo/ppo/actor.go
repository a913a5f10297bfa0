package ppo

import (
	"fmt"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// actor draws from the distributions while exploring, and takes the most likely actions otherwise. Small batches
// act on the Go backend, with a copy of the weights.
type actor struct {
	sys      System
	spec     env.Spec
	train    *xla.Device
	learned  *model.Store
	copied   *model.Store // on the Go backend; nil where the learner's own device acts
	stale    bool         // true = copied is older than learned
	programs map[int]*xla.Program
	noise    []float32
}

func noiseSize(spec env.Spec, envs int) int { return envs * spec.Agents * width(spec) }

func actInputs(spec env.Spec, envs int) []xla.Input {
	return append(inputs(spec, envs, false), xla.F32(envs, spec.Agents, width(spec)), xla.F32(1))
}

func (a *actor) program(envs int) (*xla.Program, error) {
	if p, ok := a.programs[envs]; ok {
		return p, nil
	}
	dev, err := a.train.ForRows(envs*a.spec.Agents, a.sys.Train.SmallBatch)
	if err != nil {
		return nil, err
	}
	store := a.learned
	if dev != a.train {
		if a.copied == nil {
			a.copied, a.stale = model.NewStore(), true
		}
		if store = a.copied; a.stale {
			if err := a.refresh(); err != nil {
				return nil, err
			}
		}
	}
	p, err := xla.Compile(dev, fmt.Sprintf("act for %d environments", envs), store, a.sys.actGraph(a.spec, false), actInputs(a.spec, envs)...)
	if err == nil {
		a.programs[envs] = p
	}
	return p, err
}

func (a *actor) refresh() error {
	values, err := xla.Values(a.learned, "/online/")
	if err != nil {
		return err
	}
	a.stale = false
	return xla.SetValues(a.copied, values)
}

// Memory is empty: the networks have no state.
func (a *actor) Memory(int) policy.Memory { return policy.None{} }

// Act draws an action for each agent, or takes the most likely one. With Mode.Epsilon each agent alone draws
// uniformly at that chance instead, where actions are discrete.
func (a *actor) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	p, err := a.program(b.N)
	if err != nil {
		return err
	}
	if a.copied != nil && a.stale {
		if err := a.refresh(); err != nil {
			return err
		}
	}
	choices := a.spec.Choices()
	if err := a.choosable(b, choices); err != nil {
		return err
	}
	r, explore := key.Rand(), []float32{0}
	if size := noiseSize(a.spec, b.N); len(a.noise) != size {
		a.noise = make([]float32, size)
		fill(a.noise, 0.5)
	}
	if mode.Explore {
		explore[0] = 1
		draw(r, a.spec, a.noise)
	}
	b.Observe()
	m := moments{obs: b.Obs, state: b.State, avail: b.Avail}
	done, err := p.Call(append(m.args(a.spec), a.noise, explore)...)
	if err != nil {
		return err
	}
	switch chosen := done[0].(type) {
	case []int32:
		copy(out.Discrete, chosen)
	case []float32:
		copy(out.Continuous, chosen)
	}
	if !mode.Explore && mode.Epsilon > 0 {
		for i := range out.Discrete {
			if r.Float64() < mode.Epsilon {
				out.Discrete[i] = int32(env.RandomAction(b.Avail[i*choices:(i+1)*choices], r))
			}
		}
	}
	return nil
}

// choosable refuses a moment in which an agent has no available action.
func (a *actor) choosable(b *env.Batch, choices int) error {
	if a.spec.ActDim > 0 {
		return nil
	}
	for i := range b.N * a.spec.Agents {
		any := false
		for _, ok := range b.Avail[i*choices : (i+1)*choices] {
			any = any || ok
		}
		if !any {
			return fmt.Errorf("ppo: %s: agent %d in environment %d has no available action, want at least one", a.spec.Name, i%a.spec.Agents, i/a.spec.Agents)
		}
	}
	return nil
}
