package train_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
)

// stopAt runs e until its world has made so many steps, those of evaluations included, and returns its progress.
func stopAt(e *train.Experiment, steps int) run.Progress {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	w := e.Env.(corridor)
	w.bad.step = func(*env.Step) {
		if steps--; steps == 0 {
			stop()
		}
	}
	e.Env = w
	if err := e.Run(ctx); err != nil {
		panic(err)
	}
	return e.Progress()
}

func TestResume(t *testing.T) {
	traintest.Resume(t, small(), tabular(), 150)
	traintest.Resume(t, small(), episodic(), 400)
}

// recorder notes failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper()           {}
func (r *recorder) Error(args ...any) { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(f, args...))
}
func (r *recorder) Fatal(args ...any)            { r.Error(args...); panic(r) }
func (r *recorder) Fatalf(f string, args ...any) { r.Errorf(f, args...); panic(r) }

func TestResumeFindsWhatIsNotSaved(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *table)
		half   int64
		want   string
	}{
		"target table":     {func(m *table) { m.forget = true }, 150, "learner: "},
		"global generator": {func(m *table) { m.global = true }, 150, "learner: "},
		"memory":           {func(m *table) { m.loses = true }, 150, "replay: "},
		"no updates":       {func(*table) {}, 20, "too few steps to show anything"},
	} {
		r := &recorder{TB: t}
		m := tabular()
		c.change(&m)
		func() {
			defer func() {
				if p := recover(); p != nil && p != r {
					panic(p)
				}
			}()
			traintest.Resume(r, small(), m, c.half)
		}()
		if !strings.Contains(strings.Join(r.failures, "\n"), c.want) {
			t.Errorf("%s: found %q, want something with %q", name, r.failures, c.want)
		}
	}
}

// An interruption anywhere, in evaluations too, leaves a run that ends like one without a pause.
func TestInterruptAnywhere(t *testing.T) {
	whole := experiment(t.TempDir())
	steps := 0
	w := small()
	w.bad.step = func(*env.Step) { steps++ }
	whole.Env = w
	must(t, whole.Run(context.Background()))
	for at := 1; at < steps+200; at += 37 { // beyond: every stop that falls into the last evaluations
		parts := experiment(t.TempDir())
		if p := stopAt(parts, min(at, steps)); p.Finished && at < steps {
			t.Fatalf("stopped at call %d of %d, but finished", at, steps)
		}
		p := stopAt(experiment(parts.Dir), at/2+50)
		if !p.Finished {
			must(t, experiment(parts.Dir).Run(context.Background()))
		}
		traintest.Equal(t, parts.Dir, whole.Dir)
		if t.Failed() {
			t.Fatalf("stopped at call %d", at)
		}
	}
}

func TestInterruptBeforeTheFirstStep(t *testing.T) {
	whole := experiment(t.TempDir())
	must(t, whole.Run(context.Background()))
	ctx, stop := context.WithCancel(context.Background())
	stop()
	for _, episodes := range []int{4, 0} {
		e := experiment(t.TempDir())
		e.Eval.Episodes = episodes
		for range 2 {
			must(t, e.Run(ctx))
			if p := e.Progress(); p.Finished || p.Steps != 0 || p.Goal != 300 || p.Note != "stopped at step 0 while preparing" {
				t.Errorf("progress %+v, want nothing done", p)
			}
		}
		if text := read(t, e.Dir, "metrics.jsonl") + read(t, e.Dir, "eval.jsonl"); text != "" {
			t.Errorf("written without a step: %s", text)
		}
		must(t, e.Run(context.Background()))
		if !e.Progress().Finished {
			t.Error("not finished")
		}
		if episodes == 4 {
			traintest.Equal(t, e.Dir, whole.Dir)
		}
	}
}

// An evaluation that was interrupted is not written half, with cells neither.
func TestInterruptedEvaluationIsNotWritten(t *testing.T) {
	cells := []train.Cell{{Name: "again", World: small()}}
	e := experiment(t.TempDir())
	e.Eval.Cells = cells
	stopAt(e, 8+8+8+8+20) // probes; 20 steps into the first evaluation
	if text := read(t, e.Dir, "eval.jsonl"); text != "" {
		t.Errorf("half an evaluation: %s", text)
	}
	e = experiment(e.Dir)
	e.Eval.Cells = cells
	must(t, e.Run(context.Background()))
	r, err := run.Open(e.Dir)
	must(t, err)
	list, err := r.Evaluations()
	must(t, err)
	var got []string
	for _, v := range list {
		got = append(got, fmt.Sprintf("%s%s@%d:%d", v.Stream, v.Cell, v.Steps, len(v.Returns)))
	}
	want := "[eval@0:4 evalagain@0:4 eval@102:4 evalagain@102:4 eval@201:4 evalagain@201:4 eval@300:4 evalagain@300:4 final@300:6 finalagain@300:6]"
	if fmt.Sprint(got) != want {
		t.Errorf("evaluations %v, want %s", got, want)
	}
}

func TestCounting(t *testing.T) {
	e := experiment(t.TempDir())
	must(t, e.Run(context.Background()))
	p := e.Progress()
	// The buffer is ready at the step with record 40, which is 42; that step's three count.
	if updates := int64(300-42+3) / 4; p.Steps != 300 || p.Updates != updates || !p.Finished || p.Left != 0 || p.Note != "finished" {
		t.Errorf("%+v, want 300 steps, %d updates, finished", p, updates)
	}
	if p.Title != "table on test/corridor, seed 3" || p.Backend != "plain Go" || p.Dir != e.Dir || p.Goal != 300 {
		t.Errorf("%+v", p)
	}
	r, err := run.Open(e.Dir)
	must(t, err)
	curves, err := r.Curves("loss", "train_return", "train_together", "train_win_rate")
	must(t, err)
	var at []int64
	for _, x := range curves["train_return"] {
		at = append(at, x.Steps)
	}
	if want := []int64{51, 102, 150, 201, 252, 300}; !slices.Equal(at, want) {
		t.Errorf("lines at %v, want %v", at, want)
	}
	var loop struct{ Steps, AgentSteps, Updates, Episodes int64 }
	must(t, json.Unmarshal([]byte(read(t, e.Dir, "checkpoint", "000000000300", "loop")), &loop))
	if loop.AgentSteps != 600 || loop.Steps != 300 || loop.Updates != p.Updates || loop.Episodes < 300/clock {
		t.Errorf("counted %+v, want 600 steps of agents in 300", loop)
	}
	// Without a number, lines come every 400th of the run, but at most one per step.
	e = experiment(t.TempDir())
	e.LogEvery, e.Steps, e.Eval = 0, 1000, train.Eval{}
	must(t, e.Run(context.Background()))
	if n := strings.Count(read(t, e.Dir, "metrics.jsonl"), "\n"); n != 334 { // every 2 steps, 3 at a time
		t.Errorf("%d lines, want one for each of the 334 moments", n)
	}
	if text := read(t, e.Dir, "eval.jsonl"); text != "" {
		t.Errorf("evaluated without episodes: %s", text)
	}
}

func TestFinishedRunReturnsAtOnceAndCanGoOn(t *testing.T) {
	e := experiment(t.TempDir())
	must(t, e.Run(context.Background()))
	before := read(t, e.Dir, "metrics.jsonl")
	again := experiment(e.Dir)
	m := tabular()
	m.update = func(int64) error { t.Error("a finished run has made an update"); return nil }
	again.Method = m
	must(t, again.Run(context.Background()))
	p, q := again.Progress(), e.Progress()
	if !p.Finished || p.Steps != q.Steps || p.Updates != q.Updates || p.Seconds < q.Seconds/2 {
		t.Errorf("progress %+v, want that of the run, %+v", p, q)
	}
	if after := read(t, e.Dir, "metrics.jsonl"); after != before {
		t.Error("a finished run has logged")
	}
	shorter := experiment(e.Dir)
	shorter.Steps = 200
	must(t, shorter.Run(context.Background()))
	if !shorter.Progress().Finished || shorter.Progress().Steps != 300 {
		t.Errorf("asked for less: %+v, want finished at 300", shorter.Progress())
	}

	more := experiment(e.Dir)
	more.Steps = 600
	stopAt(more, 200)
	more = experiment(e.Dir)
	more.Steps = 600
	must(t, more.Run(context.Background()))
	whole := experiment(t.TempDir())
	whole.Steps = 600
	must(t, whole.Run(context.Background()))
	lines := strings.SplitAfter(read(t, more.Dir, "eval.jsonl"), "\n")
	lines = slices.DeleteFunc(lines, func(s string) bool {
		return strings.Contains(s, `"stream":"final"`) && strings.Contains(s, `"steps":300`)
	})
	must(t, os.WriteFile(filepath.Join(more.Dir, "eval.jsonl"), []byte(strings.Join(lines, "")), 0o644))
	must(t, os.Remove(filepath.Join(more.Dir, "episodes", "final-000000000300.jsonl")))
	traintest.Equal(t, more.Dir, whole.Dir) // but for its first final evaluation
}

// Evaluations and further cells draw from streams of their own: training is the same without them.
func TestEvaluationLeavesTrainingAlone(t *testing.T) {
	judged, alone := experiment(t.TempDir()), experiment(t.TempDir())
	judged.Eval.Every, judged.Eval.Mode.Epsilon = 10, 0.5
	judged.Eval.Cells = []train.Cell{{Name: "again", World: small()}}
	alone.Eval = train.Eval{}
	must(t, judged.Run(context.Background()))
	must(t, alone.Run(context.Background()))
	for _, part := range []string{"learner", "loop", "environments", "memory"} {
		if read(t, checkpoints(t, judged.Dir)[0], part) != read(t, checkpoints(t, alone.Dir)[0], part) {
			t.Errorf("%s differs where the run is evaluated", part)
		}
	}
}

func TestPathFollowsFromTheExperiment(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	e := experiment("")
	for seed := range uint64(2) {
		e.Seed = seed
		must(t, e.Run(context.Background()))
		if want := run.Path("table", "test/corridor", seed); e.Progress().Dir != want {
			t.Errorf("trained in %s, want %s", e.Progress().Dir, want)
		}
	}
}

func TestChangedProvenanceIsLogged(t *testing.T) {
	e := experiment(t.TempDir())
	t.Setenv("TEST_BACKEND", "old")
	stopAt(e, 150)
	t.Setenv("TEST_BACKEND", "new")
	must(t, experiment(e.Dir).Run(context.Background()))
	log := read(t, e.Dir, "log.txt")
	if !strings.Contains(log, `provenance changed: backend is "old" there and "new" here; bits may differ`) || !strings.Contains(log, "resumed at step") {
		t.Errorf("the log does not tell: %s", log)
	}
	r, err := run.Open(e.Dir)
	must(t, err)
	if r.Provenance["backend"] != "new" || r.Provenance["go"] == "" {
		t.Errorf("provenance %v", r.Provenance)
	}
}

func TestProgressBesideRun(t *testing.T) {
	e := experiment(t.TempDir())
	e.Steps, e.CheckpointEvery = 1<<30, time.Millisecond
	m := tabular()
	m.update = func(int64) error { time.Sleep(time.Millisecond); return nil }
	e.Method = m
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	var last run.Progress
	moved := 0
	for running := true; running; {
		select {
		case err := <-done:
			must(t, err)
			running = false
		case <-time.After(time.Millisecond):
		}
		p := e.Progress()
		if p.Steps < last.Steps || p.Updates < last.Updates || p.Seconds < last.Seconds || p.Left < 0 {
			t.Fatalf("progress goes back from %+v to %+v", last, p)
		}
		if p.Steps > last.Steps {
			if moved++; moved == 4 { // a busy machine takes its time for that
				stop()
			}
		}
		last = p
	}
	sum := 0.0
	for _, share := range last.Shares {
		sum += share
	}
	if sum < 0.999 || sum > 1.001 || last.Shares["update"] == 0 || last.Shares["save"] == 0 || last.Shares["evaluate"] == 0 {
		t.Errorf("shares %v, want parts of 1", last.Shares)
	}
	if moved < 3 || last.Finished || last.StepsPerSecond < 1 {
		t.Errorf("moved %d times to %+v", moved, last)
	}
	if want := float64(last.Goal-last.Steps) / last.StepsPerSecond; last.Left.Seconds() < 0.99*want || last.Left.Seconds() > 1.01*want {
		t.Errorf("%v left, want about %.0f s", last.Left, want)
	}
}

// A time that is too long for a clock must not turn negative.
func TestEndlessGoal(t *testing.T) {
	e := experiment(t.TempDir())
	e.Steps, e.Eval.Every = 1<<62, 1<<62
	m := tabular()
	e.Method = m
	ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	must(t, e.Run(ctx))
	if p := e.Progress(); p.Left <= 0 {
		t.Errorf("%v left", p.Left)
	}
	if _, err := os.Stat(filepath.Join(e.Dir, "checkpoint")); err != nil {
		t.Error(err)
	}
}
