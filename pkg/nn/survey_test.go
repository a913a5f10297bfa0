package nn

import (
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

// withGradients is y, and the gradients of the sum of its squares by x and by all weights in the order of their names.
func (c crowd) withGradients(t *testing.T, d *xla.Device, f func(*model.Scope, []*Node) *Node) (arrays [][]float32) {
	p, err := xla.Compile(d, "survey", NewStore(rng.New(3)), func(s *model.Scope, in []*Node) []*Node {
		y, by := f(s, in), []*Node{in[0]}
		for _, v := range Params(s, y.Graph()) {
			by = append(by, v.NodeValue(y.Graph()))
		}
		return append([]*Node{y}, Gradient(ReduceAllSum(Square(y)), by...)...)
	}, xla.F32(c.x.Dims...), xla.F32(c.hidden.Dims...), xla.F32(c.absent.Dims...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Call(c.x.X, c.hidden.X, c.absent.X)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range out {
		arrays = append(arrays, x.([]float32))
	}
	return arrays
}
