package value

import (
	"fmt"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	game "github.com/muster-marl/muster/pkg/env/matching"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// matchingGame is REFIL without memory and with a linear mixer, of width 64, for the group-matching game; lambda 0 is
// AQMIX. As in its code (shariqiqbal2810/REFIL, src/config/algs/refil_group_matching.yaml, runners/parallel_runner.py)
// exploration falls within 5,000 steps, 2,000 episodes are kept, every episode makes an update, and the clock's end is
// bootstrapped. Optimiser, batch and target copies are ours: the code's RMSprop at 5e-4 with copies every 200 updates is
// made for a million steps, and 100,000 of them, 2,400 updates, lead nowhere (docs/systems/teamformation.md).
func matchingGame(lambda float64) System {
	w, t := Width{Attention: 64, Heads: 4, Memory: 64, Hyper: 64, Mixing: 32}, Paper()
	t.UpdateEpisodes, t.Epsilon.Steps, t.Buffer, t.TimeOutEnds = 1, 5000, 2000, false
	t.LR, t.Optimiser, t.Batch, t.TargetEvery = 2e-3, nil, 16, 50
	sys := REFIL(lambda, w, t)
	if lambda == 0 {
		sys = AQMIX(w, t)
	}
	sys.Agent, sys.Mixer = FeedForward(func(s *model.Scope, in Inputs) *Node {
		h := perceive(s, in, described(in), w)
		return ofPresent(layer(s.In("q"), h, in.Spec.Choices()), in)
	}), LinearFlexible(w)
	return sys
}

// TestT20GroupMatching: agents who have to meet those of their group, AQMIX in 60,000 of the 100,000 steps that the
// specification allows; see long. Of episodes played at random 59 % are solved, with a return of −1.62; where all walk to
// the first of their group all are, with 2.62 (matching.TestReference).
func TestT20GroupMatching(t *testing.T) {
	for _, c := range []struct {
		sys   System
		steps int64
	}{{matchingGame(0), 60_000}, {matchingGame(0.5), 100_000}} {
		reached, asked := 0, 0
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", c.sys.Name, seed), func(t *testing.T) {
				if solvesMatching(t, c.sys, seed, c.steps) {
					reached++
				}
				asked++
			})
		}
		if asked == 3 && reached < 2 {
			t.Errorf("%s: %d of 3 seeds solve 95 %% with a return of 2, want at least 2 seeds", c.sys.Name, reached)
		}
	}
	t.Run("twin", func(t *testing.T) {
		t.Setenv("MUSTER_RESULTS", "") // no result of a method
		if solvesMatching(t, shuffled(matchingGame(0)), 0, 60_000) {
			t.Error("with shuffled targets the game is solved, too: the check would not notice a broken method")
		}
	})
}

func solvesMatching(t *testing.T, s System, seed uint64, steps int64) bool {
	final := long(t, s, game.NewGroups(4, 6), seed, steps, train.Eval{Every: 20_000, Episodes: 50, Final: 400})
	total := stats.Mean(final.Values("return"))
	t.Logf("solves %.3f with a return of %.2f", wins(final), total)
	return wins(final) >= 0.95 && total >= 2
}
