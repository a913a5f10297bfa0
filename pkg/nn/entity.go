package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// EntityAttention lets the first entities of each row, the agents, read all of them (multi-head attention of Vaswani et
// al., NeurIPS 2017, as in REFIL: Iqbal et al., ICML 2021):
//
//	[Q K V] = x·W_in   wₕ = softmax(Qₕ·Kₕᵀ/√(width/heads)) over the entities not hidden   out = (w₁V₁ … w_hV_h)·W_out + b_out
//
// x is [row, entity, width], a row being one moment of one episode; hidden is [row, query, entity], true where a query
// does not see an entity; absent is [row, query], true where there is no agent. out is [row, query, width]: 0 for absent
// agents, b_out for those that see nothing.
//
// Several maskings of the same entities, as REFIL's imagined groups, cost less in one call than each in its own, for
// they have x, Q, K, V and logits in common: with hidden [row, mask, query, entity] out is [row, mask, query, width].
//
// logits [row, query, entity] are Qₕ·Kₕᵀ/√(width/heads) as they are before masking, the largest of the heads: how much
// each query would like each entity. They carry no gradient.
//
// There is one network, not a stack: agents share it. Weights are "w" = W_in [1, width, 3·width], without bias, and
// "out/w", "out/b", drawn from U(−1/√width, 1/√width) as in PyTorch.
//
// (Forward and backward of 32·60 rows, 16 entities, 8 queries on XLA, two shared cores, processor time, medians of
// alternating runs, in ms for width 128 with 4 heads and width 32 with 2: 187 and 32; 212 and 34 with queries computed
// for all entities; 184 and 31 with heads moved before the queries, 181 and 30 with a product of its own for each head,
// 215 and 29 with all heads of a query as rows of one product with the others' columns zero. With W_Q·W_Kᵀ of each head
// multiplied first it is the same at width 128 and a fifth less at 32, a tenth with three masks; with W_V·W_out first
// an eighth less at 32, but half as much again with three masks at 128. The projections alone are 134 and 15. Three
// masks: 301 and 51 in one call, 480 and 89 in three.)
func EntityAttention(s *model.Scope, x *Node, queries int, hidden, absent *Node, heads int) (out, logits *Node) {
	look := Look(s, x, queries, heads)
	return look.Attend(hidden, absent), look.Logits()
}

// Sight is the part of EntityAttention that does not depend on what is hidden: Q, K, V and the logits. Several maskings
// that are not known at once can share it.
type Sight struct {
	scope  *model.Scope
	x      *Node
	values *Node // [row, entity, head, width/heads]
	logits *Node // [row, head, query, entity]
}

// Look is Q, K, V and the logits of EntityAttention.
func Look(s *model.Scope, x *Node, queries, heads int) Sight {
	wantEntities(x, queries, heads)
	rows, width := x.Shape().Dim(0), x.Shape().Dim(2)
	w := Variable(s, x.Graph(), "w", FanIn, width, 1, width, 3*width)
	project := func(x *Node, from, to int) *Node { // to columns of W_in
		n := x.Shape().Dim(1)
		return Reshape(product(Reshape(x, 1, rows*n, width), cut(w, 2, from, to)), rows, n, to-from)
	}
	split := func(x *Node) *Node { return Reshape(x, rows, x.Shape().Dim(1), heads, width/heads) }
	q, kv := project(cut(x, 1, 0, queries), 0, width), project(x, width, 3*width)
	k, v := cut(kv, 2, 0, width), cut(kv, 2, width, 2*width)
	l := MulScalar(Einsum("rqhd,rehd->rhqe", split(q), split(k)), 1/math.Sqrt(float64(width/heads)))
	return Sight{s, x, split(v), l}
}

// wantEntities checks what both Look and NewSurvey take.
func wantEntities(x *Node, queries, heads int) {
	want(x.Rank() == 3 && x.Shape().Dim(2)%heads == 0, "EntityAttention takes x [row, entity, width] with a width that %d heads divide, got %s", heads, x.Shape())
	want(queries > 0 && queries <= x.Shape().Dim(1), "EntityAttention: %d of %d entities cannot ask", queries, x.Shape().Dim(1))
}

// Logits are those of EntityAttention: [row, query, entity].
func (l Sight) Logits() *Node { return ReduceMax(StopGradient(l.logits), 1) }

// Weights are what softmax makes of the logits over the entities that are not hidden, the largest of the heads, with
// hidden [row, query, entity]: [row, query, entity]. They carry no gradient.
func (l Sight) Weights(hidden *Node) *Node {
	logits := StopGradient(l.logits)
	low := Scalar(logits.Graph(), logits.DType(), -1e30)
	hidden = BroadcastToShape(ExpandAxes(hidden, 1), logits.Shape())
	return ReduceMax(Where(hidden, ZerosLike(logits), SoftmaxOver(Where(hidden, low, logits), -1)), 1)
}

// Attend is the out of EntityAttention. Every call uses the same weights.
func (l Sight) Attend(hidden, absent *Node) *Node {
	d := l.logits.Shape().Dimensions
	rows, heads, queries, entities, width := d[0], d[1], d[2], d[3], d[1]*l.values.Shape().Dim(3)
	one := hidden.Rank() == 3
	if one {
		hidden = ExpandAxes(hidden, 1)
	}
	h, masks := hidden.Shape(), hidden.Shape().Dim(1)
	want(h.DType == dtypes.Bool && h.Rank() == 4 && h.Dim(0) == rows && h.Dim(2) == queries && h.Dim(3) == entities,
		"EntityAttention takes hidden (Bool)[row, mask, query, entity] with %d queries beside x %s, got %s", queries, l.x.Shape(), h)
	want(absent.DType() == dtypes.Bool && absent.Rank() == 2 && absent.Shape().Dim(0) == rows && absent.Shape().Dim(1) == queries,
		"EntityAttention takes absent (Bool)[row, query] with %d queries beside x %s, got %s", queries, l.x.Shape(), absent.Shape())
	whole := []int{rows, heads, masks, queries, entities}
	logits, hidden := BroadcastToDims(ExpandAxes(l.logits, 2), whole...), BroadcastToDims(ExpandAxes(hidden, 1), whole...)
	g, dtype := logits.Graph(), logits.DType()
	low, zero := Scalar(g, dtype, -1e30), ScalarZero(g, dtype)
	// Where all is hidden, every logit is the same and the softmax finite; the second Where makes it 0.
	attention := Where(hidden, zero, SoftmaxOver(Where(hidden, low, logits), -1))
	read := Einsum("rhqe,rehd->rqhd", Reshape(attention, rows, heads, masks*queries, entities), l.values)
	out := Dense(l.scope.ResetVisited().In("out"), Reshape(read, 1, rows*masks*queries, width), width)
	out = Reshape(out, rows, masks, queries, width)
	out = Where(BroadcastToDims(Reshape(absent, rows, 1, queries, 1), rows, masks, queries, width), zero, out)
	if one {
		out = Reshape(out, rows, queries, width)
	}
	return out
}
