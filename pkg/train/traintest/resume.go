// Package traintest holds methods to the contract of training: a run that was stopped and went on equals one
// that was never interrupted, bit for bit.
package traintest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// Resume trains method on w for two times half joint steps: once without a pause, and once interrupted in the
// middle of things, before the warm-up is over and after half of the steps, and taken up by a new Experiment
// with another number of workers. half must lie beyond the warm-up. It fails if anything saved, logged or
// evaluated differs, times aside.
func Resume(t *testing.T, w env.World, method train.Method, half int64) {
	t.Helper()
	whole, parts := t.TempDir(), t.TempDir()
	play := func(dir string, until int64, workers int) run.Progress {
		t.Helper()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		e := &train.Experiment{
			Env: fused{World: w, left: &atomic.Int64{}, blow: stop}, Method: method, Seed: 5, Steps: 2 * half, Dir: dir,
			Eval:    train.Eval{Every: half * 2 / 3, Episodes: 2},
			Workers: workers, LogEvery: max(1, half/7), CheckpointEvery: -1,
		}
		e.Env.(fused).left.Store(until)
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
	for _, name := range []string{"learner", "environments", "memory", "replay", "loop"} {
		a, b := checkpoint(t, whole, name), checkpoint(t, parts, name)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: the resumed run saved other %d bytes than the uninterrupted one (%d)", name, len(b), len(a))
		}
	}
	for _, name := range known(t, whole) {
		if a, b := curve(t, whole, name), curve(t, parts, name); !samePoints(a, b) {
			t.Errorf("metric %s differs after a resumption:\n%v\nwant\n%v", name, b, a)
		}
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

// checkpoint reads a part of the newest checkpoint, nil if there is none of that name.
func checkpoint(t *testing.T, dir, name string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*", name))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return nil
	}
	data, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func known(t *testing.T, dir string) []string {
	t.Helper()
	r, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Metrics("no such metric")
	_, list, ok := strings.Cut(err.Error(), "it has ")
	if !ok {
		t.Fatal(err)
	}
	var names []string
	for _, n := range strings.Split(list, ", ") {
		if n != "seconds" {
			names = append(names, n)
		}
	}
	return names
}

// curve reads a metric of metrics.jsonl, or the means of evaluations.
func curve(t *testing.T, dir, name string) []run.Point {
	t.Helper()
	r, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	points, err := r.Metrics(name)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func samePoints(a, b []run.Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Steps != b[i].Steps || a[i].Updates != b[i].Updates || a[i].Value != b[i].Value {
			return false
		}
	}
	return true
}
