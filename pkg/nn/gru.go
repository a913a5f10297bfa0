package nn

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// GRU is a gated recurrent unit over a sequence for a stack of networks (Cho et al., EMNLP 2014, in the form of
// torch.nn.GRUCell: the reset gate acts behind the recurrent product, and both products have biases):
//
//	r = σ(x·Wᵣ + bᵣ + h·Uᵣ + cᵣ)   z = σ(x·W_z + b_z + h·U_z + c_z)
//	n = tanh(x·Wₙ + bₙ + r ⊙ (h·Uₙ + cₙ))   h' = (1−z) ⊙ n + z ⊙ h
//
// x is [net, time, row, in], h0 the hidden state before the first step [net, row, hidden]; the result is h' of every
// step [net, time, row, hidden]. keep [net, time, row] is 1 where the state goes on into the step and 0 where an
// episode begins, that is, where it is 0 before the step; nil keeps it throughout, h0 included.
//
// Weights are "wi" = (Wᵣ W_z Wₙ), "wh" = (Uᵣ U_z Uₙ), "bi", "bh", all drawn from U(−1/√hidden, 1/√hidden) as in
// PyTorch. One step is the same function as a sequence: acting carries the result along as the next h0.
func GRU(s *model.Scope, x, h0, keep *Node) *Node {
	want(x.Rank() == 4, "GRU takes [net, time, row, in], got %s", x.Shape())
	nets, steps, rows, in := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)
	want(h0.Rank() == 3 && h0.Shape().Dim(0) == nets && h0.Shape().Dim(1) == rows,
		"GRU takes h0 [net, row, hidden] beside x %s, got %s", x.Shape(), h0.Shape())
	h := h0.Shape().Dim(2)
	g := x.Graph()
	wi, bi := Variable(s, g, "wi", FanIn, h, nets, in, 3*h), Variable(s, g, "bi", FanIn, h, nets, 1, 3*h)
	wh, bh := Variable(s, g, "wh", FanIn, h, nets, h, 3*h), Variable(s, g, "bh", FanIn, h, nets, 1, 3*h)
	if keep != nil {
		want(keep.Rank() == 3 && keep.Shape().Dim(0) == nets && keep.Shape().Dim(1) == steps && keep.Shape().Dim(2) == rows,
			"GRU takes keep [net, time, row] beside x %s, got %s", x.Shape(), keep.Shape())
		keep = timeFirst(ExpandAxes(keep, -1))
		h0 = Mul(h0, Reshape(cut(keep, 0, 0, 1), nets, rows, 1))
	}
	return timeFirst(recur(timeFirst(x), keep, h0, wi, bi, wh, bh))
}

// timeFirst exchanges the first two axes of four.
func timeFirst(x *Node) *Node {
	d := x.Shape().Dimensions
	if d[0] == 1 || d[1] == 1 {
		return Reshape(x, append([]int{d[1], d[0]}, d[2:]...)...)
	}
	return TransposeAllAxes(x, 1, 0, 2, 3)
}

// recur is the state after every step [time, net, row, hidden], for x [time, net, row, in] and keep [time, net, row, 1],
// which says how much of a state goes on into each step but the first; nil = all of it.
//
// All of a step is done in the loop, forward and backward, the input's product, the gates and the gradients of weights
// included: what a step needs stays in the processor's cache, and little is carried from one pass to the other.
// (Forward and backward over 120 steps of 160 rows, width 64, XLA, two cores: 84–97 ms by the clock and as much processor
// time; 89–100 and 137–157 with one product of all inputs before the loops and the gates and weights' gradients of
// all steps at once between them, of which loops only carry the state on.)
func recur(x, keep, h0, wi, bi, wh, bh *Node) *Node {
	g, steps, hidden := h0.Graph(), x.Shape().Dim(0), h0.Shape().Dim(2)
	if steps == 1 { // acting; the library can differentiate it
		return ExpandAxes(gates(Reshape(x, x.Shape().Dimensions[1:]...), h0, wi, bi, wh, bh).next(), 0)
	}
	var after []*Node // how much goes on behind each step; nil = all
	if keep != nil {
		keep = cut(keep, 0, 1, steps)
		after = []*Node{Concatenate([]*Node{keep, OnesLike(cut(keep, 0, 0, 1))}, 0)}
	}
	forward := func() *Node {
		l := loop{xs: append([]*Node{x}, after...), consts: []*Node{wi, bi, wh, bh}, state: []*Node{h0}}
		y, _, _ := scan(false, l, hidden, func(x, c, s, _ []*Node) (*Node, []*Node, []*Node) {
			h := gates(x[0], s[0], c[0], c[1], c[2], c[3]).next()
			return h, []*Node{kept(h, x[1:])}, nil
		})
		return y
	}
	return withGradient([]*Node{x, h0, wi, bi, wh, bh}, forward, func(y, dy *Node) []*Node {
		before := cut(y, 0, 0, steps-1)
		if keep != nil {
			before = Mul(before, keep)
		}
		l := loop{
			xs:     append([]*Node{x, Concatenate([]*Node{ExpandAxes(h0, 0), before}, 0), dy}, after...),
			consts: []*Node{wi, bi, wh, bh, Transpose(wi, 1, 2), Transpose(wh, 1, 2), Ones(g, shapes.Make(y.DType(), h0.Shape().Dim(0), 1, together(h0)))},
			state:  []*Node{ZerosLike(h0)}, // its gradient from later steps
			sums:   []*Node{ZerosLike(wi), ZerosLike(bi), ZerosLike(wh), ZerosLike(bh)},
		}
		dx, dh0, dw := scan(true, l, x.Shape().Dim(3), func(x, c, state, s []*Node) (*Node, []*Node, []*Node) {
			k := gates(x[0], x[1], c[0], c[1], c[2], c[3])
			dh, di, dn := k.backward(Add(kept(state[0], x[3:]), x[2]))
			return product(di, c[4]), []*Node{Add(dh, product(dn, c[5]))}, []*Node{
				Add(s[0], across(k.x, di)), Add(s[1], product(c[6], di)), // c[6]·d sums over rows: in loops XLA refuses sums
				Add(s[2], across(k.h, dn)), Add(s[3], product(c[6], dn)),
			}
		})
		return append([]*Node{dx, dh0[0]}, dw...)
	})
}

// kept is how much of state h goes on, by keep [net, row, 1]; without keep all of it.
func kept(h *Node, keep []*Node) *Node {
	if len(keep) == 0 {
		return h
	}
	return Mul(h, keep[0])
}

// step is one step: its input x [net, row, in], the state h before it [net, row, hidden], gates, and what the reset
// gate lets through, m = h·Uₙ + cₙ. No scalar constants: it is used in loops.
type step struct{ x, h, r, z, n, m *Node }

func gates(x, h, wi, bi, wh, bh *Node) step {
	k := step{x: x, h: h}
	ir, iz, i := thirds(Add(product(x, wi), bi))
	hr, hz, m := thirds(Add(product(h, wh), bh))
	k.r, k.z, k.m = Sigmoid(Add(ir, hr)), Sigmoid(Add(iz, hz)), m
	k.n = Tanh(Add(i, Mul(k.r, m)))
	return k
}

// next is h' = n + z ⊙ (h − n).
func (k step) next() *Node { return Add(k.n, Mul(k.z, Sub(k.h, k.n))) }

// backward takes the gradient d by h' to that by h as far as it goes past the product, and to those by the sums
// in the gates: by x·W + b and by h·U + c [net, row, 3·hidden].
func (k step) backward(d *Node) (dh, di, dn *Node) {
	rest := func(v, gate *Node) *Node { return Sub(v, Mul(v, gate)) } // v ⊙ (1 − gate)
	n := rest(d, k.z)
	n = Sub(n, Mul(n, Square(k.n)))
	r := rest(Mul(Mul(n, k.m), k.r), k.r)
	z := rest(Mul(Mul(d, Sub(k.h, k.n)), k.z), k.z)
	return Mul(d, k.z), Concatenate([]*Node{r, z, n}, -1), Concatenate([]*Node{r, z, Mul(n, k.r)}, -1)
}

// thirds splits [net, row, 3·hidden] into the parts of r, z and n.
func thirds(x *Node) (r, z, n *Node) {
	h := x.Shape().Dim(2) / 3
	return cut(x, 2, 0, h), cut(x, 2, h, 2*h), cut(x, 2, 2*h, 3*h)
}

// across is aᵀ·b of each network over its rows: [net, row, i], [net, row, j] → [net, i, j].
func across(a, b *Node) *Node {
	nets, rows, i, j := a.Shape().Dim(0), a.Shape().Dim(1), a.Shape().Dim(2), b.Shape().Dim(2)
	if nets == 1 {
		return Reshape(Einsum("ri,rj->ij", Reshape(a, rows, i), Reshape(b, rows, j)), 1, i, j)
	}
	return Einsum("nri,nrj->nij", a, b)
}
