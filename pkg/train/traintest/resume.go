// Package traintest holds methods to the contract of training: a run that was stopped and went on equals one
// that was never interrupted, bit for bit.
package traintest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// Resume trains method on w for two times half joint steps: once without a pause, and once interrupted in the
// middle of things, before the warm-up is over and after half of the steps, and taken up by a new Experiment
// with another number of workers. half must lie beyond the warm-up, and so that a method's rarest event, such as
// a copy of target networks, happens in both halves. It fails if anything saved, logged or evaluated differs,
// times aside, or if the finished run cannot be opened again, on the Go backend.
func Resume(t testing.TB, w env.World, method train.Method, half int64) {
	t.Helper()
	whole, parts := t.TempDir(), t.TempDir()
	play := func(dir string, until int64, workers int) run.Progress {
		t.Helper()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		fuse := fused{World: w, left: &atomic.Int64{}, blow: stop}
		fuse.left.Store(until)
		e := &train.Experiment{
			Env: fuse, Method: method, Seed: 5, Steps: 2 * half, Dir: dir,
			Eval:    train.Eval{Every: max(1, half*2/3), Episodes: 2},
			Workers: workers, LogEvery: max(1, half/7), CheckpointEvery: -1,
		}
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		return e.Progress()
	}
	const never = 1 << 60
	want := play(whole, never, 1)
	play(parts, half/9, 2)
	first := play(parts, half, 1)
	got := play(parts, never, 2)
	if first.Finished || !got.Finished {
		t.Fatalf("finished at the interruption: %v, at the end: %v; want the end alone", first.Finished, got.Finished)
	}
	if first.Updates == 0 || want.Updates <= first.Updates {
		t.Fatalf("%d updates in the first half and %d in all: too few steps to show anything", first.Updates, want.Updates)
	}
	if got.Steps != want.Steps || got.Updates != want.Updates {
		t.Errorf("resumed at %d steps, %d updates, want %d, %d", got.Steps, got.Updates, want.Steps, want.Updates)
	}
	Equal(t, parts, whole)
	if again := play(whole, never, 1); !again.Finished || again.Steps != want.Steps {
		t.Errorf("a finished run that is started again: %+v, want that of before", again)
	}
}

// fused is a world whose environments call blow after left steps of all of them together.
type fused struct {
	World env.World
	left  *atomic.Int64
	blow  func()
}

func (f fused) New() (env.Env, error) {
	e, err := f.World.New()
	if err != nil {
		return nil, err
	}
	if o, ok := e.(env.Observer); ok {
		return &fusedObserver{fusedEnv{e, f}, o}, nil
	}
	return &fusedEnv{e, f}, nil
}

type fusedEnv struct {
	env.Env
	fuse fused
}

func (f *fusedEnv) Step(act env.Actions, out *env.Step) {
	f.Env.Step(act, out)
	if f.fuse.left.Add(-1) == 0 {
		f.fuse.blow()
	}
}

type fusedObserver struct {
	fusedEnv
	env.Observer
}
