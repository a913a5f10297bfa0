package train_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
)

// uninterrupted is the run that all others must equal.
func uninterrupted(t *testing.T) string {
	t.Helper()
	e := experiment(t.TempDir())
	must(t, e.Run(context.Background()))
	return e.Dir
}

// at lets e call do once, in the middle of its step n, those of probes and evaluations included.
func at(e *train.Experiment, n int, do func()) *train.Experiment {
	w := e.Env.(corridor)
	w.bad.step = func(*env.Step) {
		if n--; n == 0 {
			do()
		}
	}
	e.Env = w
	return e
}

func missing(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there (%v)", path, err)
	}
}

// Nobody waits for a compilation after an interrupt: the run stops with what it had, gives its directory back, and
// what the backend still does or says is lost.
func TestInterruptWhileCompiling(t *testing.T) {
	whole := uninterrupted(t)
	e := experiment(t.TempDir())
	steps := stopAt(e, 150).Steps
	ctx, stop := context.WithCancel(context.Background())
	goOn, over := make(chan struct{}), make(chan struct{})
	m := tabular()
	m.build = func(s train.Setup) {
		defer close(over)
		stop()
		<-goOn
		s.Log("compiled too late")
		panic("nor is anybody there to hear this")
	}
	late := experiment(e.Dir)
	late.Method = m
	done := make(chan error)
	go func() { done <- late.Run(ctx) }()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the interrupted run waits for its backend")
	}
	want := fmt.Sprintf("stopped at step %d while preparing", steps)
	if p := late.Progress(); p.Finished || p.Steps != steps || p.Note != want {
		t.Errorf("progress %+v, want %q at step %d", p, want, steps)
	}
	must(t, experiment(e.Dir).Run(context.Background())) // beside the backend that still compiles
	close(goOn)
	<-over
	traintest.Equal(t, e.Dir, whole)
	if log := read(t, e.Dir, "log.txt"); !strings.Contains(log, want) || strings.Contains(log, "too late") {
		t.Errorf("the log should say %q and nothing of what came later: %s", want, log)
	}
}

// An interrupt in the middle of a checkpoint, and another in that of the stop, leave whole ones.
func TestInterruptWhileSaving(t *testing.T) {
	whole := uninterrupted(t)
	e := experiment(t.TempDir())
	e.CheckpointEvery = 1
	ctx, stop := context.WithCancel(context.Background())
	saves := 0
	m := tabular()
	m.save = func() {
		if saves++; saves >= 30 {
			stop()
		}
	}
	e.Method = m
	must(t, e.Run(ctx))
	p := e.Progress()
	if p.Finished || saves != 31 || p.Note != fmt.Sprintf("stopped at step %d", p.Steps) {
		t.Errorf("%d checkpoints, progress %+v; want the 30th, that of the stop, and no further", saves, p)
	}
	list := checkpoints(t, e.Dir)
	if got := filepath.Base(list[len(list)-1]); got != fmt.Sprintf("%012d", p.Steps) {
		t.Errorf("the newest checkpoint is %s, want that of step %d", got, p.Steps)
	}
	must(t, experiment(e.Dir).Run(context.Background()))
	traintest.Equal(t, e.Dir, whole)
}

// A run whose directory is moved goes on in it and ends as if nothing had happened. Nothing of it stays at the old
// place, where another run begins and ends meanwhile.
func TestMovedWhileRunning(t *testing.T) {
	whole, folder := uninterrupted(t), t.TempDir()
	before, after := filepath.Join(folder, "before"), filepath.Join(folder, "after")
	e := experiment(before)
	e.CheckpointEvery = 1
	at(e, 250, func() {
		must(t, os.Rename(before, after))
		must(t, experiment(before).Run(context.Background()))
		wantLine(t, experiment(after).Run(context.Background()), after+" is in use by process")
	})
	must(t, e.Run(context.Background()))
	for _, dir := range []string{before, after} {
		traintest.Equal(t, dir, whole)
		if moved := strings.Contains(read(t, dir, "log.txt"), "no longer at "+before); moved != (dir == after) {
			t.Errorf("the log of %s says that it was moved: %v", dir, moved)
		}
	}

	gone := filepath.Join(folder, "gone")
	must(t, at(experiment(gone), 250, func() { must(t, os.Rename(gone, gone+"2")) }).Run(context.Background()))
	traintest.Equal(t, gone+"2", whole)
	missing(t, gone)
}

// Removing the directory stops the run with the reason, and it does not come back as a half. The same run can begin
// again there.
func TestRemovedWhileRunning(t *testing.T) {
	e := experiment(filepath.Join(t.TempDir(), "run"))
	e.CheckpointEvery = 1
	at(e, 250, func() { must(t, os.RemoveAll(e.Dir)) })
	wantLine(t, e.Run(context.Background()), e.Dir, "was removed or replaced while the run was at work")
	missing(t, e.Dir)
	must(t, experiment(e.Dir).Run(context.Background()))
	traintest.Equal(t, e.Dir, uninterrupted(t))
}

// A copy is a run of its own: it opens, goes on while the original is at work, and neither disturbs the other.
func TestCopiedWhileRunning(t *testing.T) {
	whole, copied := uninterrupted(t), filepath.Join(t.TempDir(), "copy")
	e := experiment(t.TempDir())
	e.CheckpointEvery = 1
	at(e, 250, func() {
		must(t, os.CopyFS(copied, os.DirFS(e.Dir)))
		r, err := run.Open(copied)
		must(t, err)
		if p, err := r.Metrics("loss"); err != nil || len(p) == 0 {
			t.Errorf("the copy has %d points (%v)", len(p), err)
		}
		must(t, experiment(copied).Run(context.Background()))
	})
	must(t, e.Run(context.Background()))
	traintest.Equal(t, e.Dir, whole)
	traintest.Equal(t, copied, whole)
	if !strings.Contains(read(t, copied, "log.txt"), "resumed at step") {
		t.Error("the copy has started anew")
	}
}

// start runs slow in a process of its own until it has saved twice more.
func start(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	child, had := exec.Command(os.Args[0]), checkpoints(t, dir)
	child.Env = append(os.Environ(), "MUSTER_TRAIN_SLOWLY="+dir)
	must(t, child.Start())
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	for begun := time.Now(); len(checkpoints(t, dir)) < 2 || slices.Equal(checkpoints(t, dir), had); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the child saves nothing")
		}
	}
	return child
}

// A copy may be made at any moment of a process that saves all the time. It always opens. Going on with it ends as
// without a pause, or is refused with one line where the process has replaced the checkpoints meanwhile.
func TestCopiedAtAnyMoment(t *testing.T) {
	whole := slow(t.TempDir(), 0)
	must(t, whole.Run(context.Background()))
	dir := t.TempDir()
	child := start(t, dir)
	var copies []string
	for k := range 8 {
		one := filepath.Join(t.TempDir(), "copy")
		copyNow(t, dir, one, k%2 == 1, time.Duration(k/2)*time.Millisecond) // a slow one is torn
		r, err := run.Open(one)
		must(t, err)
		_, err = r.Metrics("return")
		must(t, err)
		copies = append(copies, one)
	}
	must(t, child.Process.Kill())
	equal, gaps, refused := 0, 0, 0
	for _, one := range copies {
		err := slow(one, 0).Run(context.Background())
		switch {
		case err != nil:
			wantLine(t, err, one, "none of its checkpoints is whole")
			refused++
		case strings.Contains(read(t, one, "log.txt"), "with a gap in the lines"):
			gaps++
		default:
			traintest.Equal(t, one, whole.Dir)
			equal++
		}
	}
	t.Logf("%d copies ended as without a pause, %d so with a gap in their lines, %d had no whole checkpoint", equal, gaps, refused)
}

// copyNow copies what is there, as cp does: in some order, and passing over what goes away meanwhile.
func copyNow(t *testing.T, from, to string, backwards bool, pause time.Duration) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(t, err)
	if backwards {
		slices.Reverse(entries)
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			copyNow(t, a, b, backwards, pause)
		} else if data, err := os.ReadFile(a); err == nil {
			must(t, os.WriteFile(b, data, 0o644))
			time.Sleep(pause)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// A second process is told who works on the directory, may read meanwhile, and goes on once that one is dead.
func TestTwoProcessesOnOneDirectory(t *testing.T) {
	whole, e := slow(t.TempDir(), 0), slow(t.TempDir(), 0)
	must(t, whole.Run(context.Background()))
	child := start(t, e.Dir)
	wantLine(t, e.Run(context.Background()), fmt.Sprintf("%s is in use by process %d", e.Dir, child.Process.Pid))
	r, err := run.Open(e.Dir)
	must(t, err)
	_, err = r.Metrics("return")
	must(t, err)
	_, err = train.Open(e.Dir, small(), tabular())
	must(t, err)
	must(t, child.Process.Kill())
	if err := child.Wait(); err == nil {
		t.Fatal("the child was not killed but has ended: too few steps")
	}
	must(t, e.Run(context.Background()))
	traintest.Equal(t, e.Dir, whole.Dir)
}

// A run that is resumed with a clock that was put back by years, and stands still, ends as without that: nothing is
// decided by dates, and no time is negative.
func TestClockPutBack(t *testing.T) {
	whole, dir := uninterrupted(t), t.TempDir()
	stopAt(experiment(dir), 250)
	synctest.Test(t, func(t *testing.T) { // in which it is the year 2000
		e := experiment(dir)
		w := small()
		w.bad.step = func(*env.Step) {
			if p := e.Progress(); p.Left < 0 || p.StepsPerSecond < 0 || p.Seconds < 0 {
				t.Errorf("%v left at %v steps/s after %v s", p.Left, p.StepsPerSecond, p.Seconds)
			}
		}
		e.Env = w
		must(t, e.Run(context.Background()))
	})
	traintest.Equal(t, dir, whole)
	lines := strings.Split(read(t, dir, "log.txt"), "\n")
	if k := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "2000-") }); k < 1 || lines[k-1] < lines[k] {
		t.Errorf("the clock was not put back: %q", lines)
	}
}
