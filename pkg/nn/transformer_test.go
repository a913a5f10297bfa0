package nn

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

func TestOrthogonal(t *testing.T) {
	for _, c := range [][2]int{{5, 3}, {3, 5}, {4, 4}, {1, 6}, {6, 1}} {
		rows, cols := c[0], c[1]
		w := make([]float32, rows*cols)
		Orthogonal(2)(rng.New(1), rows, w)
		at := func(i, j int) float64 { return float64(w[i*cols+j]) }
		few, long := min(rows, cols), max(rows, cols)
		for i := range few {
			for j := range few {
				sum, want := 0.0, 0.0
				for k := range long {
					if rows <= cols {
						sum += at(i, k) * at(j, k)
					} else {
						sum += at(k, i) * at(k, j)
					}
				}
				if i == j {
					want = 4
				}
				if math.Abs(sum-want) > 1e-6 {
					t.Errorf("%d × %d: product of %d and %d is %v, want %v", rows, cols, i, j, sum, want)
				}
			}
		}
	}
}

func TestLayerNormAndGELU(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		x := array{Dims: []int{1, 1, 4}, X: []float32{1, 2, 3, 6}} // mean 3, variance 3.5
		out := call(t, d, NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node {
			return []*Node{LayerNorm(s.In("norm"), in[0]), GELU(in[0])}
		}, x)
		for i, v := range x.X {
			want := (float64(v) - 3) / math.Sqrt(3.5+1e-5)
			if got := float64(out[0].([]float32)[i]); math.Abs(got-want) > 1e-5 {
				t.Errorf("layer norm of %v is %v, want %v", v, got, want)
			}
			want = float64(v) * 0.5 * math.Erfc(-float64(v)/math.Sqrt2)
			if got := float64(out[1].([]float32)[i]); math.Abs(got-want) > 1e-5 {
				t.Errorf("GELU of %v is %v, want %v", v, got, want)
			}
		}
	})
}

// Two positions of width 2, one head, keys equal to queries. The second reads both: weights e^(k·q/√2).
func TestAttend(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		q := array{Dims: []int{1, 2, 2}, X: []float32{1, 0, 0, 2}}
		v := array{Dims: []int{1, 2, 2}, X: []float32{10, 20, 30, 40}}
		out := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			last := Slice(in[0], AxisRange(), AxisRange(1, 2))
			return []*Node{Attend(in[0], in[0], in[1], 1, true), Attend(last, in[0], in[1], 1, false), Attend(in[0], in[0], in[1], 2, true)}
		}, q, v)
		w := 1 / (1 + math.Exp(4/math.Sqrt2)) // of the first position for the second query
		want := []float64{10, 20, 10*w + 30*(1-w), 20*w + 40*(1-w)}
		for i := range want {
			if got := float64(out[0].([]float32)[i]); math.Abs(got-want[i]) > 1e-4 {
				t.Errorf("causal output %d is %v, want %v", i, got, want[i])
			}
			if i > 1 && math.Abs(float64(out[1].([]float32)[i-2]-out[0].([]float32)[i])) > 1e-4 {
				t.Errorf("alone the last query reads %v, want %v", out[1].([]float32)[i-2], out[0].([]float32)[i])
			}
		}
		second := 1 / (1 + math.Exp(4)) // of the second head, of width 1
		heads := []float64{10, 20, 20, 20*second + 40*(1-second)}
		for i := range heads {
			if got := float64(out[2].([]float32)[i]); math.Abs(got-heads[i]) > 1e-4 {
				t.Errorf("output %d of two heads is %v, want %v", i, got, heads[i])
			}
		}
	})
}

// A step of chosen networks leaves parameters and moments of the others as they are.
func TestStepNets(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, joined := range []bool{false, true} {
			store := NewStore(rng.New(1))
			one := array{Dims: nil, X: []float32{1}}
			step := func(nets func(g *Graph) *Node) map[string]xla.Value {
				call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
					g := in[0].Graph()
					w := Variable(s, g, "w", FanIn, 3, 2, 3, 1)
					p := Params(s, g)
					if grads := []*Node{OnesLike(w)}; joined {
						DefaultAdam().StepJoined(s.In("adam"), p, Join(grads, 2), in[0], in[0], nets(g))
					} else {
						DefaultAdam().StepNets(s.In("adam"), p, grads, in[0], in[0], nets(g))
					}
					return []*Node{ReduceAllSum(w)}
				}, one)
				v, err := xla.Values(store, "/")
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			first := step(func(*Graph) *Node { return nil })
			second := step(func(g *Graph) *Node { return Const(g, []bool{false, true}) })
			for path, v := range first {
				a, b := v.Flat.([]float32), second[path].Flat.([]float32)
				for i := range a {
					if same := a[i] == b[i]; same != (i < 3) {
						t.Errorf("%s[%d] stays %v, want %v", path, i, same, i < 3)
					}
				}
			}
		}
	})
}

// The gradients of weigh, and theirs, are those of the plain product: of two networks with 200 rows, that is in chunks of
// 100, whose weights are used twice. (Second derivatives are what a trust region needs.)
func TestWeigh(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		results := map[string][]any{}
		for name, by := range map[string]func(x, w *Node) *Node{"plain": product, "chunks": weigh} {
			results[name] = call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
				x, w := in[0], in[1]
				y := by(Tanh(by(x, w)), w)
				first := Gradient(ReduceAllSum(Square(y)), x, w)
				size := Add(ReduceAllSum(Square(first[0])), ReduceAllSum(Sin(first[1])))
				return append(append([]*Node{y}, first...), Gradient(size, x, w)...)
			}, noise("x", 2, 200, 5), noise("w", 2, 5, 5))
		}
		for i, what := range []string{"y", "dx", "dw", "second derivative by x", "second derivative by w"} {
			got, want, largest := wide(results["chunks"][i].([]float32)), wide(results["plain"][i].([]float32)), 0.0
			for _, v := range want {
				largest = max(largest, math.Abs(v))
			}
			for k := range want {
				if !(math.Abs(got[k]-want[k]) <= 1e-5*largest) {
					t.Fatalf("%s[%d] = %v, want %v; the largest is %v", what, k, got[k], want[k], largest)
				}
			}
		}
	})
	for rows, want := range map[int]int{200: 100, 12800: 128, 101: 101, 128: 128, 144: 72, 40: 40, 9973: 9973} {
		if got := chunk(rows); got != want {
			t.Errorf("%d rows in chunks of %d, want %d", rows, got, want)
		}
	}
}
