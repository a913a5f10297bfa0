package ppo

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// actor draws from the distributions while exploring, and takes the most likely actions otherwise.
type actor struct {
	sys     System
	spec    env.Spec
	acting  *xla.Acting
	noise   []float32
	numbers int     // hidden ones of an environment
	random  bool    // true = an order of choices is drawn for each episode
	key     rng.Key // of these orders
}

func newActor(s System, spec env.Spec, dev *xla.Device, learned *model.Store, key rng.Key) *actor {
	return &actor{sys: s, spec: spec, numbers: s.numbers(spec.Agents, acting), random: s.Train.RandomOrder, key: key, acting: &xla.Acting{
		Device: dev, Learned: learned, Reads: "/online/", Rows: spec.Agents, Below: s.Train.SmallBatch,
		Graph: s.actGraph(spec, false), Inputs: func(envs int) []xla.Input { return s.actInputs(spec, envs, acting) },
	}}
}

func noiseSize(spec env.Spec, envs int) int { return envs * spec.Agents * width(spec) }

func (s System) actInputs(spec env.Spec, envs int, u use) []xla.Input {
	return append(s.inputs(spec, envs, u), xla.F32(envs, spec.Agents, width(spec)), xla.F32(1))
}

// Memory is empty where the networks have no state and agents choose at once or in one order.
func (a *actor) Memory(n int) policy.Memory {
	if a.numbers == 0 && !a.random {
		return policy.None{}
	}
	m := &memory{numbers: a.numbers, states: make([]float32, n*a.numbers), begun: make([]int64, n)}
	if a.random {
		m.orders = make([]int32, n*a.spec.Agents)
		m.order = func(env int, episode int64, to []int32) { drawOrder(a.key, env, episode, to) }
	}
	for i := range n {
		m.arrange(i)
	}
	return m
}

// recall lists what the act program takes of a memory of n environments.
func (a *actor) recall(m policy.Memory, n int) (own *memory, args []any, err error) {
	if a.numbers == 0 && !a.random {
		return nil, nil, nil
	}
	own, ok := m.(*memory)
	if !ok || len(own.begun) != n || own.numbers != a.numbers || (own.order != nil) != a.random {
		return nil, nil, fmt.Errorf("ppo: %s: a memory %T was given, want that of this policy for %d environments", a.spec.Name, m, n)
	}
	if a.random {
		args = append(args, own.orders)
	}
	if a.numbers > 0 {
		args = append(args, own.states)
	}
	return own, args, nil
}

// Act draws an action for each agent, or takes the most likely one. With Mode.Epsilon each agent alone draws
// uniformly at that chance instead, where actions are discrete.
func (a *actor) Act(b *env.Batch, memory policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	p, err := a.acting.Program(b.N)
	if err != nil {
		return err
	}
	own, past, err := a.recall(memory, b.N)
	if err != nil {
		return err
	}
	if err := a.choosable(b); err != nil {
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
	done, err := p.Call(append(append(m.args(a.spec), past...), a.noise, explore)...)
	if err != nil {
		return err
	}
	if a.numbers > 0 {
		copy(own.states, done[1].([]float32))
	}
	switch chosen := done[0].(type) {
	case []int32:
		copy(out.Discrete, chosen)
	case []float32:
		copy(out.Continuous, chosen)
	}
	if !mode.Explore && mode.Epsilon > 0 {
		a.eachHead(b, func(k int, avail []bool) bool {
			if r.Float64() < mode.Epsilon {
				out.Discrete[k] = int32(env.RandomAction(avail, r))
			}
			return true
		})
	}
	return nil
}

// eachHead calls f with what is available to each head, [env, agent, head], until f returns false, and returns the
// number of that head, or −1.
func (a *actor) eachHead(b *env.Batch, f func(k int, avail []bool) bool) int {
	avail, heads := b.Avail, a.spec.Actions
	for k := range b.N * a.spec.Agents * len(heads) {
		n := heads[k%len(heads)]
		if !f(k, avail[:n]) {
			return k
		}
		avail = avail[n:]
	}
	return -1
}

// choosable refuses a moment in which an agent has no available action.
func (a *actor) choosable(b *env.Batch) error {
	k := a.eachHead(b, func(_ int, avail []bool) bool { return slices.Contains(avail, true) })
	if k < 0 {
		return nil
	}
	at, where := k/len(a.spec.Actions), ""
	if n := len(a.spec.Actions); n > 1 {
		where = fmt.Sprintf(" in head %d", k%n)
	}
	return fmt.Errorf("ppo: %s: agent %d in environment %d has no available action%s, want at least one", a.spec.Name, at%a.spec.Agents, at/a.spec.Agents, where)
}
