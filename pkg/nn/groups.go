package nn

import . "github.com/gomlx/gomlx/core/graph"

// PoolGroups is the largest value among the members of each group, one by one: e [row, agent, k] and group [row, agent,
// slot], 1 where an agent belongs to the group of a slot and 0 elsewhere, give [row, slot, k]. An empty slot gets 0.
// (Group states of GoMARL: Zang et al., NeurIPS 2023.) The gradient goes to the member that holds the maximum; those
// that hold it together share it, where that of ReduceMax would go to each in full.
func PoolGroups(e, group *Node) *Node {
	want(e.Rank() == 3 && group.Rank() == 3 && group.Shape().Dim(0) == e.Shape().Dim(0) && group.Shape().Dim(1) == e.Shape().Dim(1),
		"PoolGroups takes e [row, agent, k] and group [row, agent, slot], got %s and %s", e.Shape(), group.Shape())
	rows, agents, k, slots := e.Shape().Dim(0), e.Shape().Dim(1), e.Shape().Dim(2), group.Shape().Dim(2)
	wide := func(x *Node) *Node { return BroadcastToDims(x, rows, agents, slots, k) }
	values, zero := wide(ExpandAxes(e, 2)), ScalarZero(e.Graph(), e.DType())
	member := wide(GreaterThan(ExpandAxes(group, 3), zero))
	fixed := Where(member, StopGradient(values), Scalar(e.Graph(), e.DType(), -1e30))
	most := ReduceAndKeep(fixed, ReduceMax, 1)
	holds := ConvertDType(LogicalAnd(member, GreaterOrEqual(fixed, wide(most))), e.DType())
	return ReduceSum(Mul(values, Div(holds, MaxScalar(ReduceAndKeep(holds, ReduceSum, 1), 1))), 1)
}
