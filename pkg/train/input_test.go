package train_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

func TestBadInputIsOneLine(t *testing.T) {
	method := func(change func(*table)) func(e *train.Experiment) {
		return func(e *train.Experiment) { m := tabular(); change(&m); e.Method = m }
	}
	world := func(change func(*corridor)) func(e *train.Experiment) {
		return func(e *train.Experiment) { w := small(); change(&w); e.Env = w }
	}
	cell := func(name string, change func(*corridor)) func(e *train.Experiment) {
		return func(e *train.Experiment) {
			w := small()
			change(&w)
			e.Eval.Cells = []train.Cell{{Name: "twin", World: small()}, {Name: name, World: w}}
		}
	}
	for want, change := range map[string]func(e *train.Experiment){
		"has no Env":      func(e *train.Experiment) { e.Env = nil },
		"has no Method":   func(e *train.Experiment) { e.Method = nil },
		"0 steps":         func(e *train.Experiment) { e.Steps = 0 },
		"-1 steps":        func(e *train.Experiment) { e.Steps = -1 },
		"every -5 steps":  func(e *train.Experiment) { e.Eval.Every = -5 },
		"of -6 (at":       func(e *train.Experiment) { e.Eval.Episodes = -6 },
		"end -7":          func(e *train.Experiment) { e.Eval.Final = -7 },
		"LogEvery -1":     func(e *train.Experiment) { e.LogEvery = -1 },
		"Workers -1":      func(e *train.Experiment) { e.Workers = -1 },
		"Threads -1":      func(e *train.Experiment) { e.Threads = -1 },
		"has 0 agents":    world(func(c *corridor) { c.Agents = 0 }),
		"1 places":        world(func(c *corridor) { c.Places = 1 }),
		"panic: no world": func(e *train.Experiment) { e.Env = mine{} },
		"unwritten or not finite": world(func(c *corridor) {
			c.bad.spec = func(s *env.Spec) { s.ObsDim = 3 }
		}),
		"does not keep to its spec": world(func(c *corridor) {
			c.bad.spec = func(s *env.Spec) { s.ObsDim = 1 }
		}),
		"0 environments and updates every 4":                                          method(func(m *table) { m.Envs = 0 }),
		"updates every 0 steps":                                                       method(func(m *table) { m.Every = 0 }),
		"(UpdateEvery) or -1 episodes (UpdateEpisodes), want at least 1":              method(func(m *table) { m.Episodes = -1 }),
		"every 4 steps (UpdateEvery) and every 2 episodes (UpdateEpisodes), want one": method(func(m *table) { m.Episodes = 2 }),
		"a batch larger than the buffer: 8 of 7 episodes":                             method(func(m *table) { m.Every, m.Episodes, m.Buffer = 0, 1, 7 }),
		"a warm-up of 101":                   method(func(m *table) { m.Warmup = 101 }),
		`cell "more" has 3 agents`:           cell("more", func(c *corridor) { c.Agents = 3 }),
		"actions [2 1], want":                cell("heads", func(c *corridor) { c.bad.spec = func(s *env.Spec) { s.Actions = []int{2, 1} } }),
		"continuous actions of size 2, want": cell("drift", func(c *corridor) { c.bad.spec = func(s *env.Spec) { s.ActDim = 2 } }),
		`cell 1 is called ""`:                cell("", func(*corridor) {}),
		`cell 1 is called "twin"`:            cell("twin", func(*corridor) {}),
		`cell "none": env: no world`:         func(e *train.Experiment) { e.Eval.Cells = []train.Cell{{Name: "none"}} },
	} {
		e := experiment(filepath.Join(t.TempDir(), "run"))
		change(e)
		err := e.Run(context.Background())
		wantLine(t, err, want)
		if _, err := os.Stat(filepath.Join(e.Dir, "checkpoint")); err == nil {
			t.Errorf("%s: left a checkpoint", want)
		}
		if strings.HasPrefix(want, "cell") || strings.Contains(want, "actions") {
			continue // nothing that Estimate looks at
		}
		_, err = e.Estimate()
		wantLine(t, err, want)
	}
}

type mine struct{}

func (mine) New() (env.Env, error) { panic("no world\nbut a second line") }

// A constant that kept a run from starting can be corrected without removing the directory.
func TestCorrectedRunStarts(t *testing.T) {
	e := experiment(t.TempDir())
	m := tabular()
	m.Warmup = 1000
	e.Method = m
	wantLine(t, e.Run(context.Background()), "warm-up of 1000")
	e.Method = tabular()
	must(t, e.Run(context.Background()))
}

func TestAnotherRunIsRefused(t *testing.T) {
	dir := t.TempDir()
	finished := experiment(dir)
	must(t, finished.Run(context.Background()))
	cut := experiment(t.TempDir())
	stopAt(cut, 150)
	before := read(t, dir, "config.json")
	for want, change := range map[string]func(e *train.Experiment){
		"Method.Rate is 0.3 there and 0.4": func(e *train.Experiment) { m := tabular(); m.Rate = 0.4; e.Method = m },
		"World.Places is 5 there and 6":    func(e *train.Experiment) { w := small(); w.Places = 6; e.Env = w },
		"Seed is 3 there and 4":            func(e *train.Experiment) { e.Seed = 4 },
		"Eval.Episodes is 4 there and 5":   func(e *train.Experiment) { e.Eval.Episodes = 5 },
		"the update program differs":       func(e *train.Experiment) { m := tabular(); m.program = "b"; e.Method = m },
	} {
		for _, d := range []string{dir, cut.Dir} {
			e := experiment(d)
			e.Steps = 900 // must not be taken over
			change(e)
			wantLine(t, e.Run(context.Background()), d+" holds another run", want)
		}
		same := experiment(dir)
		change(same)
		wantLine(t, same.Run(context.Background()), want) // though it is finished
	}
	if after := read(t, dir, "config.json"); after != before {
		t.Errorf("refused runs have changed config.json from\n%s\nto\n%s", before, after)
	}
}

func TestOneRunPerDirectory(t *testing.T) {
	e := experiment(t.TempDir())
	w := small()
	var inside, same error
	w.bad.step = func(*env.Step) {
		if e.Progress().Steps == 0 && inside == nil && e.Progress().Dir != "" {
			inside = experiment(e.Dir).Run(context.Background())
			same = e.Run(context.Background())
		}
	}
	e.Env = w
	must(t, e.Run(context.Background()))
	wantLine(t, inside, "in use by process")
	wantLine(t, same, "runs already")
	if !e.Progress().Finished {
		t.Error("the first run has not finished")
	}
}

func TestUnwritablePlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	wantLine(t, experiment(file).Run(context.Background()), "cannot make the run directory", file)

	dir := readOnly(t)
	wantLine(t, experiment(filepath.Join(dir, "new")).Run(context.Background()), "cannot make the run directory", "new")
	wantLine(t, experiment(filepath.Join(dir, "old")).Run(context.Background()), "run: ", "old")
}

// readOnly makes a folder with a run "old" that cannot be written to. A root user needs a file system for that.
func readOnly(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() == 0 {
		mount(t, dir, "size=4m")
	}
	e := experiment(filepath.Join(dir, "old"))
	stopAt(e, 100)
	if os.Getuid() == 0 {
		if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
			t.Skipf("no read-only file system: %v: %s", err, out)
		}
		return dir
	}
	for _, d := range []string{dir, filepath.Join(dir, "old")} {
		must(t, os.Chmod(d, 0o555))
		t.Cleanup(func() { os.Chmod(d, 0o755) })
	}
	must(t, os.Chmod(filepath.Join(dir, "old", "lock"), 0o444))
	return dir
}

// mount puts a small file system at dir, or skips the test where that is not allowed.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system (needs root): %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
}

// What a world or a method does wrong in the middle of a run stops it with the step, and the last checkpoint stands.
func TestFailuresInTheMiddle(t *testing.T) {
	type change = func(e *train.Experiment, fail func(now func()))
	method := func(update func(n int64) error) change {
		return func(e *train.Experiment, _ func(func())) { m := tabular(); m.update = update; e.Method = m }
	}
	world := func(damage func(out *env.Step)) change {
		return func(e *train.Experiment, fail func(func())) {
			w := small()
			w.bad.step = func(out *env.Step) { fail(func() { damage(out) }) }
			e.Env = w
		}
	}
	nan := float32(math.NaN())
	for want, change := range map[string]change{
		"the learner gave up (step 81)": method(func(n int64) error {
			if n == 10 {
				return errors.New("the learner gave up")
			}
			return nil
		}),
		"train: panic: first line (step 81": method(func(n int64) error {
			if n == 10 {
				panic("first line\nsecond line")
			}
			return nil
		}),
		"test/corridor failed in environment 2: a wall (step ": world(func(*env.Step) { panic("a wall") }),
		"pays agent 1 a reward of NaN":                         world(func(out *env.Step) { out.Reward[1] = nan }),
		"counts a together of +Inf": world(func(out *env.Step) {
			out.Metrics[0], out.Truncated = float32(math.Inf(1)), true
		}),
	} {
		e := experiment(t.TempDir())
		e.CheckpointEvery = 1
		e.Eval = train.Eval{}
		calls := 0
		change(e, func(now func()) {
			if calls++; calls == 165 { // well behind the probes
				now()
			}
		})
		wantLine(t, e.Run(context.Background()), want)
		if e.Progress().Finished {
			t.Errorf("%s: finished", want)
		}
		p, err := train.Open(e.Dir, small(), tabular())
		if err != nil || p == nil {
			t.Errorf("%s: the last checkpoint does not stand: %v", want, err)
		}
		if strings.Contains(want, "panic: ") && !strings.Contains(read(t, e.Dir, "log.txt"), "second line") {
			t.Errorf("the log lacks the panic and its stack")
		}
		// Once the mistake is corrected, the run goes on.
		again := experiment(e.Dir)
		again.Eval = train.Eval{}
		must(t, again.Run(context.Background()))
	}
}

func TestMetricsThatAreNoNumbers(t *testing.T) {
	e := experiment(t.TempDir())
	m := tabular()
	m.metrics = func(m train.Metrics) { m["odd"], m["huge"] = math.NaN(), math.MaxFloat64 }
	e.Method = m
	must(t, e.Run(context.Background()))
	r, err := run.Open(e.Dir)
	must(t, err)
	_, err = r.Metrics("odd")
	wantLine(t, err, `no metric "odd"`)
	_, err = r.Metrics("loss")
	must(t, err)
}
