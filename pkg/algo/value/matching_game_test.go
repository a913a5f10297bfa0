package value

import (
	"os"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	game "github.com/muster-marl/muster/pkg/env/matching"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// matchingGame is REFIL without memory and with a linear mixer, as its code plays the group-matching game
// (shariqiqbal2810/REFIL, src/config/algs/refil_group_matching.yaml), of width 64; lambda 0 is AQMIX.
func matchingGame(lambda float64, steps int64) System {
	w, t := Width{Attention: 64, Heads: 4, Memory: 64, Hyper: 64, Mixing: 32}, Paper()
	t.UpdateEpisodes, t.Epsilon.Steps = 1, steps/2
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

// TestT20GroupMatching: agents who have to meet those of their group, 100,000 steps; needs MUSTER_LONG=1. Of episodes
// played at random 59 % are solved, with a return of −1.62; of those in which all walk to the first of their group all
// are, with 2.62 (matching.TestReference). The twin learns from targets of other episodes.
func TestT20GroupMatching(t *testing.T) {
	if os.Getenv("MUSTER_LONG") != "1" {
		t.Skip("takes long: needs MUSTER_LONG=1")
	}
	const steps = 100_000
	good := func(s System, seed uint64) bool {
		won, total := playMatching(t, s, seed, steps)
		return won >= 0.95 && total >= 2
	}
	for _, s := range []System{matchingGame(0, steps), matchingGame(0.5, steps)} {
		reached := 0
		for seed := range uint64(3) {
			if good(s, seed) {
				reached++
			}
		}
		if reached < 2 {
			t.Errorf("%s: %d of 3 seeds solve 95 %% with a return of 2, want at least 2 seeds", s.Name, reached)
		}
	}
	twin := matchingGame(0, steps)
	twin.Name, twin.Target = "twin", func(online, target, avail *Node) *Node {
		v := DoubleQ(online, target, avail) // [time, batch, agent], moved on by one in the batch
		return Concatenate([]*Node{Slice(v, AxisRange(), AxisRangeToEnd(1)), Slice(v, AxisRange(), AxisRangeFromStart(1))}, 1)
	}
	if good(twin, 0) {
		t.Error("with shuffled targets the game is solved, too: the check would not notice a broken method")
	}
}

func playMatching(t *testing.T, s System, seed uint64, steps int64) (won, total float64) {
	t.Helper()
	e := &train.Experiment{
		Env: game.NewGroups(4, 6), Method: s, Seed: seed, Steps: steps, Dir: t.TempDir(),
		Eval: train.Eval{Every: steps / 5, Episodes: 50, Final: 400},
	}
	r, final := result(t, e)
	curve, err := r.Metrics("return")
	if err != nil {
		t.Fatal(err)
	}
	won, total = stats.Mean(final.Values("win_rate")), stats.Mean(final.Values("return"))
	t.Logf("%s, seed %d: solves %.3f, return %.2f after %v, %d updates in %.0f s", s.Name, seed, won, total, curve, e.Progress().Updates, e.Progress().Seconds)
	return won, total
}
