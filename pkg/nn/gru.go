package nn

import (
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
	// One product for all steps. The biases of r and z can be added here, too; only cₙ is behind the reset gate.
	gi := Add(product(Reshape(x, nets, steps*rows, in), wi), Add(bi, zeroFrom(bh, 2*h)))
	gi = timeFirst(Reshape(gi, nets, steps, rows, 3*h))
	if keep != nil {
		want(keep.Rank() == 3 && keep.Shape().Dim(0) == nets && keep.Shape().Dim(1) == steps && keep.Shape().Dim(2) == rows,
			"GRU takes keep [net, time, row] beside x %s, got %s", x.Shape(), keep.Shape())
		keep = timeFirst(ExpandAxes(keep, -1))
	}
	return timeFirst(recur(gi, wh, cut(bh, 2, 2*h, 3*h), h0, keep))
}

// timeFirst exchanges the first two axes.
func timeFirst(x *Node) *Node {
	d := x.Shape().Dimensions
	if d[0] == 1 || d[1] == 1 {
		return Reshape(x, append([]int{d[1], d[0]}, d[2:]...)...)
	}
	return TransposeAllAxes(x, 1, 0, 2, 3)
}

// zeroFrom sets the last axis to zero from index k on.
func zeroFrom(x *Node, k int) *Node {
	shape := x.Shape().Clone()
	shape.Dimensions[2] -= k
	return Concatenate([]*Node{cut(x, 2, 0, k), Zeros(x.Graph(), shape)}, 2)
}

// gates splits [net, row, 3·hidden] into the parts of r, z and n.
func gates(x *Node) (r, z, n *Node) {
	a := x.Rank() - 1
	h := x.Shape().Dim(a) / 3
	return cut(x, a, 0, h), cut(x, a, h, 2*h), cut(x, a, 2*h, 3*h)
}

// cell is one step: the input's share gi [net, row, 3·hidden], the state h before it [net, row, hidden].
func cell(gi, h, wh, c *Node) *Node {
	ir, iz, in := gates(gi)
	hr, hz, hn := gates(product(h, wh))
	r, z := Sigmoid(Add(ir, hr)), Sigmoid(Add(iz, hz))
	n := Tanh(Add(in, Mul(r, Add(hn, c))))
	return Add(n, Mul(z, Sub(h, n)))
}

// recur is h' of every step [time, net, row, hidden] of inputs gi [time, net, row, 3·hidden]; keep [time, net, row, 1]
// or nil.
func recur(gi, wh, c, h0, keep *Node) *Node {
	steps, out := gi.Shape().Dim(0), h0.Shape().Dimensions
	with := func(x ...*Node) []*Node { // and keep, if there is one
		if keep != nil {
			x = append(x, keep)
		}
		return x
	}
	resume := func(h *Node, x []*Node) *Node { // the last of x is keep, if there is one
		if keep != nil {
			h = Mul(h, x[len(x)-1])
		}
		return h
	}
	forward := func() *Node {
		y, _ := scan(false, with(gi), []*Node{wh, c}, []*Node{h0}, out, func(x, p, s []*Node) (*Node, []*Node) {
			h := cell(x[0], resume(s[0], x), p[0], p[1])
			return h, []*Node{h}
		})
		return y
	}
	if steps == 1 { // the library can differentiate a single step
		x := with(Reshape(gi, gi.Shape().Dimensions[1:]...))
		if keep != nil {
			x[1] = Reshape(keep, keep.Shape().Dimensions[1:]...)
		}
		return ExpandAxes(cell(x[0], resume(h0, x), wh, c), 0)
	}
	return withGradient([]*Node{gi, wh, c, h0}, forward, func(y, dy *Node) []*Node {
		prev := resume(Concatenate([]*Node{ExpandAxes(h0, 0), cut(y, 0, 0, steps-1)}, 0), with())
		// What the gates were, for all steps at once: to keep them costs more than this product.
		ir, iz, in := gates(gi)
		hr, hz, hn := gates(timeFirst(perNet(timeFirst(prev), wh)))
		hn = Add(hn, ExpandAxes(c, 0))
		r, z := Sigmoid(Add(ir, hr)), Sigmoid(Add(iz, hz))
		n := Tanh(Add(in, Mul(r, hn)))
		one := OnesLike(r)
		kn := Mul(Sub(one, z), Sub(one, Square(n))) // dh' to what is inside tanh
		k := Concatenate([]*Node{Mul(kn, Mul(hn, Mul(r, Sub(one, r)))), Mul(Sub(prev, n), Mul(z, Sub(one, z))), Mul(kn, r)}, -1)
		// Backwards in time: total = dh of the later steps + dy.
		total, last := scan(true, with(dy, z, k), []*Node{Transpose(wh, 1, 2)}, []*Node{ZerosLike(h0)}, out, func(x, p, s []*Node) (*Node, []*Node) {
			t := Add(s[0], x[0])
			dh := Add(Mul(t, x[1]), product(Mul(thrice(t), x[2]), p[0]))
			return t, []*Node{resume(dh, x)}
		})
		dgh := Mul(thrice(total), k)
		dr, dz, dn := gates(dgh)
		dgi := Concatenate([]*Node{dr, dz, Mul(total, kn)}, -1)
		return []*Node{dgi, acrossRows(timeFirst(prev), timeFirst(dgh)), ExpandAxes(ReduceSum(dn, 0, 2), 1), last[0]}
	})
}

// thrice puts x behind itself along the last axis.
func thrice(x *Node) *Node { return Concatenate([]*Node{x, x, x}, -1) }

// perNet is a·b of each network for a [net, time, row, i].
func perNet(a, b *Node) *Node {
	d := a.Shape().Dimensions
	return Reshape(product(Reshape(a, d[0], d[1]*d[2], d[3]), b), d[0], d[1], d[2], b.Shape().Dim(2))
}

// acrossRows is aᵀ·b of each network over all rows and steps: [net, time, row, i], [net, time, row, j] → [net, i, j].
func acrossRows(a, b *Node) *Node {
	d, k := a.Shape().Dimensions, b.Shape().Dim(3)
	return Einsum("nri,nrj->nij", Reshape(a, d[0], d[1]*d[2], d[3]), Reshape(b, d[0], d[1]*d[2], k))
}
