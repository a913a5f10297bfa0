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
			x, w, u := wide(image.x), wide(kernel.x), wide(up.x)
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
		}, array{nil, []float32{3}}, array{nil, []float32{1}})
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
