package value

import (
	"context"
	"testing"

	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/team"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// smallest are sizes for tests that are not about learning.
func smallest() Width {
	return Width{Attention: 8, Heads: 2, Memory: 8, Hyper: 8, Mixing: 4, Encoder: 4}
}

// brief is SZ with leaders whose episodes end after 24 steps.
func brief(leaders int, sizes ...int) battle.World {
	w := battle.SZ(sizes...).WithLeaders(leaders)
	w.Limit = 24
	return w
}

// briefly are constants that make an update for each such episode.
func briefly() Training {
	t := Tiny()
	t.Batch, t.Buffer, t.Envs, t.UpdateEpisodes, t.TargetEvery = 4, 20, 4, 1, 7
	return t
}

// TestMatchedRuns trains each rule for some forty episodes, and judges it on sizes 6, 7 and 8 with all numbers of leaders. Deferred
// acceptance leaves no pair that blocks it; teams that are dealt out, and the one team of all, never change; the loss
// that keeps groups apart falls from where it began.
func TestMatchedRuns(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	w, short := smallest(), briefly()
	for _, s := range []System{OOM(w, short), SOM(w, short), Matched(team.Random(), w, short), Matched(team.Fixed(), w, short), Matched(team.None(), w, short)} {
		t.Run(s.Name, func(t *testing.T) {
			e := &train.Experiment{
				Env: brief(2, 3, 4, 5), Method: s, Seed: 1, Steps: 1000, Dir: t.TempDir(), LogEvery: 100,
				Eval: train.Eval{Episodes: 2, Cells: brief(2, 3, 4, 5).Cells(6, 7, 8)},
			}
			if err := e.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			r, err := run.Open(e.Dir)
			if err != nil {
				t.Fatal(err)
			}
			curves, err := r.Curves("sd_loss", "sd_grad_norm", "imagined_loss", "switching_rate", "instability")
			if err != nil {
				t.Fatal(err)
			}
			most := func(name string) (most float64) {
				for _, p := range curves[name] {
					most = max(most, p.Value)
				}
				return most
			}
			switched := most("switching_rate")
			if fixed := s.Name == "matched-fixed" || s.Name == "matched-none"; fixed != (switched == 0) || switched >= 1 {
				t.Errorf("up to %v of the followers change their leader, want none of fixed teams, else some and not all", switched)
			}
			if unstable := most("instability"); s.Name == "oom" && unstable > 0 || s.Name == "matched-random" && unstable == 0 {
				t.Errorf("up to %v of the matchings are unstable", unstable)
			}
			sd := curves["sd_loss"]
			if first, last := sd[0].Value, sd[len(sd)-1].Value; s.Name == "oom" && last >= first {
				t.Errorf("the loss of similarity and diversity goes from %v to %v, want a fall", first, last)
			}
			for _, cell := range []string{"", "6-l2", "6-l3", "7-l2", "7-l3", "8-l2", "8-l3", "8-l4"} {
				if final, err := r.Final(cell); err != nil || final.Episodes != 2 {
					t.Errorf("cell %q: %v, %v", cell, final, err)
				}
			}
		})
	}
}

// TestMatchedResumes: runs that were interrupted, while groups are held and while they are drawn, equal those that were not.
func TestMatchedResumes(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	held := OOM(smallest(), briefly())
	held.Group.Every = 5
	for _, s := range []System{held, SOM(smallest(), briefly()), Matched(team.Random(), smallest(), briefly())} {
		t.Run(s.Name, func(t *testing.T) { traintest.Resume(t, brief(2, 3, 4, 5), s, 250) })
	}
	t.Run("xla", func(t *testing.T) {
		list := backends(t)
		t.Setenv("GOMLX_BACKEND", list[len(list)-1])
		traintest.Resume(t, brief(2, 3, 4, 5), held, 250)
	})
}
