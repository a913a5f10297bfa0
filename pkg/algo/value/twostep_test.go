package value

import (
	"os"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// exploring are the constants of the two-step game's authors where they have some (Rashid et al., ICML 2018, appendix
// B: every action at random, the last 500 episodes kept, batches of 32).
func exploring() Training {
	t := PyMARL()
	t.Buffer, t.Epsilon = 500, Decay{From: 1, Factor: 1, To: 1}
	return t
}

// greedyReturn trains and returns what an episode without exploration then pays.
func greedyReturn(t *testing.T, sys System, w env.World, seed uint64, steps int64) float64 {
	t.Helper()
	e := &train.Experiment{Env: w, Method: sys, Seed: seed, Steps: steps, Dir: t.TempDir(), Eval: train.Eval{Episodes: 1}}
	r, final := result(t, e)
	x := stats.Mean(final.Values("return"))
	t.Logf("%s on %s, seed %d: greedy return %g after %.1f s of training", sys.Name, r.World, seed, x, e.Progress().Seconds)
	return x
}

// TestTwoStepGame: after 5,000 random episodes (one seed: 2,000) QMIX plays the second table for 8, and VDN, which is QMIX with a sum as
// its mixer and so its twin without the essential part, stays at 7. Five seeds of each were measured (docs/systems/qmix.md).
func TestTwoStepGame(t *testing.T) {
	seeds, steps := uint64(1), int64(4_000)
	if os.Getenv("MUSTER_LONG") == "1" {
		seeds, steps = 5, 10_000
	}
	qmix := 0
	for seed := range seeds {
		if greedyReturn(t, QMIX(exploring()), matrix.TwoStep{}, seed, steps) == 8 {
			qmix++
		}
		if got := greedyReturn(t, VDN(exploring()), matrix.TwoStep{}, seed, steps); got != 7 {
			t.Errorf("seed %d: VDN reaches %g, want 7: a sum cannot tell what the second table is worth", seed, got)
		}
	}
	if want := (seeds*4 + 4) / 5; uint64(qmix) < want {
		t.Errorf("QMIX reaches 8 with %d of %d seeds, want %d", qmix, seeds, want)
	}
}

// TestPayoffs measures what every method makes of the climbing game (docs/systems/qmix.md): one step, so that nothing but
// the mixing matters. The 11 of the best pair is beyond a sum and a monotonic mixture, which the −30 beside it keeps away.
func TestPayoffs(t *testing.T) {
	if os.Getenv("MUSTER_LONG") != "1" {
		t.Skip("a measurement: MUSTER_LONG=1")
	}
	constants := exploring()
	wide := QPLEX(constants)
	wide.Name, wide.Mixer = "qplex-10x3", Duplex(64, 10, 3)
	for seed := range uint64(3) {
		for _, sys := range append(flatMethods(constants), wide) {
			greedyReturn(t, sys, matrix.TeamClimbing(), seed, 5_000)
		}
	}
}
