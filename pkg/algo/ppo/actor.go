package ppo

import (
	"fmt"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// actor draws from the distributions while exploring, and takes the most likely actions otherwise.
type actor struct {
	sys    System
	spec   env.Spec
	acting *xla.Acting
	noise  []float32
}

func newActor(s System, spec env.Spec, dev *xla.Device, learned *model.Store) *actor {
	return &actor{sys: s, spec: spec, acting: &xla.Acting{
		Device: dev, Learned: learned, Reads: "/online/", Rows: spec.Agents, Below: s.Train.SmallBatch,
		Graph: s.actGraph(spec, false), Inputs: func(envs int) []xla.Input { return actInputs(spec, envs) },
	}}
}

func noiseSize(spec env.Spec, envs int) int { return envs * spec.Agents * width(spec) }

func actInputs(spec env.Spec, envs int) []xla.Input {
	return append(inputs(spec, envs, false), xla.F32(envs, spec.Agents, width(spec)), xla.F32(1))
}

// Memory is empty: the networks have no state.
func (a *actor) Memory(int) policy.Memory { return policy.None{} }

// Act draws an action for each agent, or takes the most likely one. With Mode.Epsilon each agent alone draws
// uniformly at that chance instead, where actions are discrete.
func (a *actor) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	p, err := a.acting.Program(b.N)
	if err != nil {
		return err
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
