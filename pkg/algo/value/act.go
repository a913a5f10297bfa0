package value

import (
	"github.com/gomlx/gomlx/ml/model"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// actor is ε-greedy on the online network.
type actor struct {
	sys    System
	spec   env.Spec
	acting *xla.Acting
	scores *xla.Acting // what agents think of each other; nil without System.Group
	roles  []int32
	args   []any
}

func newActor(s System, spec env.Spec, dev *xla.Device, learned *model.Store) *actor {
	s.Sees.State = false // agent networks do not get it, see Forward.agents
	a := &actor{sys: s, spec: spec}
	a.acting = &xla.Acting{
		Device: dev, Learned: learned, Reads: "/online/", Rows: spec.Agents, Below: s.Train.SmallBatch, Graph: a.act, Inputs: a.inputs,
	}
	if s.Group.on() {
		scores := *a.acting
		scores.Graph, scores.Inputs = a.think, a.sight
		a.scores = &scores
	}
	return a
}

// sight lists what is seen of one moment: what seenInputs lists, and last actions.
func (a *actor) sight(envs int) []xla.Input {
	in := seenInputs(a.sys, a.spec, 1, envs)
	if a.sys.Sees.Last {
		in = append(in, xla.I32(1, envs, a.spec.Agents))
	}
	return in
}

// inputs adds what else a choice needs: available actions, memory and groups.
func (a *actor) inputs(envs int) []xla.Input {
	in := append(a.sight(envs), xla.Bool(1, envs, a.spec.Agents, a.spec.Choices()))
	if a.sys.Agent.Memory > 0 {
		in = append(in, xla.F32(envs, a.spec.Agents, a.sys.Agent.Memory))
	}
	if a.sys.Group.on() {
		in = append(in, xla.I32(1, envs, a.spec.Agents))
	}
	return in
}

// names are those of inputs and outputs, for export.
func (a *actor) names() (inputs, outputs []string) {
	s := a.sys.Sees
	for _, x := range []struct {
		name string
		on   bool
	}{
		{"obs", s.Obs}, {"entities", s.Entities}, {"hidden", s.Entities}, {"present", s.Entities},
		{"role", s.Entities && a.spec.Roles > 0}, {"last_action", s.Last}, {"avail", true}, {"memory", a.sys.Agent.Memory > 0}, {"group", a.sys.Group.on()},
	} {
		if x.on {
			inputs = append(inputs, x.name)
		}
	}
	outputs = []string{"action"}
	if a.sys.Agent.Memory > 0 {
		outputs = append(outputs, "memory_after")
	}
	return inputs, outputs
}

// look reads what sight lists.
func (a *actor) look(in []*Node) (x Inputs, rest []*Node) {
	x.Spec, x.made = a.spec, map[string]any{}
	in = x.take(a.sys, in)
	if a.sys.Sees.Last {
		x.Last, in = OneHot(in[0], a.spec.Choices(), floatType), in[1:]
	}
	return x, in
}

// act is the graph of the greedy choice, and of the memory after it.
func (a *actor) act(root *model.Scope, in []*Node) []*Node {
	x, in := a.look(in)
	x.Avail, in = in[0], in[1:]
	if a.sys.Agent.Memory > 0 {
		x.Memory, in = in[0], in[1:]
	}
	if a.sys.Group.on() {
		x.Group = OneHot(in[0], Slots, floatType)
	}
	v := a.sys.Agent.Values(root.In("online").In("agent"), x)
	out := []*Node{greedy(v.Q, x.Avail)}
	if v.Memory != nil {
		out = append(out, Reshape(v.Memory, x.Memory.Shape().Dimensions...))
	}
	return out
}

// think is the graph of Agent.Scores.
func (a *actor) think(root *model.Scope, in []*Node) []*Node {
	x, _ := a.look(in)
	return []*Node{a.sys.Agent.Scores(root.In("online").In("agent"), x)}
}

// changed says that the weights are others than before.
func (a *actor) changed() {
	a.acting.Changed()
	if a.scores != nil {
		a.scores.Changed()
	}
}

// Memory returns hidden states, last actions and groups, as far as the method has them.
func (a *actor) Memory(n int) policy.Memory {
	if a.sys.Agent.Memory == 0 && !a.sys.Sees.Last && !a.sys.Group.on() {
		return policy.None{}
	}
	return newMemory(a.sys, a.spec, n)
}

// Act chooses the best available action, or with probability ε, tossed for each agent alone, any available one.
func (a *actor) Act(b *env.Batch, mem policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	epsilon := mode.Epsilon
	if mode.Explore {
		epsilon = a.sys.Train.Epsilon.At(mode.Steps)
	}
	r, choices := key.Rand(), a.spec.Choices()
	all := true // agents draw at random
	for i := range out.Discrete {
		out.Discrete[i] = -1
		if r.Float64() < epsilon {
			out.Discrete[i] = int32(env.RandomAction(b.Avail[i*choices:(i+1)*choices], r))
		} else {
			all = false
		}
	}
	m, _ := mem.(*memory)
	if all && m == nil {
		return nil
	}
	p, err := a.acting.Program(b.N)
	if err != nil {
		return err
	}
	a.args = a.see(a.args[:0], b, m)
	if a.scores != nil {
		if err := a.group(b, m, key); err != nil {
			return err
		}
	}
	a.args = append(a.args, b.Avail)
	if a.sys.Agent.Memory > 0 {
		a.args = append(a.args, m.hidden)
	}
	if a.scores != nil {
		a.args = append(a.args, m.slots)
	}
	best, err := p.Call(a.args...)
	if err != nil {
		return err
	}
	for i, x := range best[0].([]int32) {
		if out.Discrete[i] < 0 {
			out.Discrete[i] = x
		}
	}
	if m != nil {
		if a.sys.Agent.Memory > 0 {
			copy(m.hidden, best[1].([]float32))
		}
		copy(m.last, out.Discrete)
		for i := range m.step {
			m.step[i]++
		}
	}
	return nil
}

// see gathers what sight lists.
func (a *actor) see(args []any, b *env.Batch, m *memory) []any {
	if a.sys.Sees.Obs {
		b.Observe()
		args = append(args, b.Obs)
	}
	if a.sys.Sees.Entities {
		args = append(args, b.Entities, b.Hidden, b.Present)
		if a.spec.Roles > 0 {
			a.roles = whole(a.roles, b.Role)
			args = append(args, a.roles)
		}
	}
	if a.sys.Sees.Last {
		args = append(args, m.last)
	}
	return args
}

// group matches every environment whose turn it is.
func (a *actor) group(b *env.Batch, m *memory, key rng.Key) error {
	p, err := a.scores.Program(b.N)
	if err != nil {
		return err
	}
	out, err := p.Call(a.args...)
	if err != nil {
		return err
	}
	return m.match(b, out[0].([]float32), key)
}
