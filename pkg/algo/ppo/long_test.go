package ppo

import (
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/particle"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// trained is the greedy return, mean over agents and episodes, after so many steps.
func trained(t *testing.T, s System, w env.World, seed uint64, steps int64, episodes int) float64 {
	t.Helper()
	l, err := train.NewLoop(w, s, train.Setup{Key: rng.New(seed)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for l.Steps() < steps {
		if err := l.Iterate(); err != nil {
			t.Fatal(err)
		}
	}
	got := judged(t, l.Learner.Policy(), w, seed, episodes)
	t.Logf("%s on a world of %d steps, seed %d: greedy return %.1f", s.Name, steps, seed, got)
	return got
}

func judged(t *testing.T, p policy.Policy, w env.World, seed uint64, episodes int) float64 {
	t.Helper()
	result, err := eval.Run(t.Context(), w, p, rng.New(seed), eval.Plan{Stream: "eval", Episodes: episodes, Envs: min(episodes, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return stats.Mean(result.Returns)
}

// The checks of games of several steps (8.10): Coordination's solution is worth 29 and 24, Cooperation's 13.
func TestNStepGames(t *testing.T) {
	if !long() {
		t.Skip("takes a quarter of an hour: set MUSTER_LONG=1")
	}
	const steps = 200_000
	ours := Ours(NStep(), steps)
	for _, c := range []struct {
		sys         System
		world       env.World
		want        float64
		least, most int // seeds of 5
	}{
		{STEER(one(), Token, ours), matrix.Coordination(), 26.5, 3, 5},
		{MAPPO(apart(), ours), matrix.Coordination(), 26.5, 0, 1},
		{STEER(one(), Token, ours), matrix.Cooperation(), 13, 4, 5},
	} {
		solved := 0
		for seed := range uint64(5) {
			if trained(t, c.sys, c.world, seed, steps, 1) == c.want {
				solved++
			}
		}
		if solved < c.least || solved > c.most {
			t.Errorf("%s earns %v in %d of 5 seeds, want %d to %d", c.sys.Name, c.want, solved, c.least, c.most)
		}
	}
}

// The check of spread (8.12): STEER, −66 or better, is ahead of MAPPO; random agents lie between −150 and −130.
func TestSpread(t *testing.T) {
	w := particle.SpreadSTEER()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	if random := judged(t, policy.Random(e.Spec()), w, 1, 500); random < -150 || random > -130 {
		t.Errorf("random agents earn %.1f, want −150 to −130", random)
	}
	if !long() {
		t.Skip("training takes twenty minutes: set MUSTER_LONG=1")
	}
	const steps = 1_024_000
	ours := Ours(Spreading(), steps)
	for seed := range uint64(2) {
		steer, mappo := trained(t, STEER(one(), StateSlot, ours), w, seed, steps, 500), trained(t, MAPPO(MLP{Hidden: 64}, ours), w, seed, steps, 500)
		if steer < -66 || steer < mappo {
			t.Errorf("seed %d: STEER earns %.1f and MAPPO %.1f, want at least −66, and more than MAPPO", seed, steer, mappo)
		}
	}
}

// Spread with continuous actions runs through the same engine, and 256,000 steps lead away from chance.
func TestContinuousSpread(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: set MUSTER_LONG=1")
	}
	w := particle.SpreadSTEER()
	w.Controls.Continuous = true
	s := IPPO(MLP{Hidden: 64}, Ours(Spreading(), 256_000))
	if got := trained(t, s, w, 1, 256_000, 100); got < -125 {
		t.Errorf("a return of %.1f, want −125 or better; random agents earn −139", got)
	}
}
