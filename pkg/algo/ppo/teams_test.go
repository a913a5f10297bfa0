package ppo

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// fighting are the constants of the short battles of docs/systems/mappo.md: MAPPO's for easy maps of SMAC, with rollouts
// of 32 × 50 steps.
func fighting() Training {
	return Released(Task{Envs: 32, Horizon: 50, LR: 5e-4, Clip: 0.2, ClipNorm: 10, Epochs: 5, Minibatches: 1, Entropy: 0.01})
}

// Teams learn 3m: 200,000 steps, five seeds. Random marines never win. With MUSTER_RESULTS the runs' summaries are written
// below that folder.
func TestTeams(t *testing.T) {
	if !long() {
		t.Skip("takes ten minutes: set MUSTER_LONG=1")
	}
	if os.Getenv("MUSTER_RUNS") == "" {
		t.Setenv("MUSTER_RUNS", t.TempDir())
	}
	net, c := MLP{Hidden: 64}, fighting()
	for _, s := range []System{MAPPO(net, c), IPPO(net, c), HAPPO(net, c)} {
		var rates []float64
		for seed := range uint64(5) {
			dir := run.Path(s.Name, "battle/3m", seed)
			e := &train.Experiment{Env: battle.Map("3m"), Method: s, Seed: seed, Steps: 200_000, Dir: dir, LogEvery: 10_000,
				Eval: train.Eval{Every: 20_000, Episodes: 32, Final: 400, Record: -1}}
			if err := e.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := run.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			final, err := r.Final("")
			if err != nil {
				t.Fatal(err)
			}
			rates = append(rates, stats.Mean(final.Values("win_rate")))
			if results := os.Getenv("MUSTER_RESULTS"); results != "" {
				if err := r.Summary(filepath.Join(results, s.Name, "battle", "3m", fmt.Sprint(seed))); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Logf("%s wins %.3f", s.Name, rates)
		if stats.Mean(rates) < 0.5 {
			t.Errorf("%s wins %.3f of its battles, want at least half", s.Name, rates)
		}
	}
}
