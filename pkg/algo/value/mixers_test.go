package value

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/xla"
)

func randoms(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * r.NormFloat64())
	}
	return x
}

// TestMonotonic: ∂Q_tot/∂Qᵢ ≥ 0 for random states and values. The same mixer without Abs would show negative ones: of
// linear mixings of as many random weights half are.
func TestMonotonic(t *testing.T) {
	const rowsOf, n, dim = 300, 4, 6
	r := rand.New(rand.NewPCG(1, 1))
	out := onGo(t, func(s *model.Scope, in []*Node) []*Node {
		x := Inputs{State: in[1], Spec: env.Spec{Agents: n}}
		total := Monotonic(8, 16)(s, in[0], Values{}, x)
		return []*Node{Gradient(ReduceAllSum(total), in[0])[0], total}
	}, []xla.Input{xla.F32(3, rowsOf, n), xla.F32(3, rowsOf, dim)}, randoms(r, 3*rowsOf*n, 5), randoms(r, 3*rowsOf*dim, 2))
	positive := 0
	for i, g := range out[0].([]float32) {
		if g < 0 {
			t.Fatalf("∂Q_tot/∂Q is %v at %d", g, i)
		} else if g > 0 {
			positive++
		}
	}
	if all := 3 * rowsOf * n; positive < all*9/10 {
		t.Errorf("only %d of %d derivatives are above zero: the mixer hardly depends on its values", positive, all)
	}
}

// TestDuplexKeepsTheBestAction: for random values, states and weights of the mixer, of all 27 joint actions of three
// agents that are available, that of every agent's best has the highest Q_tot, and λ > 0. The twin, a sum with
// weights of any sign, does not keep it.
func TestDuplexKeepsTheBestAction(t *testing.T) {
	const games, n, k, dim, joint = 60, 3, 3, 5, 27
	r := rand.New(rand.NewPCG(2, 1))
	var q, state, taken []float32
	var avail []bool
	for range games {
		values, st := randoms(r, n*k, 3), randoms(r, dim, 2)
		can := make([]bool, n*k)
		for i := range can {
			can[i] = i%k == 1 || r.IntN(3) > 0
		}
		for j := range joint {
			q, state, avail = append(q, values...), append(state, st...), append(avail, can...)
			for _, a := range []int{j / 9, j / 3 % 3, j % 3} {
				for c := range k {
					x := float32(0)
					if c == a {
						x = 1
					}
					taken = append(taken, x)
				}
			}
		}
	}
	for _, layers := range []int{1, 3} {
		out := onGo(t, func(s *model.Scope, in []*Node) []*Node {
			x := Inputs{State: in[1], Avail: in[3], Spec: env.Spec{Agents: n}}
			v := Values{Q: in[0], Taken: in[2]}
			chosen := ReduceSum(Mul(v.Q, v.Taken), 3)
			total := Duplex(16, 4, layers)(s.In("mixer"), chosen, v, x)
			lambda := attendJointly(s.In("lambda"), in[1], in[2], 16, 4, layers)
			weights := Reshape(nn.Dense(s.In("linear"), rows(x.State), n), 1, -1, n)
			loose := ReduceAndKeep(Mul(chosen, weights), ReduceSum, 2)
			return []*Node{total, lambda, loose}
		}, []xla.Input{xla.F32(1, games*joint, n, k), xla.F32(1, games*joint, dim), xla.F32(1, games*joint, n, k), xla.Bool(1, games*joint, n, k)},
			q, state, taken, avail)
		for i, x := range out[1].([]float32) {
			if !(x > 0) {
				t.Fatalf("λ is %v at %d, want more than 0", x, i)
			}
		}
		wrong := func(total []float32) (n int) {
			for g := range games {
				best, at := float32(math.Inf(-1)), -1
				for j := range joint {
					if x := total[g*joint+j]; x > best && allowed(avail[g*joint*9:], j) {
						best, at = x, j
					}
				}
				if at != greedyJoint(q[g*joint*9:], avail[g*joint*9:]) {
					n++
				}
			}
			return n
		}
		if n := wrong(out[0].([]float32)); n != 0 {
			t.Errorf("%d layers: in %d of %d games the best joint action is not that of the agents' best", layers, n, games)
		}
		if n := wrong(out[2].([]float32)); n < games/4 {
			t.Errorf("%d layers: with weights of any sign only %d of %d games go wrong, which shows little", layers, n, games)
		}
	}
}

func allowed(avail []bool, j int) bool { return avail[j/9] && avail[3+j/3%3] && avail[6+j%3] }

func greedyJoint(q []float32, avail []bool) (j int) {
	for i := range 3 {
		best := -1
		for c := range 3 {
			if avail[i*3+c] && (best < 0 || q[i*3+c] > q[i*3+best]) {
				best = c
			}
		}
		j = j*3 + best
	}
	return j
}

// TestDuplexByHand: with a w of 2, a b of 1, one head with a key of 3 and both sigmoids at ½, λ = ¾, for values 4, 1 of
// agent 0, who does the first, and 2, 5 of agent 1, who does the first:
// Q_tot = (2·4 + 1) + (2·2 + 1) + (¾ − 1)·(0 + 2·(2 − 5)) = 15.5
func TestDuplexByHand(t *testing.T) {
	sys := additive()
	sys.Name, sys.Sees.State, sys.Mixer = "duplex", true, Duplex(8, 1, 1)
	l := build(t, sys, toy{1}, xla.Go)
	put(t, l, "/online/mixer/", map[string]map[int]float32{"w/out/b": {0: 2, 1: -2}, "b/out/b": {0: 1, 1: 1}, "lambda/key/out/b": one(0, -3)})
	s := handMade()
	s.Time, s.Obs = 1, []float32{4, 1, 2, 5, 4, 1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0}
	s.State, s.Avail, s.Reward, s.Truncated = s.State[:8], slices.Repeat([]bool{true}, 16), s.Reward[:4], s.Truncated[:2]
	s.Actions, s.Terminated, s.Filled = []int32{0, 0, 0, 0}, []float32{1, 1}, []float32{1, 1}
	updated(t, l, s, map[string]float64{"q_value": 15.5})
}
