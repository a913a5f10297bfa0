package value

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/env"
)

// Sees says what the networks of a method read beside available actions, and so what is kept and fed.
type Sees struct {
	Obs, State, Entities bool
	Last                 bool // true = each agent's last action
}

// Inputs is what networks see, time-major. What the method does not read (System.Sees) is nil.
type Inputs struct {
	Obs      *Node // [time, batch, agent, obs]
	State    *Node // [time, batch, state], for mixers and losses: nil in agent networks, which act without it
	Entities *Node // [time, batch, entity, feature]
	Hidden   *Node // [time, batch, agent, entity], bool, true = this agent does not see that entity
	Present  *Node // [time, batch, entity], bool, false = an empty slot
	Role     *Node // [time, batch, entity], int32, 0 = none; nil where the world has no roles
	Avail    *Node // [time, batch, agent, action], bool, true = may be chosen
	Last     *Node // [time, batch, agent, action], one-hot, each agent's last action; zero at an episode's beginning
	Memory   *Node // [batch, agent, Agent.Memory] before the first moment; nil = zero, an episode's beginning
	Keep     *Node // [time, batch], 0 where an episode begins, before which Memory is zero, too, and 1 elsewhere; nil = 1
	Group    *Node // [time, batch, agent, slot], one-hot; zero for agents in no group; nil without System.Group
	Noise    *Node // [time, batch, entity] of System.Noise; nil without, and while acting
	// Views are further looks at the same moments, each with only some pairs: [time, batch, agent, entity], bool, false =
	// that pair is hidden, or nil for all pairs. Agents and mixers answer for all views behind one another along their agent
	// axis. nil: one view, of all pairs.
	Views []*Node
	// Also are views that a mixer will be asked for beside that of all pairs: it may compute them together.
	Also []*Node
	Spec env.Spec
	made map[string]any
}

// once returns what make made at the same place for the same x before, so that what several views and passes have in
// common is computed, and differentiated, once.
func once[T any](in Inputs, place string, x *Node, make func() T) T {
	key := fmt.Sprint(place, " ", x.Id())
	if old, ok := in.made[key]; ok {
		return old.(T)
	}
	y := make()
	in.made[key] = y
	return y
}

// together is what make says of in's views, [time, batch, agent, k]: of those in Also from one call with that of all
// pairs, which costs less than two.
func together(in Inputs, place string, x *Node, make func(in Inputs) *Node) *Node {
	if in.Also == nil {
		return make(in)
	}
	y := once(in, place, x, func() *Node {
		in.Views = append([]*Node{nil}, in.Also...)
		return make(in)
	})
	if in.Views == nil {
		return Slice(y, AxisRange(), AxisRange(), AxisRange(0, in.Spec.Agents))
	}
	return Slice(y, AxisRange(), AxisRange(), AxisRange(in.Spec.Agents))
}

// moments returns the moments from ≤ t < to. Memory is that before moment 0, so only a network without one may
// begin later.
func (in Inputs) moments(from, to int) Inputs {
	for _, p := range []**Node{&in.Obs, &in.State, &in.Entities, &in.Hidden, &in.Present, &in.Role, &in.Avail, &in.Last, &in.Keep, &in.Group, &in.Noise} {
		*p = between(*p, from, to)
	}
	return in
}

// between is x[from:to] along time; nil stays nil.
func between(x *Node, from, to int) *Node {
	if x == nil || from == 0 && to == x.Shape().Dim(0) {
		return x
	}
	return Slice(x, AxisRange(from, to))
}

// Values is what an agent network says, time-major.
type Values struct {
	Q         *Node // [time, batch, agent, action]
	Memory    *Node // [time, batch, agent, Agent.Memory], after each moment; nil without
	Embedding *Node // [time, batch, agent, k], for mixers that know groups; nil without
	Taken     *Node // [time, batch, agent, action], one-hot, the actions whose values are mixed; nil: see Forward.Mix
}

func (v Values) moments(from, to int) Values {
	return Values{between(v.Q, from, to), between(v.Memory, from, to), between(v.Embedding, from, to), between(v.Taken, from, to)}
}

// stopped lets no gradient through.
func (v Values) stopped() Values {
	for _, p := range []**Node{&v.Q, &v.Memory, &v.Embedding, &v.Taken} {
		if *p != nil {
			*p = StopGradient(*p)
		}
	}
	return v
}
