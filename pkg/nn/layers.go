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

// weigh is product of x [net, row, in] and weights w [net, in, out] with a gradient by w that is a sum over chunks of rows.
// In one product over all rows XLA first turns x over, number by number, which takes longer than multiplying. (9,600 rows, 64
// to 64: 2.7 ms of processor time, 1.1 in chunks of 64 to 150 rows, 2.6 of more than 1,000; a whole update of STEER
// on spread 12 to 15 % less.)
//
// The library lets a gradient be replaced at the identity of one node only. Here that of the result, which comes first in
// the backward pass, computes both gradients, and those of x and w hand them on; what the library makes of the product
// itself is not used, and left out of the program.
func weigh(x, w *Node) *Node {
	nets, rows, in, out := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), w.Shape().Dim(2)
	size := chunk(rows)
	if size == rows {
		return product(x, w)
	}
	var dx, dw *Node
	handOn := func(v *Node, gradient **Node) *Node {
		return IdentityWithCustomGradient(v, func(_, _ *Node) *Node { return *gradient })
	}
	y := product(handOn(x, &dx), handOn(w, &dw))
	return IdentityWithCustomGradient(y, func(_, dy *Node) *Node {
		split := func(v *Node) *Node { return Reshape(v, nets*rows/size, size, -1) }
		dx = product(dy, Transpose(w, 1, 2))
		dw = ReduceSum(Reshape(Einsum("cri,cro->cio", split(x), split(dy)), nets, rows/size, in, out), 1)
		return dy
	})
}

// chunk is the largest divisor of rows from 48 to 128, or rows where there is none.
func chunk(rows int) int {
	for size := 128; size >= 48; size-- {
		if rows%size == 0 {
			return size
		}
	}
	return rows
}

// Conv3 is a 3×3 convolution with stride 1 and zero padding ("same") for a stack of networks, rows last:
// x [net, channel, height, width, row] → [net, out, height, width, row]. keepHeight and keepWidth leave out the
// last rows and columns of the result that nobody reads: 0 keeps all.
//
// The library's own convolution has no stack axis and is slower on the Go backend. Here the kernel's columns
// are applied to copies of x shifted sideways, for its three rows at once, and the three results are added
// shifted up and down:
//
//	y[i] = K₀·X[i−1] + K₁·X[i] + K₂·X[i+1],  X[i] = (x[i, j−1], x[i, j], x[i, j+1])
//
// With the rows last every shift copies long runs and every product is wide. (Forward and backward of two
// layers on XLA: 3.0 ms of processor time; 4.9 with all nine shifts copied before one product, 5.0 by the
// library's convolution, 10 by its grouped one.)
func Conv3(s *model.Scope, x *Node, out, keepHeight, keepWidth int) *Node {
	want(x.Rank() == 5, "Conv3 takes [net, channel, height, width, row], got %s", x.Shape())
	d := x.Shape().Dimensions
	nets, c, rows := d[0], d[1], d[4]
	h, w := orAll(keepHeight, d[2]), orAll(keepWidth, d[3])
	kernel := Variable(s, x.Graph(), "w", FanIn, 9*c, nets, 3*out, 3*c) // [net, (kernel row, out), (kernel column, channel)]
	bias := Variable(s, x.Graph(), "b", FanIn, 9*c, nets, out)
	y := product(kernel, Reshape(shifts(x, 3, w), nets, 3*c, d[2]*w*rows))
	y = Reshape(y, nets, 3*out, d[2], w, rows)
	part := func(k, from, to int) *Node { return cut(cut(y, 1, k*out, (k+1)*out), 2, from, to) }
	zero := Zeros(x.Graph(), part(0, 0, 1).Shape())
	above, below := zero, zero
	if h > 1 {
		above = Concatenate([]*Node{zero, part(0, 0, h-1)}, 2)
	}
	switch {
	case h < d[2]:
		below = part(2, 1, h+1)
	case h > 1:
		below = Concatenate([]*Node{part(2, 1, h), zero}, 2)
	}
	return Add(Add(Add(above, part(1, 0, h)), below), Reshape(bias, nets, out, 1, 1, 1))
}

func orAll(n, all int) int {
	want(n >= 0 && n <= all, "a convolution keeps %d of %d rows or columns", n, all)
	if n == 0 {
		return all
	}
	return n
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
// [net, channel, height, width, row] → [net, channel, height/2, width/2, row]. A maximum that stands several
// times shares its gradient; that of ReduceMax alone would go to each in full, four times too much where an
// image is even.
func MaxPool2(x *Node) *Node {
	d := x.Shape().Dimensions
	want(x.Rank() == 5 && d[2] > 1 && d[3] > 1, "MaxPool2 takes [net, channel, height ≥ 2, width ≥ 2, row], got %s", x.Shape())
	h, w := d[2]/2, d[3]/2
	x = Reshape(cut(cut(x, 2, 0, 2*h), 3, 0, 2*w), d[0], d[1]*h, 2, w, 2, d[4])
	most := ReduceMax(x, 2, 4)
	fixed := StopGradient(most)
	reach := GreaterOrEqual(StopGradient(x), BroadcastToShape(ExpandAxes(fixed, 2, 4), x.Shape()))
	times := ReduceSum(ConvertDType(reach, x.DType()), 2, 4)
	return Reshape(Add(fixed, Div(Sub(most, fixed), times)), d[0], d[1], h, w, d[4])
}

// ReLU is max(x, 0).
func ReLU(x *Node) *Node { return MaxScalar(x, 0) }
