package nn

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// The tests of this file state what is wrong with the tensor library (GoMLX v0.28.2) and what this package
// does instead. One that fails tells that an upgrade has repaired it: the detour, and the test, can go.

// TestLibraryEvenKernels: the gradient of a convolution by its input is wrong, silently, if the kernel is even.
func TestLibraryEvenKernels(t *testing.T) {
	const size = 5
	each(t, func(t *testing.T, d *xla.Device) {
		for k := 2; k <= 3; k++ {
			out := size - k + 1
			image, kernel, up := noise("x", 1, size, size, 1), noise("kernel", k, k, 1, 1), noise("up", 1, out, out, 1)
			x, w, u := wide(image.X), wide(kernel.X), wide(up.X)
			want := differences(x, func() (sum float64) {
				for i := range out * out {
					for j := range k * k {
						sum += u[i] * w[j] * x[(i/out+j/k)*size+i%out+j%k]
					}
				}
				return sum
			})
			got, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
				return Gradient(ReduceAllSum(Mul(Convolve(in[0], in[1]).NoPadding().Done(), in[2])), in[0])
			}, image, kernel, up)
			if err != nil {
				t.Fatalf("kernels of size %d are refused now: %v", k, err)
			}
			var off float64
			for i, g := range wide(got[0].([]float32)) {
				off = max(off, math.Abs(g-want[i]))
			}
			switch right := off < 1e-4; {
			case k == 2 && right:
				t.Error("the gradient of even kernels is right now: no need to avoid them")
			case k == 3 && !right:
				t.Errorf("the gradient of odd kernels is off by %v: this test is wrong, or the library has got worse", off)
			}
		}
	})
}

// TestLibraryPad: Pad has no gradient, so zeroBorder concatenates.
func TestLibraryPad(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		_, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			y := Pad(in[0], ScalarZero(in[0].Graph(), in[0].DType()), compute.PadAxis{Start: 1, End: 1})
			return Gradient(ReduceAllSum(Square(y)), in[0])
		}, noise("x", 3))
		if err == nil || !strings.Contains(err.Error(), "no gradient") {
			t.Errorf("Pad has a gradient now (%v): zeroBorder could use it", err)
		}
	})
}

// TestLibraryIf: If passes no gradient to what its branches capture (zero on the Go backend, XLA refuses to
// capture), so Where is used throughout.
func TestLibraryIf(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		out, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			g := in[0].Graph()
			twice := NewClosure(g, func(*Graph) []*Node { return []*Node{Add(in[0], in[0])} })
			once := NewClosure(g, func(*Graph) []*Node { return []*Node{in[0]} })
			y := If(GreaterThan(in[1], ScalarZero(g, in[1].DType())), twice, once)[0]
			return append([]*Node{y}, Gradient(y, in[0])...)
		}, array{Dims: nil, X: []float32{3}}, array{Dims: nil, X: []float32{1}})
		if d.Name() == "xla" {
			if err == nil {
				t.Errorf("XLA captures values in branches now: value and gradient %v", out)
			}
			return
		}
		if err != nil {
			t.Fatalf("If is refused now: %v", err)
		}
		near(t, "value", out[0], []float64{6}, 0)
		if gradient := out[1].([]float32)[0]; gradient != 0 {
			t.Errorf("If passes a gradient now: %v, right would be 2", gradient)
		}
	})
}

// TestLibraryWhile: While has no gradient, so GRU brings its own (withGradient); and XLA refuses sums inside of loops
// where the graph has a sum elsewhere, too, so GRU sums over rows by a product.
func TestLibraryWhile(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		loop := func(x *Node, step func(x *Node) *Node) *Node { // while x < 10: x = step(x)
			g := x.Graph()
			cond := NewClosure(g, func(g *Graph) []*Node {
				x := Parameter(g, "x", x.Shape())
				return []*Node{LessThan(Reshape(x), Const(g, float32(10)))}
			})
			body := NewClosure(g, func(g *Graph) []*Node { return []*Node{step(Parameter(g, "x", x.Shape()))} })
			return While(cond, body, x)[0]
		}
		double := func(x *Node) *Node { return Add(x, x) }
		sum := func(x *Node) *Node { return ReduceAndKeep(Add(x, x), ReduceSum, 0) }
		start := array{Dims: []int{1}, X: []float32{3}}
		for name, c := range map[string]struct {
			f    func(x *Node) []*Node
			want string // in the error; "" if there is none
		}{
			"a loop":                {func(x *Node) []*Node { return []*Node{loop(x, double)} }, ""},
			"its gradient":          {func(x *Node) []*Node { return Gradient(Reshape(loop(x, double)), x) }, "gradient"},
			"sums in it and before": {func(x *Node) []*Node { return []*Node{loop(ReduceAndKeep(x, ReduceSum, 0), sum)} }, map[string]string{"xla": "closure"}[d.Name()]},
		} {
			out, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node { return c.f(in[0]) }, start)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s is refused: %v", name, err)
			case c.want == "":
				near(t, name, out[0], []float64{12}, 0)
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("%s is possible now (%v, %v): no need to avoid it", name, out, err)
			}
		}
	})
}
