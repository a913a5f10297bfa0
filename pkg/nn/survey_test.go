package nn

import (
	"fmt"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestSurvey compares Each and Mean with EntityAttention and a dense layer behind it: values, and gradients of all
// weights and of x.
func TestSurvey(t *testing.T) {
	const out = 5
	each(t, func(t *testing.T, d *xla.Device) {
		for _, masks := range []int{1, 2} {
			c := newCrowd(3, masks, 3, 5, 6, 2)
			set := func(x *Node) *Node { return GreaterThan(x, ZerosLike(x)) }
			here := func(x *Node) *Node { return Reshape(OneMinus(x), c.rows, 1, c.queries, 1) }
			slow := func(s *model.Scope, in []*Node) *Node { // [row, mask, query, out]
				y, _ := EntityAttention(s.In("att"), in[0], c.queries, set(in[1]), set(in[2]), c.heads)
				return Reshape(Dense(s.In("next"), Reshape(y, 1, -1, c.width), out), c.rows, masks, c.queries, out)
			}
			slowMean := func(s *model.Scope, in []*Node) *Node { return ReduceMean(Mul(slow(s, in), here(in[2])), 2) }
			each := func(s *model.Scope, in []*Node) *Node {
				return NewSurvey(s.In("att"), in[0], c.queries, c.heads).Each(s.In("next"), set(in[1]), set(in[2]), out)
			}
			mean := func(s *model.Scope, in []*Node) *Node {
				v := NewSurvey(s.In("att"), in[0], c.queries, c.heads)
				return ExpandAxes(v.Mean(s.In("next"), Reshape(set(in[1]), c.rows, c.queries, c.entities), set(in[2]), out), 1)
			}
			compare := func(name string, f, g func(*model.Scope, []*Node) *Node) {
				want, got := c.withGradients(t, d, f), c.withGradients(t, d, g)
				if len(want) != 7 || len(got) != 7 { // y, x, W_in, W_out, b_out, w, b
					t.Fatalf("%s: %d and %d arrays, want 7", name, len(want), len(got))
				}
				for i := range want {
					for j, x := range want[i] {
						if math.Abs(float64(x-got[i][j])) > 2e-6*(1+math.Abs(float64(x))) {
							t.Fatalf("%s, %d masks, array %d: %v at %d, want %v", name, masks, i, got[i][j], j, x)
						}
					}
				}
			}
			compare("each", slow, each)
			if masks == 1 {
				compare("mean", slowMean, mean)
			}
		}
	})
}

// TestSurveyGradients compares Attend and Mean, whose gradients are written out, with the plain definition of
// EntityAttention, and their gradients with finite differences of it. Behind Mean is the identity.
func TestSurveyGradients(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, c := range []crowd{newCrowd(3, 1, 3, 5, 6, 2), newCrowd(2, 3, 2, 4, 4, 4)} {
			store, n := NewStore(rng.New(3)), c.width
			up := noise("up", c.rows, c.masks, c.queries, n)
			got := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
				set := func(x *Node) *Node { return GreaterThan(x, ZerosLike(x)) }
				v := NewSurvey(s.In("att"), in[0], c.queries, c.heads)
				out := v.Attend(set(in[1]), set(in[2]))
				by := []*Node{in[0]}
				for _, p := range Params(s, out.Graph()) { // sorted: out/b, out/w, w
					by = append(by, p.NodeValue(out.Graph()))
				}
				result := append([]*Node{out}, Gradient(ReduceAllSum(Mul(out, in[3])), by...)...)
				if c.masks > 1 {
					return result
				}
				next := s.In("next")
				mean := v.Mean(next, Reshape(set(in[1]), c.rows, c.queries, c.entities), set(in[2]), n)
				first := Reshape(Slice(in[3], AxisRange(), AxisElem(0), AxisElem(0)), c.rows, n)
				last := []*Node{Variable(next.ResetVisited(), out.Graph(), "w", FanIn, n, 1, n, n), Variable(next.ResetVisited(), out.Graph(), "b", FanIn, n, 1, 1, n)}
				return append(append(result, mean), Gradient(ReduceAllSum(Mul(mean, first)), append(by, last...)...)...)
			}, c.x, c.hidden, c.absent, up)
			x, w, wOut, bOut := wide(c.x.x), value(t, store, "/att/w"), value(t, store, "/att/out/w"), value(t, store, "/att/out/b")
			check := func(name string, got []any, f func() []float64, up func(i int) float64, more ...[]float64) {
				near(t, name, got[0], f(), 1e-5)
				loss := func() (sum float64) {
					for i, y := range f() {
						sum += up(i) * y
					}
					return sum
				}
				for k, by := range append([][]float64{x, bOut, wOut, w}, more...) {
					near(t, fmt.Sprint(name, ": gradient ", k), got[1+k], differences(by, loss), 1e-5)
				}
			}
			attend := func() []float64 {
				y, _ := c.plain(x, w, wOut, bOut)
				return y
			}
			check("attend", got, attend, func(i int) float64 { return float64(up.x[i]) })
			if c.masks > 1 {
				continue
			}
			wNext, bNext := value(t, store, "/next/w"), value(t, store, "/next/b")
			mean := func() []float64 {
				y, out := attend(), make([]float64, c.rows*n)
				for i := range y {
					row, query, col := i/(c.queries*n), i/n%c.queries, i%n
					if c.absent.x[row*c.queries+query] > 0 {
						continue
					}
					out[row*n+col] += bNext[col] / float64(c.queries)
					for o := range n {
						out[row*n+o] += y[i] * wNext[col*n+o] / float64(c.queries)
					}
				}
				return out
			}
			check("mean", got[5:], mean, func(i int) float64 { return float64(up.x[i/n*c.queries*n+i%n]) }, wNext, bNext)
		}
	})
}

// TestRowProduct compares the gradients of RowProduct with finite differences.
func TestRowProduct(t *testing.T) {
	const rows, i, j, k = 2, 3, 4, 5
	a, b, up := noise("a", rows, i, j), noise("b", rows, j, k), noise("up", rows, i, k)
	each(t, func(t *testing.T, d *xla.Device) {
		got := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			y := RowProduct(in[0], in[1])
			return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, in[2])), in[0], in[1])...)
		}, a, b, up)
		x, w := wide(a.x), wide(b.x)
		plain := func() (y []float64) {
			for o := range rows * i * k {
				row, sum := o/(i*k), 0.0
				for c := range j {
					sum += x[o/k*j+c] * w[(row*j+c)*k+o%k]
				}
				y = append(y, sum)
			}
			return y
		}
		loss := func() (sum float64) {
			for o, y := range plain() {
				sum += float64(up.x[o]) * y
			}
			return sum
		}
		near(t, "y", got[0], plain(), 1e-5)
		near(t, "da", got[1], differences(x, loss), 1e-5)
		near(t, "db", got[2], differences(w, loss), 1e-5)
	})
}

// withGradients is y, and the gradients of the sum of its squares by x and by all weights in the order of their names.
func (c crowd) withGradients(t *testing.T, d *xla.Device, f func(*model.Scope, []*Node) *Node) (arrays [][]float32) {
	p, err := xla.Compile(d, "survey", NewStore(rng.New(3)), func(s *model.Scope, in []*Node) []*Node {
		y, by := f(s, in), []*Node{in[0]}
		for _, v := range Params(s, y.Graph()) {
			by = append(by, v.NodeValue(y.Graph()))
		}
		return append([]*Node{y}, Gradient(ReduceAllSum(Square(y)), by...)...)
	}, xla.F32(c.x.dims...), xla.F32(c.hidden.dims...), xla.F32(c.absent.dims...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Call(c.x.x, c.hidden.x, c.absent.x)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range out {
		arrays = append(arrays, x.([]float32))
	}
	return arrays
}
