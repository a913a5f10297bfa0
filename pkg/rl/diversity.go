package rl

import . "github.com/gomlx/gomlx/core/graph"

// SimilarityDiversity is low where the embeddings of a group are alike and those of different groups are not (Zang et
// al., NeurIPS 2023, in the scale of Moslemi & Lee, 2025, equation 4): for each row
//
//	Σ over ordered pairs i ≠ j of present agents  I(i, j)·cos(eᵢ, eⱼ),  I = −1 in one group, +1 in different ones
//
// e is [row, agent, k]; group [row, agent, slot], 1 where an agent belongs to the group of a slot and 0 elsewhere;
// present [row, agent], true or 1 where there is an agent; the result is [row]. The cosine takes ‖e‖ + 1e-8 for each
// norm. The gradient goes to e.
func SimilarityDiversity(e, group, present *Node) *Node {
	d := e.Shape().Dimensions
	want(len(d) == 3 && group.Rank() == 3 && group.Shape().Dim(0) == d[0] && group.Shape().Dim(1) == d[1] &&
		present.Rank() == 2 && present.Shape().Dim(0) == d[0] && present.Shape().Dim(1) == d[1],
		"SimilarityDiversity takes e [row, agent, k], group [row, agent, slot] and present [row, agent], got %s, %s and %s", e.Shape(), group.Shape(), present.Shape())
	// The root of 0 has no finite gradient: absent agents may have embeddings of 0.
	norm := AddScalar(Sqrt(MaxScalar(ReduceAndKeep(Square(e), ReduceSum, 2), 1e-30)), 1e-8)
	unit := Div(e, norm)
	here := ConvertDType(present, e.DType())
	sign := OneMinus(MulScalar(Einsum("ris,rjs->rij", group, group), 2))
	pair := Mul(Mul(ExpandAxes(here, 1), ExpandAxes(here, 2)), others(e))
	return ReduceSum(Mul(Mul(StopGradient(sign), StopGradient(pair)), Einsum("rik,rjk->rij", unit, unit)), 1, 2)
}

// others is [1, agent, agent], 0 on the diagonal and 1 elsewhere, for e [row, agent, k].
func others(e *Node) *Node {
	n := e.Shape().Dim(1)
	m := make([][]float32, n)
	for i := range m {
		m[i] = make([]float32, n)
		for j := range m[i] {
			if i != j {
				m[i][j] = 1
			}
		}
	}
	return ExpandAxes(ConvertDType(Const(e.Graph(), m), e.DType()), 0)
}
