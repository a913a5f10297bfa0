package value

import (
	"context"
	"os"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	ring "github.com/muster-marl/muster/pkg/env/matching"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// small are constants under which every rare event happens within a few hundred steps: the replay forgets, targets are
// copied, samples have several sizes.
func small() Training {
	t := PyMARL()
	t.Batch, t.Buffer, t.Envs, t.UpdateEpisodes, t.TargetEvery = 4, 20, 2, 1, 7
	t.Lambda, t.Epsilon.Steps = 0.6, 300
	return t
}

// TestResumeEveryMethod: of every method for whole episodes a run that was interrupted equals one that was not (of those with
// groups: TestMatchedResumes).
func TestResumeEveryMethod(t *testing.T) {
	for _, sys := range flatMethods(small()) {
		t.Run(sys.Name, func(t *testing.T) {
			t.Setenv("GOMLX_BACKEND", xla.Go)
			traintest.Resume(t, matrix.TwoStep{}, sys, 120)
		})
	}
	for _, sys := range entityMethods(small()) {
		t.Run(sys.Name, func(t *testing.T) {
			t.Setenv("GOMLX_BACKEND", xla.Go)
			traintest.Resume(t, shortGroups(), sys, 150)
		})
	}
	t.Run("xla/qmix", func(t *testing.T) {
		list := backends(t)
		t.Setenv("GOMLX_BACKEND", list[len(list)-1])
		traintest.Resume(t, shortGroups(), QMIX(small()), 150)
	})
}

// shortGroups is the group-matching game with episodes of at most 20 steps.
func shortGroups() env.World {
	w := ring.NewGroups(4, 6)
	w.Limit = 20
	return w
}

// TestSameSeedSameRun: the same seed gives the same run, whatever the number of workers.
func TestSameSeedSameRun(t *testing.T) {
	steps := int64(400)
	if os.Getenv("MUSTER_LONG") == "1" {
		steps = 20_000
	}
	play := func(seed uint64, workers int) string {
		e := &train.Experiment{Env: shortGroups(), Method: QMIX(small()), Seed: seed, Steps: steps, Dir: t.TempDir(), Workers: workers, LogEvery: 50}
		if err := e.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return e.Dir
	}
	traintest.Equal(t, play(3, 1), play(3, 2))
}
