package ppo

import (
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
)

func bilevel() BiAC { return BiAC{LR: 0.2, Gamma: 0.99, Envs: 10, Epsilon: Linear{1, 0.2, 2000}} }

// The tables find the Stackelberg solution of every game of one step, in which greedy play without levels would differ.
func TestBiACSolvesGames(t *testing.T) {
	for _, w := range []matrix.Game{
		matrix.SkewedPenalty(-100), matrix.Mixing(), matrix.MixingReverse(), matrix.Climbing(), matrix.Preference(), matrix.Chicken(), matrix.TeamGame(), matrix.TeamClimbing(),
	} {
		l := trained(t, w, bilevel(), train.Setup{Key: rng.New(1)}, 3000)
		if got, want := (played{loop: l}).choose(t, w), stackelberg(t, w); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", w.Name, got, want)
		}
	}
}

// Coordination over ten steps ends at 29 and 24 (by backward induction).
func TestBiACSolvesSteps(t *testing.T) {
	w := matrix.Coordination()
	b := bilevel()
	b.Epsilon = Linear{1, 0.1, 20_000}
	l := trained(t, w, b, train.Setup{Key: rng.New(1)}, 40_000)
	result, err := eval.Run(t.Context(), w, l.Learner.Policy(), rng.New(1), eval.Plan{Stream: "eval", Episodes: 1, Envs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Returns[0]; got != 26.5 { // mean over the agents
		t.Errorf("greedy play is worth %v, want 26.5", got)
	}
}

func TestBiACResumes(t *testing.T) {
	traintest.Resume(t, matrix.Coordination(), bilevel(), 900)
}

func TestBiACRefuses(t *testing.T) {
	market, err := oligopoly.Market{Firms: 2}.New()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = bilevel().Build(train.Setup{Env: market})
	wantLine(t, err, "oligopoly/2 has 2 agents, 0 action heads and continuous actions of size 1, want 2, 1 and 0 for biac")
	b := bilevel()
	b.LR = 2
	_, _, err = b.Build(train.Setup{Env: matrix.Climb{}})
	wantLine(t, err, "a learning rate of 2")
}
