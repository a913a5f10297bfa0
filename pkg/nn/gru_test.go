package nn

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// gruShape is a case: sizes, and whether states are kept by a mask.
type gruShape struct {
	nets, steps, rows, in, hidden int
	resets                        bool
}

func (c gruShape) String() string {
	return fmt.Sprintf("%d nets, %d steps, %d rows, %d → %d, resets %v", c.nets, c.steps, c.rows, c.in, c.hidden, c.resets)
}

var gruShapes = []gruShape{
	{1, 4, 3, 2, 3, true}, {1, 5, 2, 3, 2, false}, {3, 4, 2, 2, 3, true}, {2, 3, 1, 1, 1, false}, {1, 1, 3, 2, 2, true}, {2, 1, 2, 2, 3, false}, {2, 2, 1, 3, 2, true},
	{1, 3, 1, 40, 2, true}, // the packed inputs of the gradient: much longer than y
	{1, 3, 70, 1, 1, true}, // more rows than go through a loop at once
	{2, 2, 96, 1, 1, false},
}

// keep draws where episodes begin: a third of the rows and steps.
func (c gruShape) keep() array {
	a := noise("keep", c.nets, c.steps, c.rows)
	for i, x := range a.X {
		a.X[i] = 1
		if c.resets && x < -1./3 {
			a.X[i] = 0
		}
	}
	return a
}

// plain is the definition in float64, after torch.nn.GRUCell's documentation: for each network, row and step.
func (c gruShape) plain(x, h0, keep, wi, bi, wh, bh []float64) (y []float64) {
	sigma := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	y = make([]float64, c.nets*c.steps*c.rows*c.hidden)
	for net := range c.nets {
		for row := range c.rows {
			h := append([]float64(nil), h0[(net*c.rows+row)*c.hidden:][:c.hidden]...)
			for t := range c.steps {
				at := (net*c.steps+t)*c.rows + row
				for k := range h {
					h[k] *= keep[at]
				}
				gate := func(g, k int, w, b, v []float64) float64 { // b + v·w of gate g, unit k
					sum := b[net*3*c.hidden+g*c.hidden+k]
					for i := range v {
						sum += v[i] * w[(net*len(v)+i)*3*c.hidden+g*c.hidden+k]
					}
					return sum
				}
				in, next := x[at*c.in:][:c.in], make([]float64, c.hidden)
				for k := range h {
					r := sigma(gate(0, k, wi, bi, in) + gate(0, k, wh, bh, h))
					z := sigma(gate(1, k, wi, bi, in) + gate(1, k, wh, bh, h))
					n := math.Tanh(gate(2, k, wi, bi, in) + r*gate(2, k, wh, bh, h))
					next[k] = (1-z)*n + z*h[k]
				}
				h = next
				copy(y[at*c.hidden:], h)
			}
		}
	}
	return y
}

// TestGRU compares values with the definition, and the gradients of Σ up·y by everything with its finite differences.
func TestGRU(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, c := range gruShapes {
			store, keep := NewStore(rng.New(3)), c.keep()
			x, h0 := noise("x", c.nets, c.steps, c.rows, c.in), noise("h0", c.nets, c.rows, c.hidden)
			up := noise("up", c.nets, c.steps, c.rows, c.hidden)
			out := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
				k := in[2]
				if !c.resets {
					k = nil
				}
				y := GRU(s.In("gru"), in[0], in[1], k)
				y.AssertDims(up.Dims...)
				by := []*Node{in[0], in[1]}
				for _, v := range Params(s, y.Graph()) { // sorted: bh, bi, wh, wi
					by = append(by, v.NodeValue(y.Graph()))
				}
				return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, in[3])), by...)...)
			}, x, h0, keep, up)
			x64, h64, k64, up64 := wide(x.X), wide(h0.X), wide(keep.X), wide(up.X)
			var p [4][]float64
			for i, name := range []string{"bh", "bi", "wh", "wi"} {
				p[i] = value(t, store, "/gru/"+name)
			}
			run := func() []float64 { return c.plain(x64, h64, k64, p[3], p[1], p[2], p[0]) }
			loss := func() (sum float64) {
				for i, y := range run() {
					sum += up64[i] * y
				}
				return sum
			}
			near(t, c.String()+": y", out[0], run(), 1e-5)
			for i, by := range [][]float64{x64, h64, p[0], p[1], p[2], p[3]} {
				near(t, fmt.Sprintf("%s: gradient %d of x, h0, bh, bi, wh, wi", c, i), out[1+i], differences(by, loss), 1e-5)
			}
		}
	})
}

// TestGRUSteps: a sequence in one call is the same as step by step with the state carried along, as acting does it,
// and what comes before the beginning of an episode does not matter.
func TestGRUSteps(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		const nets, steps, rows, in, hidden = 2, 6, 3, 4, 5
		store := NewStore(rng.New(4))
		layer := func(s *model.Scope, in []*Node) []*Node { return []*Node{GRU(s.In("gru"), in[0], in[1], in[2])} }
		x, h0, keep := noise("x", nets, steps, rows, in), noise("h0", nets, rows, hidden), gruShape{nets, steps, rows, in, hidden, true}.keep()
		all := wide(call(t, d, store, layer, x, h0, keep)[0].([]float32))
		p, err := xla.Compile(d, "step", store, layer, xla.F32(nets, 1, rows, in), xla.F32(nets, rows, hidden), xla.F32(nets, 1, rows))
		if err != nil {
			t.Fatal(err)
		}
		at := func(a []float32, step, size int) (out []float32) { // [net, time, …] at one step
			for net := range nets {
				out = append(out, a[(net*steps+step)*size:][:size]...)
			}
			return out
		}
		h := h0.X
		for step := range steps {
			out, err := p.Call(at(x.X, step, rows*in), h, at(keep.X, step, rows))
			if err != nil {
				t.Fatal(err)
			}
			h = append([]float32(nil), out[0].([]float32)...)
			var want []float64
			for net := range nets {
				want = append(want, all[(net*steps+step)*rows*hidden:][:rows*hidden]...)
			}
			near(t, fmt.Sprintf("step %d", step), h, want, 1e-6)
		}
		for i := range keep.X { // everything begins at step 3
			keep.X[i] = 1
			if i/rows%steps == 3 {
				keep.X[i] = 0
			}
		}
		one := wide(call(t, d, store, layer, x, h0, keep)[0].([]float32))
		for i := range x.X { // other inputs before
			if i/(rows*in)%steps < 3 {
				x.X[i] = -2 * x.X[i]
			}
		}
		two := wide(call(t, d, store, layer, x, noise("other", nets, rows, hidden), keep)[0].([]float32))
		for i := range one {
			if before := i/(rows*hidden)%steps < 3; !before && one[i] != two[i] || before && one[i] == two[i] {
				t.Fatalf("value %d, before the reset %v, is %v and %v with other inputs before it", i, before, one[i], two[i])
			}
		}
	})
}

// TestGRUWeights: PyTorch's number of values and bound: width 64 on 64 inputs has 24,960, all below 1/8.
func TestGRUWeights(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(1))
		call(t, d, store, func(s *model.Scope, in []*Node) []*Node { return []*Node{GRU(s.In("gru"), in[0], in[1], nil)} },
			noise("x", 1, 1, 1, 64), noise("h0", 1, 1, 64))
		if n := Count(store.RootScope()); n != 24_960 {
			t.Errorf("%d values, want 24,960", n)
		}
		for _, name := range []string{"wi", "wh", "bi", "bh"} {
			var most float64
			for _, w := range value(t, store, "/gru/"+name) {
				most = max(most, math.Abs(w))
			}
			if most > 0.125 || most < 0.12 {
				t.Errorf("%s: |w| ≤ %v, want nearly 1/8", name, most)
			}
		}
	})
}

func TestGRURefuses(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for want, dims := range map[string][3][]int{
			"nn: GRU takes [net, time, row, in], got (Float32)[2, 3, 4]":                                 {{2, 3, 4}, {2, 3, 5}, {2, 3, 4}},
			"nn: GRU takes h0 [net, row, hidden] beside x (Float32)[1, 2, 3, 4], got (Float32)[1, 2, 5]": {{1, 2, 3, 4}, {1, 2, 5}, {1, 2, 3}},
			"nn: GRU takes keep [net, time, row] beside x (Float32)[1, 2, 3, 4], got (Float32)[1, 3, 2]": {{1, 2, 3, 4}, {1, 3, 5}, {1, 3, 2}},
		} {
			_, err := try(t, d, NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node { return []*Node{GRU(s, in[0], in[1], in[2])} },
				noise("x", dims[0]...), noise("h0", dims[1]...), noise("keep", dims[2]...))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// BenchmarkGRU is a GRU of width 64: forward and backward over 32 episodes of 60 steps of 5 agents, forward alone, and
// one step of 64 environments of 5 agents, as in acting.
func BenchmarkGRU(b *testing.B) {
	for _, c := range []struct {
		name        string
		steps, rows int
		backward    bool
	}{{"update", 60, 32 * 5, true}, {"forward", 60, 32 * 5, false}, {"act", 1, 64 * 5, false}} {
		b.Run(c.name, func(b *testing.B) {
			const width = 64
			d, err := xla.Open("", 2)
			if err != nil {
				b.Fatal(err)
			}
			p, err := xla.Compile(d, c.name, NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node {
				y := GRU(s, in[0], Zeros(in[0].Graph(), shapes.Make(dtypes.Float32, 1, c.rows, width)), nil)
				loss := ReduceAllSum(Mul(y, in[1]))
				out, by := []*Node{loss}, []*Node{in[0]}
				if !c.backward {
					return out
				}
				for _, v := range Params(s, y.Graph()) {
					by = append(by, v.NodeValue(y.Graph()))
				}
				for _, g := range Gradient(loss, by...) {
					out = append(out, ReduceAllSum(g))
				}
				return out
			}, xla.F32(1, c.steps, c.rows, width), xla.F32(1, c.steps, c.rows, width))
			if err != nil {
				b.Fatal(err)
			}
			x, up := noise("x", 1, c.steps, c.rows, width), noise("up", 1, c.steps, c.rows, width)
			for b.Loop() {
				if _, err := p.Call(x.X, up.X); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/"+c.name)
			if !p.Loaded {
				b.ReportMetric(p.Seconds, "compile-s")
			}
		})
	}
}
