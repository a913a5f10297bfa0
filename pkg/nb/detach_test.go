package nb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// own is an experiment that has a run directory as train's have, and goes on until it is stopped.
type own struct {
	fake
	wrong error
}

func (o *own) Where() (string, error) { return run.Path("dqn", "toy/own", o.seed), o.wrong }

func (o *own) Run(ctx context.Context) error {
	if o.err != nil {
		return o.err
	}
	dir, _ := o.Where()
	d, err := run.Create(dir, run.Config{Method: "dqn", World: "toy/own", Seed: o.seed, Goal: o.goal})
	if err != nil {
		return err
	}
	defer d.Close()
	p := run.Progress{Dir: dir, Title: run.Title("dqn", "toy/own", o.seed), Goal: o.goal, Steps: 7, StepsPerSecond: 12, Left: time.Minute, Note: "compiled"}
	d.Tell(p, run.Running, nil)
	<-ctx.Done()
	d.Tell(p, run.Stopped, nil)
	return nil
}

func init() {
	cells["detach"] = func() {
		Detach(&own{fake: fake{goal: 50, seed: 1}})
		if dir, _ := run.Child(); dir != "" {
			Show(broken{}) // draws nothing there
		}
		Detach(&own{fake: fake{goal: 50, seed: 2}})
		fmt.Println("after")
	}
	cells["detach-fails"] = func() { Detach(&own{fake: fake{goal: 50, err: fmt.Errorf("train: disk full")}}) }
}

// A detached run outlives its cell, is listed, followed and stopped from another process, and goes on later.
func TestDetach(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "MUSTER_CELL=detach")
	data, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	wants(t, string(data), `dqn/toy/own/1 runs on its own now; nb.Runs() lists what runs, nb.Stop("dqn/toy/own/1") stops it`, "dqn/toy/own/2 runs on its own", "after\n")
	dir := run.Path("dqn", "toy/own", 1)
	l, err := run.ReadLive(dir)
	if err != nil || l.State != run.Running || l.Process == c.Process.Pid {
		t.Fatalf("%+v, %v: want it running in a process of its own", l, err)
	}
	again := exec.Command(os.Args[0])
	again.Env = c.Env
	data, _ = again.CombinedOutput()
	wants(t, string(data), "dqn/toy/own/1 runs already\n")

	text, _, _ := said(t, func() { Runs() })
	wants(t, text, "2 running", "dqn/toy/own/1  running      7  50       12  1 min  compiled")
	text, _, _ = said(t, func() { Stop("dqn/toy/own/*") })
	wants(t, text, "dqn/toy/own/1: stopped at 7 of 50 steps\ndqn/toy/own/2: stopped at 7")
	text, _, _ = said(t, func() { Stop("dqn/toy/own/1") })
	wants(t, text, "dqn/toy/own/1 was not running\n")
	_, errs, status := said(t, func() { Stop("dqn/toy/other/1") })
	if wants(t, errs, "nb: nothing to stop matches dqn/toy/other/1 below "); status != 1 {
		t.Errorf("status %d", status)
	}
	for _, left := range []string{"program", "tmp"} {
		if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
			t.Errorf("%s is left behind", left)
		}
	}
}

func TestDetachFails(t *testing.T) {
	c := start(t, "detach-fails")
	out, err := c.CombinedOutput()
	if err == nil || string(out) != "nb: dqn/toy/own/0 did not start: train: disk full\n" {
		t.Errorf("%v, printed %q", err, out)
	}
	_, errs, status := said(t, func() { Detach(&own{wrong: fmt.Errorf("train: 0 steps, want at least 1")}) })
	if errs != "train: 0 steps, want at least 1\n" || status != 1 {
		t.Errorf("%q, status %d", errs, status)
	}
}

// Watching another process's run ends with it, or goes on without the watcher.
func TestWatchTail(t *testing.T) {
	forget(t)
	o := &own{fake: fake{goal: 50}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- o.Run(ctx) }()
	for {
		if l, err := run.ReadLive(run.Path("dqn", "toy/own", 0)); err == nil && l.State == run.Running {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	go func() { time.Sleep(300 * time.Millisecond); stop() }()
	out, errs, status := said(t, func() { Watch(run.Tail("dqn/toy/own/0")) })
	if err := <-done; err != nil || errs != "" || status != -1 {
		t.Errorf("%v, %q on stderr, status %d", err, errs, status)
	}
	wants(t, out, "dqn on toy/own, seed 0: 7 / 50 steps, stopped\n")
	_, errs, status = said(t, func() { Watch(run.Tail("dqn/none/*")) })
	if wants(t, errs, "run: no runs match dqn/none/* below "); status != 1 {
		t.Errorf("status %d", status)
	}
}
