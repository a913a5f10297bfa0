package nn

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// scan runs body over axis 0 of xs, backwards if reverse, and returns the body's outputs y of all steps,
// [step, out…], and the last state. body gets xs at one step, consts as they are, and the state that it returned
// before. It may use nothing else of the graph, no scalar constants either: XLA refuses to capture nodes. The
// library has no gradient through it.
//
// On XLA it is a While, which compiles once what runs many times (written out: 45 s instead of 5 for 60 steps of GRU
// and its gradient, and no faster). On the Go backend, which compiles nothing and cannot write into a part of an
// array, it is written out.
func scan(reverse bool, xs, consts, state []*Node, out []int, body func(x, c, s []*Node) (y *Node, next []*Node)) (ys *Node, last []*Node) {
	steps := xs[0].Shape().Dim(0)
	if xs[0].Graph().Backend().Name() != "xla" {
		list := make([]*Node, steps)
		for k := range steps {
			i := k
			if reverse {
				i = steps - 1 - k
			}
			at := make([]*Node, len(xs))
			for j, x := range xs {
				at[j] = Reshape(cut(x, 0, i, i+1), x.Shape().Dimensions[1:]...)
			}
			var y *Node
			y, state = body(at, consts, state)
			list[i] = Reshape(y, append([]int{1}, out...)...)
		}
		return Concatenate(list, 0), state
	}
	g, dtype := xs[0].Graph(), xs[0].DType()
	first, end, by := int32(0), int32(steps), int32(1)
	if reverse {
		first, end, by = int32(steps-1), -1, -1
	}
	start := append([]*Node{Const(g, first), Zeros(g, shapes.Make(dtype, append([]int{steps}, out...)...))}, xs...)
	start = append(append(start, consts...), state...)
	parameters := func(g *Graph) []*Node {
		list := make([]*Node, len(start))
		for i, n := range start {
			list[i] = Parameter(g, fmt.Sprintf("p%d", i), n.Shape())
		}
		return list
	}
	cond := NewClosure(g, func(g *Graph) []*Node { return []*Node{NotEqual(parameters(g)[0], Const(g, end))} })
	loop := NewClosure(g, func(g *Graph) []*Node {
		p := parameters(g)
		i, buffer := p[0], p[1]
		at := make([]*Node, len(xs))
		for j := range xs {
			at[j] = stepOf(p[2+j], i)
		}
		c, s := p[2+len(xs):2+len(xs)+len(consts)], p[2+len(xs)+len(consts):]
		y, next := body(at, c, s)
		p[0] = Add(i, Const(g, by))
		p[1] = DynamicUpdateSlice(buffer, Reshape(y, append([]int{1}, out...)...), starts(buffer, i))
		copy(s, next)
		return p
	})
	final := While(cond, loop, start...)
	return final[1], final[len(final)-len(state):]
}

// stepOf is x[i].
func stepOf(x, i *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(DynamicSlice(x, starts(x, i), append([]int{1}, d[1:]...)), d[1:]...)
}

// starts is i, 0, 0, … for each axis of x.
func starts(x, i *Node) []*Node {
	list := []*Node{i}
	for range x.Rank() - 1 {
		list = append(list, Const(x.Graph(), int32(0)))
	}
	return list
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
