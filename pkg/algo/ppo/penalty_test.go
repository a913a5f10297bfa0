package ppo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/muster-marl/muster/pkg/env/matrix"
)

// logitsOf follows the exact policy gradients of two agents with a table of logits each in a game of one step, under
// the schedule, floor, normalisation and optimiser of Ours at 20,000 plays: neither networks nor chance. rate is Adam's.
func logitsOf(g matrix.Game, rate float64, seed uint64) [2]int {
	const updates, epochs, floor = 200, 5, 0.03
	entropy := Linear{1, 0.01, updates * 7 / 10}
	r := rand.New(rand.NewPCG(seed, 0))
	var z, m, v [2][3]float64
	for i := range z {
		for a := range z[i] {
			z[i][a] = 1e-3 * r.NormFloat64()
		}
	}
	for t := 1; t <= updates*epochs; t++ {
		var soft, pi [2][3]float64
		for i := range z {
			sum := 0.0
			for _, x := range z[i] {
				sum += math.Exp(x)
			}
			for a, x := range z[i] {
				soft[i][a] = math.Exp(x) / sum
				pi[i][a] = (1-floor)*soft[i][a] + floor/3
			}
		}
		var q [2][3]float64 // of each agent's choices, the other playing its policy
		mean, square := 0.0, 0.0
		for a := range 3 {
			for b := range 3 {
				pay, p := g.Table.At(a, b)[0], pi[0][a]*pi[1][b] // both receive the same
				q[0][a] += pi[1][b] * pay
				q[1][b] += pi[0][a] * pay
				mean, square = mean+p*pay, square+p*pay*pay
			}
		}
		deviation := max(math.Sqrt(max(square-mean*mean, 0)), 2.3)
		for i := range z {
			var slope [3]float64
			along := 0.0
			for a := range slope {
				slope[a] = (q[i][a]-mean)/deviation - entropy.At(int64((t-1)/epochs))*(math.Log(pi[i][a])+1)
				along += soft[i][a] * slope[a]
			}
			for a := range slope {
				d := (1 - floor) * soft[i][a] * (slope[a] - along)
				m[i][a], v[i][a] = 0.9*m[i][a]+0.1*d, 0.999*v[i][a]+0.001*d*d
				z[i][a] += rate * m[i][a] / (1 - math.Pow(0.9, float64(t))) / (math.Sqrt(v[i][a]/(1-math.Pow(0.999, float64(t)))) + 1e-5)
			}
		}
	}
	var best [2]int
	for i := range z {
		for a := range z[i] {
			if z[i][a] > z[i][best[i]] {
				best[i] = a
			}
		}
	}
	return best
}

// Where simultaneous learners end in Penalty(−100) is a matter of speed: logits that follow the falling entropy coefficient
// fast leave the mixture of both risky actions for (0, 2) together, slower ones settle for the safe (1, 1) first. MAPPO's
// networks are among the fast ones under Ours, among the slow ones at a tenth of its learning rate (TestOneStepGames).
func TestPenaltyIsAMatterOfSpeed(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want [2]int
	}{{5e-4, [2]int{1, 1}}, {2e-3, [2]int{1, 1}}, {2e-2, [2]int{0, 2}}, {1e-1, [2]int{0, 2}}} {
		for seed := range uint64(5) {
			if got := logitsOf(matrix.SkewedPenalty(-100), c.rate, seed); got != c.want {
				t.Errorf("rate %g, seed %d: %v, want %v", c.rate, seed, got, c.want)
			}
		}
	}
}
