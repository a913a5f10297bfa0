package ppo

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// played is what a game showed while it was learned.
type played struct {
	greedy [][]int32 // joint action after each update
	reward []float64 // mean over agents and plays of each update, as sampled
	loop   *train.Loop
}

// learn lets s play a game of one step, plays in all.
func learn(t testing.TB, s System, w env.World, seed uint64, plays int64) played {
	t.Helper()
	start := time.Now()
	l, err := train.NewLoop(w, s, train.Setup{Key: rng.New(seed)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := played{loop: l}
	for l.Steps() < plays {
		updates := l.Updates()
		if err := l.Iterate(); err != nil {
			t.Fatal(err)
		}
		if l.Updates() > updates {
			out.greedy = append(out.greedy, out.choose(t, w))
			out.reward = append(out.reward, l.Drain()["train_return"])
		}
	}
	t.Logf("%s, seed %d: %v %v %v at the end, %.1f per play, %.1f s", s.Name, seed, out.greedy[len(out.greedy)/2], out.greedy[len(out.greedy)*8/10], out.greedy[len(out.greedy)-1], out.sampled(), time.Since(start).Seconds())
	return out
}

// choose acts greedily in the first moment of an episode.
func (p played) choose(t testing.TB, w env.World) []int32 {
	t.Helper()
	vec, err := env.NewVec(w, 1, func(int64) rng.Key { return rng.New(1) })
	if err != nil {
		t.Fatal(err)
	}
	now, err := vec.Before()
	if err != nil {
		t.Fatal(err)
	}
	act := env.NewActions(vec.Spec(), 1)
	if err := p.loop.Learner.Policy().Act(now, nil, policy.Mode{}, rng.New(1), act); err != nil {
		t.Fatal(err)
	}
	return act.Discrete
}

// held reports whether want was the greedy joint action after every update of the last fifth.
func (p played) held(want ...int32) bool {
	for _, g := range p.greedy[len(p.greedy)*4/5:] {
		if !slices.Equal(g, want) {
			return false
		}
	}
	return true
}

// sampled is the mean reward of the last tenth of all plays.
func (p played) sampled() float64 {
	last, sum := p.reward[len(p.reward)*9/10:], 0.0
	for _, x := range last {
		sum += x
	}
	return sum / float64(len(last))
}

func long() bool { return os.Getenv("MUSTER_LONG") == "1" }

func one() Transformer { return Transformer{Width: 64, Heads: 1, Blocks: 1} }
