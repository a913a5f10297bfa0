package rl

import (
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// team is 8 agents in two groups of sizes n1 and n2 with embeddings of width 3: u in the first and sign·u in the
// second, u = (2, −1, 2) of length 3. The others are absent, with embeddings 0 and in no group.
func team(n1, n2 int, sign float32) (e, group, present []float32) {
	e, group, present = make([]float32, 8*3), make([]float32, 8*4), make([]float32, 8)
	for a := range n1 + n2 {
		slot, s := 2, float32(1)
		if a >= n1 {
			slot, s = 0, sign
		}
		copy(e[a*3:], []float32{2 * s, -s, 2 * s})
		group[a*4+slot], present[a] = 1, 1
	}
	return e, group, present
}

// TestSimilarityDiversity: with opposite embeddings of two groups every pair counts −1; with equal ones those of
// different groups count +1.
func TestSimilarityDiversity(t *testing.T) {
	e, group, present := array{Dims: []int{6, 8, 3}}, array{Dims: []int{6, 8, 4}}, array{Dims: []int{6, 8}}
	var want []float64
	for _, n := range [][2]int{{4, 4}, {2, 3}, {1, 1}} {
		within, across := float64(n[0]*(n[0]-1)+n[1]*(n[1]-1)), float64(2*n[0]*n[1])
		for _, sign := range []float32{-1, 1} {
			x, g, p := team(n[0], n[1], sign)
			e.X, group.X, present.X = append(e.X, x...), append(group.X, g...), append(present.X, p...)
			want = append(want, -within+float64(sign)*across)
		}
	}
	each(t, func(t *testing.T, d *xla.Device) {
		got := call(t, d, func(in []*Node) []*Node {
			l := SimilarityDiversity(in[0], in[1], GreaterThan(in[2], ZerosLike(in[2])))
			return append([]*Node{l}, Gradient(ReduceAllSum(l), in[0])...)
		}, e, group, present)
		near(t, "L", got[0], want, 1e-6)
		for i, g := range got[1].([]float32) {
			if !(math.Abs(float64(g)) < 1e-4) { // all is parallel, so nothing changes to first order
				t.Fatalf("gradient[%d] = %v, want 0", i, g)
			}
		}
	})
}

// TestSimilarityDiversityPairs compares random embeddings with the sum over pairs and its finite differences, and
// takes steps down the gradient.
func TestSimilarityDiversityPairs(t *testing.T) {
	const agents, k, slots = 6, 4, 3
	r := rng.New(6).Rand()
	x, group, present := make([]float32, agents*k), make([]float32, agents*slots), []float32{1, 1, 1, 0, 1, 1}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for a := range agents {
		if present[a] > 0 {
			group[a*slots+a%2] = 1
		}
	}
	plain := func(x []float32) (sum float64) {
		dot := func(i, j int) (sum float64) {
			for c := range k {
				sum += float64(x[i*k+c]) * float64(x[j*k+c])
			}
			return sum
		}
		for i := range agents {
			for j := range agents {
				if i == j || present[i]*present[j] == 0 {
					continue
				}
				sign := 1.0
				if i%2 == j%2 {
					sign = -1
				}
				sum += sign * dot(i, j) / ((math.Sqrt(dot(i, i)) + 1e-8) * (math.Sqrt(dot(j, j)) + 1e-8))
			}
		}
		return sum
	}
	each(t, func(t *testing.T, d *xla.Device) {
		p, err := xla.Compile(d, t.Name(), nn.NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			l := SimilarityDiversity(in[0], in[1], in[2])
			return append([]*Node{l}, Gradient(ReduceAllSum(l), in[0])...)
		}, xla.F32(1, agents, k), xla.F32(1, agents, slots), xla.F32(1, agents))
		if err != nil {
			t.Fatal(err)
		}
		at, last := append([]float32{}, x...), math.Inf(1)
		for step := range 5 {
			out, err := p.Call(at, group, present)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "L", out[0], []float64{plain(at)}, 1e-5)
			gradient := out[1].([]float32)
			for i := range gradient {
				const h = 1e-3
				above, below := append([]float32{}, at...), append([]float32{}, at...)
				above[i], below[i] = at[i]+h, at[i]-h
				want := (plain(above) - plain(below)) / float64(above[i]-below[i])
				if math.Abs(float64(gradient[i])-want) > 1e-3*(1+math.Abs(want)) {
					t.Fatalf("step %d: gradient[%d] = %v, want %v", step, i, gradient[i], want)
				}
			}
			if l := plain(at); l >= last {
				t.Errorf("step %d leads from %v to %v", step, last, l)
			} else {
				last = l
			}
			for i, g := range gradient {
				at[i] -= 0.02 * g
			}
		}
	})
}

func TestSimilarityDiversityRefuses(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		x, p := array{Dims: []int{2, 3, 4}, X: make([]float32, 24)}, array{Dims: []int{2, 4}, X: make([]float32, 8)}
		_, err := try(t, d, func(in []*Node) []*Node { return []*Node{SimilarityDiversity(in[0], in[0], in[1])} }, x, p)
		want := "rl: SimilarityDiversity takes e [row, agent, k], group [row, agent, slot] and present [row, agent], got (Float32)[2, 3, 4], (Float32)[2, 3, 4] and (Float32)[2, 4]"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	})
}
