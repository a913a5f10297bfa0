package ppo

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// InOrder lets the agents of a system with Decode choose in another order than their own: order[0] first.
// Train.RandomOrder draws one for each episode.
func InOrder(s System, order ...int) System {
	actor, decode := s.Actor, s.Decode
	back := make([]int, len(order))
	for position, agent := range order {
		if agent >= 0 && agent < len(order) {
			back[agent] = position
		}
	}
	enter := func(in Inputs) Inputs {
		seen := make([]bool, in.Spec.Agents)
		for _, agent := range order {
			if agent < 0 || agent >= len(seen) || seen[agent] || len(order) != len(seen) {
				exceptions.Panicf("ppo: %s has the order %v, want a permutation of the agents 0 to %d", s.Name, order, in.Spec.Agents-1)
			}
			seen[agent] = true
		}
		in.Obs, in.Avail, in.Actions = arrange(in.Obs, order), arrange(in.Avail, order), arrange(in.Actions, order)
		return in
	}
	s.Actor = func(scope *model.Scope, in Inputs) (heads, values *Node) {
		heads, values = actor(scope, enter(in))
		return arrange(heads, back), arrange(values, back)
	}
	if decode != nil {
		s.Decode = func(scope *model.Scope, in Inputs, choose func(int, *Node) *Node) *Node {
			in = enter(in)
			return arrange(decode(scope, in, func(position int, head *Node) *Node { return choose(order[position], head) }), back)
		}
	}
	return s
}

// arrange puts the agents of x [row, agent, …] into another order; nil stays nil.
func arrange(x *Node, order []int) *Node {
	if x == nil {
		return nil
	}
	parts := make([]*Node, len(order))
	for position, agent := range order {
		parts[position] = agentsOf(x, agent, agent+1)
	}
	return Concatenate(parts, 1)
}

// agentsOf cuts agents from ≤ agent < to out of x [row, agent, …].
func agentsOf(x *Node, from, to int) *Node {
	return Slice(x, AxisRange(), AxisRange(from, to))
}

// seating says who chooses when in each row, [row, position, agent]: 1 where it is that agent's turn. Nil means that
// agents choose in their own order.
type seating struct{ seats *Node }

// newSeating takes an order of agents, int32 [row, position].
func newSeating(order *Node, agents int, dtype dtypes.DType) *seating {
	return &seating{OneHot(order, agents, dtype)}
}

// enter puts what agents see and do in the order of their turns.
func (s *seating) enter(in Inputs) Inputs {
	if s != nil {
		in.Obs, in.Avail, in.Actions = s.move(in.Obs, true), s.move(in.Avail, true), s.move(in.Actions, true)
	}
	return in
}

// leave puts x [row, position, …] in the order of the agents.
func (s *seating) leave(x *Node) *Node { return s.move(x, false) }

// move leaves every number as it is: each is multiplied by 1 and added to zeros.
func (s *seating) move(x *Node, enter bool) *Node {
	switch {
	case s == nil || x == nil:
		return x
	case x.DType() == dtypes.Bool:
		moved := s.move(ConvertDType(x, s.seats.DType()), enter)
		return GreaterThan(moved, MulScalar(OnesLike(moved), 0.5))
	case x.Rank() == 2:
		return Squeeze(s.move(ExpandAxes(x, 2), enter), 2)
	}
	seats := ExpandAxes(s.seats, 3) // [row, position, agent, 1]
	if enter {
		return ReduceSum(Mul(seats, ExpandAxes(x, 1)), 2)
	}
	return ReduceSum(Mul(seats, ExpandAxes(x, 2)), 1)
}
