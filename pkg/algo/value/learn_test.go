package value

import (
	"math"
	"os"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// TestLearnsTakeout trains couriers who know the direction of their customer (an option of takeout Mini, V = 2)
// for 100 episodes. They deliver most orders; random couriers deliver 4 %, scripted ones that know the direction
// 86 %. Its twin learns from targets of other transitions, everything else equal, and must stay far below.
// docs/systems/takeout.md has what three seeds measured.
func TestLearnsTakeout(t *testing.T) {
	seeds := uint64(1)
	if os.Getenv("MUSTER_LONG") == "1" {
		seeds = 3
	}
	for seed := range seeds {
		net, short := TakeoutMini()
		short.Warmup, short.Epsilon.Factor = 1000, math.Pow(0.1, 1/12_000.0)
		whole := IndependentDQN(net, short)
		if got := completion(t, whole, seed); got < 40 {
			t.Errorf("seed %d: %.1f %% of the orders are delivered, want at least 40", seed, got)
		}
		if got := completion(t, shuffled(whole), seed); got > 15 {
			t.Errorf("seed %d: with shuffled targets %.1f %% are delivered: the check would not notice a broken method", seed, got)
		}
	}
}

// shuffled is the twin of s that learns from targets of other samples.
func shuffled(s System) System {
	s.Name, s.Target = "twin", func(online, target, avail *Node) *Node {
		v := DoubleQ(online, target, avail) // [time, batch, agent], moved on by one in the batch
		return Concatenate([]*Node{Slice(v, AxisRange(), AxisRangeToEnd(1)), Slice(v, AxisRange(), AxisRangeFromStart(1))}, 1)
	}
	return s
}

// result runs e to its end, and returns the run and its last evaluation.
func result(t *testing.T, e *train.Experiment) (*run.Run, *run.Evaluation) {
	t.Helper()
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := run.Open(e.Progress().Dir)
	if err != nil {
		t.Fatal(err)
	}
	final, err := r.Final("")
	if err != nil {
		t.Fatal(err)
	}
	return r, final
}

func completion(t *testing.T, s System, seed uint64) float64 {
	t.Helper()
	w := takeout.Mini()
	w.View, w.CustomerVector = 2, true
	e := &train.Experiment{
		Env: w, Method: s, Seed: seed, Steps: 20_000, Dir: t.TempDir(),
		Eval: train.Eval{Episodes: 20, Mode: policy.Mode{Epsilon: 0.1}},
	}
	_, final := result(t, e)
	t.Logf("seed %d, %s: %.1f %% in %.1f s of training", seed, s.Name, 100*stats.Mean(final.Values("delivered"))/stats.Mean(final.Values("generated")), e.Progress().Seconds)
	return 100 * stats.Mean(final.Values("delivered")) / stats.Mean(final.Values("generated"))
}
