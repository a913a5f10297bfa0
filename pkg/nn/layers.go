package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Dense is y = x·w + b for a stack of networks: x [net, row, in] → [net, row, out].
func Dense(s *model.Scope, x *Node, out int) *Node {
	want(x.Rank() == 3, "Dense takes [net, row, in], got %s", x.Shape())
	nets, in := x.Shape().Dim(0), x.Shape().Dim(2)
	w := Variable(s, x.Graph(), "w", FanIn, in, nets, in, out)
	b := Variable(s, x.Graph(), "b", FanIn, in, nets, 1, out)
	return Add(product(x, w), b)
}

// product is a·b of each network: [net, i, j]·[net, j, k]. One network is a plain product: backends have a
// faster path for it.
func product(a, b *Node) *Node {
	nets, i, j, k := a.Shape().Dim(0), a.Shape().Dim(1), a.Shape().Dim(2), b.Shape().Dim(2)
	if nets == 1 {
		return Reshape(MatMul(Reshape(a, i, j), Reshape(b, j, k)), 1, i, k)
	}
	return Einsum("nij,njk->nik", a, b)
}

// Conv3 is a 3×3 convolution with stride 1 and zero padding ("same") for a stack of networks, rows last:
// x [net, channel, height, width, row] → [net, out, height, width, row]. keep leaves out the last rows and
// columns of the result that nobody reads: 0 gives the whole height or width.
//
// It multiplies kernels by patches (im2col): the library's own convolution has no stack axis and is slower on
// the Go backend. With the rows last every shift copies long runs and every product is wide (twice as fast on
// XLA as with channels last).
func Conv3(s *model.Scope, x *Node, out, keepHeight, keepWidth int) *Node {
	want(x.Rank() == 5, "Conv3 takes [net, channel, height, width, row], got %s", x.Shape())
	d := x.Shape().Dimensions
	nets, c, rows := d[0], d[1], d[4]
	h, w := orAll(keepHeight, d[2]), orAll(keepWidth, d[3])
	kernel := Variable(s, x.Graph(), "w", FanIn, 9*c, nets, out, 9*c)
	bias := Variable(s, x.Graph(), "b", FanIn, 9*c, nets, out, 1)
	y := Add(product(kernel, Reshape(patches(x, h, w), nets, 9*c, h*w*rows)), bias)
	return Reshape(y, nets, out, h, w, rows)
}

func orAll(n, all int) int {
	want(n >= 0 && n <= all, "a convolution keeps %d of %d rows or columns", n, all)
	if n == 0 {
		return all
	}
	return n
}

// patches gathers the 3×3 neighbourhoods of the first h×w cells, zero outside:
// [net, channel, height, width, row] → [net, 9·channel, h, w, row], neighbours in reading order. Columns are
// gathered before rows, which copies less than nine shifts at once (1.3 against 2.0 ms on XLA).
func patches(x *Node, h, w int) *Node {
	return shifts(shifts(x, 3, w), 2, h)
}

// shifts puts the neighbours before, at and after the first n positions of an axis behind one another as
// channels, zero outside.
func shifts(x *Node, axis, n int) *Node {
	x = zeroBorder(x, axis)
	var parts []*Node
	for d := range 3 {
		parts = append(parts, cut(x, axis, d, d+n))
	}
	return Concatenate(parts, 1)
}

// zeroBorder puts one zero before and after an axis. (Pad has no gradient in the library.)
func zeroBorder(x *Node, axis int) *Node {
	shape := x.Shape().Clone()
	shape.Dimensions[axis] = 1
	zero := Zeros(x.Graph(), shape)
	return Concatenate([]*Node{zero, x, zero}, axis)
}

// cut keeps from ≤ index < to of one axis.
func cut(x *Node, axis, from, to int) *Node {
	spec := make([]SliceAxisSpec, x.Rank())
	for a := range spec {
		spec[a] = AxisRange()
	}
	spec[axis] = AxisRange(from, to)
	return Slice(x, spec...)
}

// MaxPool2 takes the maximum of 2×2 cells with stride 2, leaving out an odd last row or column:
// [net, channel, height, width, row] → [net, channel, height/2, width/2, row].
func MaxPool2(x *Node) *Node {
	d := x.Shape().Dimensions
	want(x.Rank() == 5 && d[2] > 1 && d[3] > 1, "MaxPool2 takes [net, channel, height ≥ 2, width ≥ 2, row], got %s", x.Shape())
	h, w := d[2]/2, d[3]/2
	x = Reshape(cut(cut(x, 2, 0, 2*h), 3, 0, 2*w), d[0], d[1]*h, 2, w, 2*d[4])
	x = Max(cut(x, 2, 0, 1), cut(x, 2, 1, 2))
	x = Max(cut(x, 4, 0, d[4]), cut(x, 4, d[4], 2*d[4]))
	return Reshape(x, d[0], d[1], h, w, d[4])
}

// ReLU is max(x, 0).
func ReLU(x *Node) *Node { return MaxScalar(x, 0) }
