package nn

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
	"github.com/muster-marl/muster/pkg/xla/xlatest"
)

// What the tests of this package are written with.
type array = xlatest.Array

var each, try, call, near = xlatest.Each, xlatest.Try, xlatest.Call, xlatest.Near

// noise is an array of numbers in (−1, 1), other ones for another name.
func noise(name string, dims ...int) array {
	a := array{Dims: dims, X: make([]float32, volume(dims))}
	uniform(rng.New(1).Split(name), 1, a.X)
	return a
}

// value is the variable at path as float64.
func value(t *testing.T, store *model.Store, path string) []float64 {
	t.Helper()
	values, err := xla.Values(store, "/")
	if err != nil {
		t.Fatal(err)
	}
	v, ok := values[path]
	if !ok {
		t.Fatalf("no variable %s among %d", path, len(values))
	}
	return wide(v.Flat.([]float32))
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = float64(x[i])
	}
	return out
}

// layer is a layer as graph function and, in plain Go, from its definition: x, weights and biases to y.
type layer struct {
	name  string
	in    []int
	out   []int
	graph func(s *model.Scope, x *Node) *Node
	plain func(x, w, b []float64) []float64 // w and b are nil where there are none
}

func dense(nets, rows, in, out int) layer {
	return layer{
		name: fmt.Sprintf("dense %d nets", nets), in: []int{nets, rows, in}, out: []int{nets, rows, out},
		graph: func(s *model.Scope, x *Node) *Node { return Dense(s.In("layer"), x, out) },
		plain: func(x, w, b []float64) []float64 {
			var y []float64
			for n := range nets {
				for r := range rows {
					for o := range out {
						sum := b[n*out+o]
						for i := range in {
							sum += x[(n*rows+r)*in+i] * w[(n*in+i)*out+o]
						}
						y = append(y, sum)
					}
				}
			}
			return y
		},
	}
}

// conv takes x [nets, c, h, w, rows]; keep is what is kept of height and width, 0 all. The kernel is
// [net, (kernel row, out), (kernel column, channel)].
func conv(nets, c, h, w, rows, out int, keep [2]int) layer {
	kh, kw := orAll(keep[0], h), orAll(keep[1], w)
	return layer{
		name: fmt.Sprintf("conv %d nets %d×%d keep %v", nets, h, w, keep), in: []int{nets, c, h, w, rows}, out: []int{nets, out, kh, kw, rows},
		graph: func(s *model.Scope, x *Node) *Node { return Conv3(s.In("layer"), x, out, keep[0], keep[1]) },
		plain: func(x, k, b []float64) []float64 {
			var y []float64
			for y0 := range nets * out * kh * kw * rows {
				r, j, i, o, n := y0%rows, y0/rows%kw, y0/rows/kw%kh, y0/rows/kw/kh%out, y0/rows/kw/kh/out
				sum := b[n*out+o]
				for di := range 3 {
					for dj := range 3 {
						ii, jj := i+di-1, j+dj-1
						if ii < 0 || ii >= h || jj < 0 || jj >= w {
							continue
						}
						for ch := range c {
							sum += k[((n*3+di)*out+o)*3*c+dj*c+ch] * x[(((n*c+ch)*h+ii)*w+jj)*rows+r]
						}
					}
				}
				y = append(y, sum)
			}
			return y
		},
	}
}

func pool(nets, c, h, w, rows int) layer {
	return layer{
		name: fmt.Sprintf("pool %d×%d", h, w), in: []int{nets, c, h, w, rows}, out: []int{nets, c, h / 2, w / 2, rows},
		graph: func(_ *model.Scope, x *Node) *Node { return MaxPool2(x) },
		plain: func(x, _, _ []float64) []float64 {
			var y []float64
			for nc := range nets * c {
				for i := range h / 2 {
					for j := range w / 2 {
						for r := range rows {
							at := func(di, dj int) float64 { return x[((nc*h+2*i+di)*w+2*j+dj)*rows+r] }
							y = append(y, max(at(0, 0), at(0, 1), at(1, 0), at(1, 1)))
						}
					}
				}
			}
			return y
		},
	}
}

var relu = layer{
	name: "relu", in: []int{7}, out: []int{7},
	graph: func(_ *model.Scope, x *Node) *Node { return ReLU(x) },
	plain: func(x, _, _ []float64) []float64 {
		var y []float64
		for _, v := range x {
			y = append(y, max(v, 0))
		}
		return y
	},
}

// TestLayers compares values with the plain definition, and gradients of Σ up·y with finite differences of it:
// they are exact but for rounding, since the layers are piecewise linear.
func TestLayers(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, l := range []layer{
			dense(1, 3, 4, 2), dense(3, 5, 4, 2), dense(2, 1, 1, 1),
			conv(1, 2, 5, 3, 2, 3, [2]int{}), conv(2, 1, 4, 7, 3, 2, [2]int{3, 5}), conv(3, 2, 1, 1, 1, 2, [2]int{}), conv(1, 2, 2, 1, 1, 2, [2]int{}), conv(1, 1, 4, 3, 1, 1, [2]int{3, 3}),
			conv(2, 3, 2, 5, 1, 1, [2]int{0, 4}), conv(1, 1, 6, 2, 2, 2, [2]int{1, 1}),
			pool(1, 2, 5, 7, 3), pool(2, 1, 4, 2, 2), pool(1, 1, 2, 2, 1), pool(2, 3, 3, 3, 1), relu,
		} {
			store := NewStore(rng.New(3))
			var params int
			out := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
				y := l.graph(s, in[0])
				y.AssertDims(l.out...)
				by := []*Node{in[0]}
				for _, v := range Params(s, y.Graph()) { // sorted: b, w
					by = append(by, v.NodeValue(y.Graph()))
				}
				params = len(by) - 1
				return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, in[1])), by...)...)
			}, noise("x", l.in...), noise("up", l.out...))
			x, up := wide(noise("x", l.in...).X), wide(noise("up", l.out...).X)
			var w, b []float64
			if params > 0 {
				w, b = value(t, store, "/layer/w"), value(t, store, "/layer/b")
			}
			near(t, l.name+": y", out[0], l.plain(x, w, b), 1e-5)
			loss := func() (sum float64) {
				for i, y := range l.plain(x, w, b) {
					sum += up[i] * y
				}
				return sum
			}
			near(t, l.name+": dx", out[1], differences(x, loss), 1e-5)
			if params > 0 {
				near(t, l.name+": db", out[2], differences(b, loss), 1e-5)
				near(t, l.name+": dw", out[3], differences(w, loss), 1e-5)
			}
		}
	})
}

// differences are the central differences of f by each value of x.
func differences(x []float64, f func() float64) []float64 {
	const h = 1e-6
	var out []float64
	for i := range x {
		old := x[i]
		x[i] = old + h
		above := f()
		x[i] = old - h
		out = append(out, (above-f())/(2*h))
		x[i] = old
	}
	return out
}

// TestPoolTies: where the maximum stands several times, its gradient is shared out and not given to each.
func TestPoolTies(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		out := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			return Gradient(ReduceAllSum(Mul(MaxPool2(in[0]), in[1])), in[0])
		}, array{Dims: []int{1, 1, 2, 4, 1}, X: []float32{5, 5, 1, 7, 5, 5, 7, 0}}, array{Dims: []int{1, 1, 1, 2, 1}, X: []float32{8, 2}})
		g := wide(out[0].([]float32))
		near(t, "sums", []float32{float32(g[0] + g[1] + g[4] + g[5]), float32(g[3] + g[6]), float32(g[2] + g[7])}, []float64{8, 2, 0}, 1e-6)
	})
}

func TestLayersRefuse(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for want, f := range map[string]func(s *model.Scope, x *Node) *Node{
			"nn: Dense takes [net, row, in], got (Float32)[2, 2]":                  func(s *model.Scope, x *Node) *Node { return Dense(s, x, 1) },
			"nn: Conv3 takes [net, channel, height":                                func(s *model.Scope, x *Node) *Node { return Conv3(s, x, 1, 0, 0) },
			"nn: MaxPool2 takes [net, channel, height ≥ 2, width ≥ 2, row], got (": func(_ *model.Scope, x *Node) *Node { return MaxPool2(x) },
			"nn: a convolution keeps 3 of 2 rows or columns": func(s *model.Scope, x *Node) *Node {
				return Conv3(s, Reshape(x, 1, 1, 2, 2, 1), 1, 2, 3)
			},
		} {
			_, err := try(t, d, NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node { return []*Node{f(s, in[0])} }, noise("x", 2, 2))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// TestSameProgram: a network is traced to the same program on every backend.
func TestSameProgram(t *testing.T) {
	hashes := map[string]bool{}
	each(t, func(t *testing.T, d *xla.Device) {
		p, err := xla.Compile(d, "net", NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node {
			y := MaxPool2(ReLU(Conv3(s.In("conv"), in[0], 3, 0, 0)))
			loss := ReduceAllSum(Square(Dense(s.In("dense"), Reshape(y, 2, 1, 6), 1)))
			params := Params(s, loss.Graph())
			grads, norms := ClipByNetNorm(Gradient(loss, params[0].NodeValue(loss.Graph())), 1)
			DefaultAdam().Step(s.In("adam"), params[:1], grads, loss, loss)
			return []*Node{norms}
		}, xla.F32(2, 1, 4, 2, 1))
		if err != nil {
			t.Fatal(err)
		}
		hashes[p.Hash()] = true
	})
	if len(hashes) != 1 {
		t.Errorf("hashes %v", hashes)
	}
}
