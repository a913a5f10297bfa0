package rl

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
	"github.com/muster-marl/muster/pkg/xla/xlatest"
)

// What the tests of this package are written with; their graphs have no variables.
type array = xlatest.Array

var each, near = xlatest.Each, xlatest.Near

func try(t *testing.T, d *xla.Device, f func(in []*Node) []*Node, in ...array) ([]any, error) {
	t.Helper()
	return xlatest.Try(t, d, model.NewStore(), func(_ *model.Scope, in []*Node) []*Node { return f(in) }, in...)
}

func call(t *testing.T, d *xla.Device, f func(in []*Node) []*Node, in ...array) []any {
	t.Helper()
	return xlatest.Call(t, d, model.NewStore(), func(_ *model.Scope, in []*Node) []*Node { return f(in) }, in...)
}

// TestLambda: three episodes of a sample of three steps, with γ = ½ by hand. The first ends with its second step, the
// second goes on throughout, the third stops at its second step without an end. What padding holds must not matter.
func TestLambda(t *testing.T) {
	nan := float32(math.NaN())
	reward := array{Dims: []int{3, 3, 1}, X: []float32{1, 1, 1, 2, 2, 2, nan, 3, 7}}
	next := array{Dims: []int{3, 3, 1}, X: []float32{4, 4, 4, 8, 8, 8, 9, 16, nan}}
	ends := array{Dims: []int{3, 3, 1}, X: []float32{0, 0, 0, 1, 0, 0, 1, 0, 0}}
	filled := array{Dims: []int{3, 3, 1}, X: []float32{1, 1, 1, 1, 1, 1, 0, 1, 0}}
	each(t, func(t *testing.T, d *xla.Device) {
		out := call(t, d, func(in []*Node) []*Node {
			var list []*Node
			for _, lambda := range []float64{0, 0.5, 1} {
				list = append(list, Lambda(in[0], in[1], in[2], in[3], 0.5, lambda))
			}
			return list
		}, reward, next, ends, filled)
		// One step: r + V/2, without V at an end.
		near(t, "λ = 0", out[0], []float64{3, 3, 3, 2, 6, 6, 0, 11, 0}, 0)
		// Halves of both: last steps 2, 11, 6; second 2 + (8 + 11)/4 = 6.75; first 1 + (4 + G)/4.
		near(t, "λ = ½", out[1], []float64{2.5, 3.6875, 3.5, 2, 6.75, 6, 0, 11, 0}, 0)
		// Discounted: 1 + 2/2; 1 + 2/2 + 3/4 + 16/8; 1 + 2/2 + 8/4.
		near(t, "λ = 1", out[2], []float64{2, 4.75, 4, 2, 7.5, 6, 0, 11, 0}, 0)
	})
}

// TestLambdaLoop compares samples of several lengths with the recurrence written as a loop in float64. Ends and
// filled may have a column for each k or one for all.
func TestLambdaLoop(t *testing.T) {
	const batch, k, gamma = 5, 2, 0.97
	r := rng.New(2).Rand()
	each(t, func(t *testing.T, d *xla.Device) {
		for _, time := range []int{1, 2, 7, 64} {
			for _, columns := range []int{1, k} {
				lambda := r.Float64()
				n := time * batch * k
				values := func() array {
					a := array{Dims: []int{time, batch, k}, X: make([]float32, n)}
					for i := range a.X {
						a.X[i] = float32(r.NormFloat64())
					}
					return a
				}
				reward, next := values(), values()
				ends := array{Dims: []int{time, batch, columns}, X: make([]float32, time*batch*columns)}
				filled := array{Dims: ends.Dims, X: make([]float32, len(ends.X))}
				for b := range batch {
					for c := range columns {
						last, over := r.IntN(time), r.IntN(3) > 0
						for at := range last + 1 {
							filled.X[(at*batch+b)*columns+c] = 1
						}
						if over {
							ends.X[(last*batch+b)*columns+c] = 1
						}
					}
				}
				want := make([]float64, n)
				for i := n - 1; i >= 0; i-- {
					flag := func(a array, i int) bool { return i < n && a.X[i/k*columns+i%k%columns] > 0 }
					if !flag(filled, i) {
						continue
					}
					want[i] = float64(reward.X[i])
					later := i + batch*k
					switch v := float64(next.X[i]); {
					case flag(ends, i):
					case flag(filled, later):
						want[i] += gamma * ((1-lambda)*v + lambda*want[later])
					default:
						want[i] += gamma * v
					}
				}
				out := call(t, d, func(in []*Node) []*Node {
					return []*Node{Lambda(in[0], in[1], in[2], in[3], gamma, lambda)}
				}, reward, next, ends, filled)
				near(t, fmt.Sprintf("%d steps, %d columns", time, columns), out[0], want, 1e-5)
			}
		}
	})
}

func TestLambdaRefuses(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for want, dims := range map[string][3][]int{
			"rl: Lambda takes reward and next [time, batch, k], got (Float32)[2, 3] and (Float32)[2, 3]":                                             {{2, 3}, {2, 3}, {2, 3}},
			"rl: Lambda takes reward and next [time, batch, k], got (Float32)[2, 3, 1] and (Float32)[3, 3, 1]":                                       {{2, 3, 1}, {3, 3, 1}, {2, 3, 1}},
			"rl: Lambda takes ends and filled [time, batch, k or 1] beside reward (Float32)[2, 3, 4], got (Float32)[2, 3, 2] and (Float32)[2, 3, 2]": {{2, 3, 4}, {2, 3, 4}, {2, 3, 2}},
		} {
			zero := func(dims []int) array {
				n := 1
				for _, d := range dims {
					n *= d
				}
				return array{Dims: dims, X: make([]float32, n)}
			}
			_, err := try(t, d, func(in []*Node) []*Node { return []*Node{Lambda(in[0], in[1], in[2], in[2], 1, 1)} }, zero(dims[0]), zero(dims[1]), zero(dims[2]))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// BenchmarkLambda is 32 episodes of 60 steps.
func BenchmarkLambda(b *testing.B) {
	for _, config := range []string{xla.Go, ""} {
		d, err := xla.Open(config, 2)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(d.Name(), func(b *testing.B) {
			p, err := xla.Compile(d, "lambda", nn.NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
				return []*Node{ReduceAllSum(Lambda(in[0], in[1], in[2], in[3], 0.99, 0.6))}
			}, xla.F32(60, 32, 1), xla.F32(60, 32, 1), xla.F32(60, 32, 1), xla.F32(60, 32, 1))
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float32, 60*32)
			for b.Loop() {
				if _, err := p.Call(x, x, x, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
