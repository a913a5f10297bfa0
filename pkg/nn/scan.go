package nn

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// loop is what scan runs: xs [step, net, row, k] are read at one step, consts as they are; state [net, row, k] is what
// rows carry from step to step, sums what all rows add to.
type loop struct{ xs, consts, state, sums []*Node }

// scan runs body over the steps of l, backwards if reverse, and returns the body's outputs y [net, row, width] of all
// steps, [step, net, row, width], and what state and sums were at last. body gets xs at one step, consts, and state and
// sums as it returned them the step before. It may use nothing else of the graph, no scalar constants either: XLA
// refuses to capture nodes. The library has no gradient through it.
//
// On XLA it is a While, which compiles once what runs many times (written out: 45 s instead of 5 for 60 steps of GRU
// and its gradient, and no faster); with sums it runs over all steps of some of the rows, then over those of the next
// (see together). On the Go backend, which compiles nothing and cannot write into a part of an array, it is written out.
func scan(reverse bool, l loop, width int, body func(x, c, state, sums []*Node) (y *Node, next, sum []*Node)) (ys *Node, last, sums []*Node) {
	d := l.xs[0].Shape().Dimensions
	steps, nets, rows := d[0], d[1], d[2]
	if l.xs[0].Graph().Backend().Name() != "xla" {
		list, state, sums := make([]*Node, steps), l.state, l.sums
		for k := range steps {
			i := k
			if reverse {
				i = steps - 1 - k
			}
			at := make([]*Node, len(l.xs))
			for j, x := range l.xs {
				at[j] = Reshape(cut(x, 0, i, i+1), x.Shape().Dimensions[1:]...)
			}
			var y *Node
			y, state, sums = body(at, l.consts, state, sums)
			list[i] = Reshape(y, 1, nets, rows, width)
		}
		return Concatenate(list, 0), state, sums
	}
	g, dtype, size := l.xs[0].Graph(), l.xs[0].DType(), rows
	if len(l.sums) > 0 {
		size = together(l.state[0])
	}
	count := int32(steps * rows / size)
	start := []*Node{Const(g, int32(0)), Zeros(g, shapes.Make(dtype, steps, nets, rows, width))}
	for _, list := range [][]*Node{l.state, l.sums, l.xs, l.consts} {
		start = append(start, list...)
	}
	// parts are those of start's list, whatever graph they are in.
	parts := func(p []*Node) (state, sums, xs, consts []*Node) {
		p = p[2:]
		a, b, c := len(l.state), len(l.state)+len(l.sums), len(l.state)+len(l.sums)+len(l.xs)
		return p[:a], p[a:b], p[b:c], p[c:]
	}
	parameters := func(g *Graph) []*Node {
		list := make([]*Node, len(start))
		for i, n := range start {
			list[i] = Parameter(g, fmt.Sprintf("p%d", i), n.Shape())
		}
		return list
	}
	cond := NewClosure(g, func(g *Graph) []*Node { return []*Node{NotEqual(parameters(g)[0], Const(g, count))} })
	do := NewClosure(g, func(g *Graph) []*Node {
		p := parameters(g)
		state, sums, xs, consts := parts(p)
		zero, group := Const(g, int32(0)), Div(p[0], Const(g, int32(steps)))
		t, row := Sub(p[0], Mul(group, Const(g, int32(steps)))), Mul(group, Const(g, int32(size)))
		if reverse {
			t = Sub(Const(g, int32(steps-1)), t)
		}
		at, now := make([]*Node, len(xs)), make([]*Node, len(state))
		for j, x := range xs {
			k := x.Shape().Dim(3)
			at[j] = Reshape(DynamicSlice(x, []*Node{t, zero, row, zero}, []int{1, nets, size, k}), nets, size, k)
		}
		for j, s := range state {
			now[j] = DynamicSlice(s, []*Node{zero, row, zero}, []int{nets, size, s.Shape().Dim(2)})
		}
		y, next, sum := body(at, consts, now, sums)
		p[0] = Add(p[0], Const(g, int32(1)))
		p[1] = DynamicUpdateSlice(p[1], Reshape(y, 1, nets, size, width), []*Node{t, zero, row, zero})
		for j, s := range next {
			state[j] = DynamicUpdateSlice(state[j], s, []*Node{zero, row, zero})
		}
		copy(sums, sum)
		return p
	})
	final := While(cond, do, start...)
	last, sums, _, _ = parts(final)
	return final[1], last, sums
}

// together is how many rows of state [net, row, k] go at once through a loop with sums: on XLA's CPU the largest divisor of
// all rows from 24 to 64, and all of them where there is none or elsewhere. With more, a step's gradients of weights,
// which are sums over rows, are so large that the plugin hands parts of them to its threads, which takes longer than
// doing them.
func together(state *Node) int {
	rows := state.Shape().Dim(1)
	if !strings.Contains(state.Graph().Backend().Description(), "cpu") { // such as "xla:cpu - …"
		return rows
	}
	for size := min(rows, 64); size >= 24; size-- {
		if rows%size == 0 {
			return size
		}
	}
	return rows
}

// withGradient is forward(), with the gradients by in that backward returns for dy; forward may contain what the
// library cannot differentiate. in and backward's result have the same shapes.
//
// The library lets a gradient be replaced at the identity of one node only. So all of in is packed into one vector
// behind such an identity, and y is tied to its first values without changing: dy arrives there.
func withGradient(in []*Node, forward func() *Node, backward func(y, dy *Node) []*Node) *Node {
	y := StopGradient(forward())
	size, dims := y.Shape().Size(), y.Shape().Dimensions
	pack := func(list []*Node) *Node {
		n, flat := 0, []*Node(nil)
		for i, x := range list {
			want(x.Shape().Equal(in[i].Shape()), "a gradient of shape %s for %s", x.Shape(), in[i].Shape())
			n += x.Shape().Size()
			flat = append(flat, Reshape(x, x.Shape().Size()))
		}
		if n < size {
			flat = append(flat, Zeros(y.Graph(), shapes.Make(y.DType(), size-n)))
		}
		return Concatenate(flat, 0)
	}
	first := func(v *Node) *Node { return Reshape(cut(v, 0, 0, size), dims...) }
	tie := first(IdentityWithCustomGradient(pack(in), func(_, v *Node) *Node { return pack(backward(y, first(v))) }))
	return Add(y, Sub(tie, StopGradient(tie)))
}
