package sweep_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/sweep"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
)

// point is what the sweeps of these tests change.
type point struct {
	Method table
	World  env.World
	Seed   uint64
}

func (p point) experiment(steps int64) *train.Experiment {
	return &train.Experiment{
		Env: p.World, Method: p.Method, Seed: p.Seed, Steps: steps, Workers: 1, LogEvery: 100, CheckpointEvery: 200 * time.Millisecond,
		Eval: train.Eval{Every: 200, Episodes: 2, Final: 4},
	}
}

func slow() table { return table{Name: "slow", Rate: 0.05} }
func fast() table { return table{Name: "fast", Rate: 0.5} }

func points(worlds []env.World, seeds int, methods ...table) []point {
	var list []uint64
	for seed := range uint64(seeds) {
		list = append(list, seed)
	}
	return sweep.Grid(point{},
		sweep.Over(func(p *point, m table) { p.Method = m })(methods...),
		sweep.Over(func(p *point, w env.World) { p.World = w })(worlds...),
		sweep.Over(func(p *point, s uint64) { p.Seed = s })(list...))
}

// sweeps are those of the tests, by name: a process that is started for a task makes its own again.
var sweeps = map[string]func() *sweep.Sweep{
	"pair": func() *sweep.Sweep {
		return of(points([]env.World{street{5}}, 2, fast()), 600)
	},
	"grid": func() *sweep.Sweep { // 2 methods × 2 worlds × 3 seeds
		return of(points([]env.World{street{5}, street{7}}, 3, slow(), fast()), 1200)
	},
	"failing": func() *sweep.Sweep {
		bad := fast()
		bad.Name, bad.Fails = "bad", 20
		return of(points([]env.World{street{5}}, 1, fast(), bad), 600)
	},
	"hopeless": func() *sweep.Sweep {
		stuck := table{Name: "stuck", Rate: 0}
		s := of(points([]env.World{street{5}}, 3, fast()), 600)
		s.Experiments = append(s.Experiments, point{stuck, street{5}, 9}.experiment(1_000_000))
		s.Stop = &sweep.Median{Metric: "return", After: 200}
		return s
	},
	"absent": nil,
}

func of(points []point, steps int64) *sweep.Sweep {
	return &sweep.Sweep{Experiments: sweep.Map(points, func(p point) *train.Experiment { return p.experiment(steps) })}
}

// made returns a sweep by its name.
func made(name string) *sweep.Sweep {
	s := sweeps[name]()
	s.Name, s.On = name, sweep.Local(2)
	return s
}

const nameVar = "TEST_SWEEP"

func TestMain(m *testing.M) {
	if name := os.Getenv(nameVar); name != "" {
		if sweeps[name] == nil {
			os.Exit(0) // a program that ends before its sweep
		}
		if err := made(name).Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// begin gives a test folders of its own, and children the name of the sweep and their pace.
func begin(t *testing.T, name string, pace time.Duration) *sweep.Sweep {
	t.Helper()
	t.Setenv("MUSTER_RUNS", t.TempDir())
	t.Setenv(nameVar, name)
	t.Setenv("TEST_PACE", pace.String())
	return made(name)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %q", err)
	}
}

// until waits for something that happens within a minute.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in a minute not %s", what)
		}
	}
}

// alone runs the experiments of a sweep one by one in this process, in another folder of runs, and compares.
func alone(t *testing.T, s *sweep.Sweep) {
	t.Helper()
	there := s.Each()
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for i, e := range made(s.Name).Experiments {
		e.Threads = 1
		must(t, e.Run(context.Background()))
		dir, err := e.Where()
		must(t, err)
		traintest.Equal(t, there[i].Dir, dir)
	}
}

func states(s *sweep.Sweep) (list []run.State) {
	for _, l := range s.Each() {
		list = append(list, l.State)
	}
	return list
}

func text(t *testing.T, s *sweep.Sweep, format string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Status().Render(&b, format))
	return b.String()
}

func TestGrid(t *testing.T) {
	type p struct {
		LR    float64
		World env.World
		Seed  uint64
	}
	lr := sweep.Over(func(p *p, lr float64) { p.LR = lr })(1e-3, 1e-4)
	world := sweep.Over(func(p *p, w env.World) { p.World = w })(street{3}, street{5})
	seed := sweep.Over(func(p *p, s uint64) { p.Seed = s })(0, 1, 2)
	got := sweep.Grid(p{}, lr, world, seed)
	if len(got) != 12 || got[0] != (p{1e-3, street{3}, 0}) || got[1] != (p{1e-3, street{3}, 1}) || got[3] != (p{1e-3, street{5}, 0}) || got[11] != (p{1e-4, street{5}, 2}) {
		t.Errorf("%d points %v, want 2 × 2 × 3, the seed changing fastest", len(got), got)
	}
	if got := sweep.Grid(p{Seed: 7}); len(got) != 1 || got[0].Seed != 7 {
		t.Errorf("without axes %v, want the start", got)
	}
	if got := sweep.Grid(p{}, lr, sweep.Axis[p]{}); len(got) != 0 {
		t.Errorf("with an empty axis %v, want no point", got)
	}
}

func TestRandom(t *testing.T) {
	draw := func(r *rand.Rand) float64 { return sweep.LogUniform(r, 1e-5, 1e-1) }
	few, many := sweep.Random(4, 10, draw), sweep.Random(4, 2000, draw)
	if !slices.Equal(few, many[:10]) || slices.Equal(few, sweep.Random(5, 10, draw)) {
		t.Error("points do not follow from key and number")
	}
	low := 0
	for _, x := range many {
		if x < 1e-5 || x > 1e-1 {
			t.Fatalf("%v lies outside", x)
		}
		if x < 1e-3 {
			low++
		}
	}
	if low < 900 || low > 1100 { // 1000 expected, with a standard deviation of 22
		t.Errorf("%d of 2000 in the lower half of the exponents", low)
	}
}

// Each task is a process of its own, and what it leaves equals a run in this one. A second time nothing is left to do.
func TestLocal(t *testing.T) {
	s := begin(t, "pair", 0)
	must(t, s.Run(context.Background()))
	if got := states(s); !slices.Equal(got, []run.State{run.Finished, run.Finished}) {
		t.Fatalf("states %v", got)
	}
	p := s.Progress()
	if p.Steps != 1200 || p.Goal != 1200 || !p.Finished {
		t.Errorf("progress %+v, want 1200 steps", p)
	}
	for _, want := range []string{"Sweep pair: 2 experiments, 2 finished", "fast on test/street5, seed 1  finished    600  600         1"} {
		if got := text(t, s, "text"); !strings.Contains(got, want) {
			t.Errorf("the status lacks %q:\n%s", want, got)
		}
	}
	again := made("pair")
	must(t, again.Run(context.Background()))
	for _, task := range again.Status().Tasks {
		if task.Attempts != 1 {
			t.Errorf("%s was started %d times", task.Title, task.Attempts)
		}
	}
	must(t, s.Tail().Run(context.Background())) // there is nothing to follow
	dir, _ := s.Where()
	if _, err := os.Stat(filepath.Join(dir, "program")); err == nil {
		t.Error("the copy of the program is left")
	}
	more := made("pair")
	for _, e := range more.Experiments {
		e.Steps = 700
	}
	if got := states(more); !slices.Equal(got, []run.State{run.Stopped, run.Stopped}) {
		t.Errorf("asked for more steps, states are %v", got)
	}
	alone(t, s)
}

// When ctx ends, tasks save; the sweep goes on later, and a task that is killed is started again.
func TestLocalStopsAndRetries(t *testing.T) {
	s := begin(t, "pair", 5*time.Millisecond)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for {
			if l := s.Each(); l[0].Steps > 0 && l[1].Steps > 0 {
				stop()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	must(t, s.Run(ctx))
	for _, l := range s.Each() {
		if l.State != run.Stopped || l.Steps == 0 || l.Steps >= 600 {
			t.Errorf("%s: %s at %d steps, want it stopped on the way", l.Title, l.State, l.Steps)
		}
	}
	s = made("pair")
	s.Retries = 1
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	until(t, "running", func() bool { return s.Each()[0].State == run.Running })
	pid := s.Each()[0].Process
	p, err := os.FindProcess(pid)
	must(t, err)
	must(t, p.Kill())
	must(t, <-done)
	if n := s.Status().Tasks[0].Attempts; n != 3 {
		t.Errorf("%d attempts, want 3: stopped, killed, finished", n)
	}
	t.Setenv("TEST_PACE", "0s")
	alone(t, s)
}

func TestLocalFails(t *testing.T) {
	s := begin(t, "failing", 0)
	wantLine(t, s.Run(context.Background()), "sweep: 1 of 2 experiments of failing have not finished; first bad on test/street5, seed 0: table: the loss is not finite (step ")
	if got := states(s); !slices.Equal(got, []run.State{run.Finished, run.HasFailed}) {
		t.Errorf("states %v: what is finished must not suffer", got)
	}
	if runs, err := s.Runs().List(); err != nil || len(runs) != 2 {
		t.Errorf("%d runs to read, %v", len(runs), err)
	}
	for format, want := range map[string]string{"text": "    | table: the loss is not finite (step ", "html": "printed last:</p>\n<pre>", "csv": "bad on test/street5, seed 0\",failed,"} {
		if got := text(t, s, format); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", format, want, got)
		}
	}
}

func TestTwoOnOneFolder(t *testing.T) {
	s := begin(t, "pair", 5*time.Millisecond)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	until(t, "running", func() bool { return s.Each()[0].State == run.Running })
	wantLine(t, made("pair").Run(context.Background()), "sweep: pair runs already: run: ", fmt.Sprintf("is in use by process %d on ", os.Getpid()))
	stop()
	must(t, <-done)
}

// A sweep in a process of its own is watched and cancelled from this one.
func TestCancel(t *testing.T) {
	s := begin(t, "pair", 5*time.Millisecond)
	dir, err := s.Where()
	must(t, err)
	program, err := os.Executable()
	must(t, err)
	log := filepath.Join(t.TempDir(), "log")
	c, err := run.Spawn(program, log, dir, -1)
	must(t, err)
	go c.Wait()
	until(t, "both running", func() bool { return slices.Equal(states(s), []run.State{run.Running, run.Running}) })
	time.Sleep(500 * time.Millisecond)
	until(t, "on the way", func() bool { return s.Progress().Steps > 0 })
	c.Process.Kill() // without a word: its tasks notice, and save
	until(t, "saved", func() bool { return slices.Equal(states(s), []run.State{run.Stopped, run.Stopped}) })
	if c, err = run.Spawn(program, log, dir, -1); err != nil {
		t.Fatal(err)
	}
	go c.Wait()
	until(t, "running again", func() bool { return slices.Contains(states(s), run.Running) })
	seen := make(chan error)
	go func() { seen <- made("pair").Tail().Run(context.Background()) }()
	must(t, s.Cancel())
	wantLine(t, <-seen, "sweep: 2 of 2 experiments of pair have not finished; first fast on test/street5, seed 0: it was stopped")
	until(t, "cancelled", func() bool { return !slices.Contains(states(s), run.Running) })
	must(t, s.Cancel()) // nobody is there any more
}

func TestMedianRule(t *testing.T) {
	s := begin(t, "hopeless", 100*time.Microsecond)
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute) // without the rule it takes far longer
	defer stop()
	must(t, s.Run(ctx))
	if got := states(s); !slices.Equal(got, []run.State{run.Finished, run.Finished, run.Finished, run.Hopeless}) {
		t.Fatalf("states %v\n%s", got, text(t, s, "text"))
	}
	last := s.Each()[3]
	if !strings.HasPrefix(last.Note, "median rule: its best return so far is ") {
		t.Errorf("recorded as %q", last.Note)
	}
	log, err := os.ReadFile(filepath.Join(last.Dir, "log.txt"))
	must(t, err)
	if !strings.Contains(string(log), last.Note) {
		t.Errorf("the run's log does not tell: %s", log)
	}
	without := made("hopeless")
	without.Stop = nil
	if got := states(without)[3]; got != run.Stopped {
		t.Errorf("without the rule it is %s, want stopped: it can go on", got)
	}
}

func TestBadInput(t *testing.T) {
	begin(t, "pair", 0)
	for want, change := range map[string]func(s *sweep.Sweep){
		"sweep: no Name, want one such as":                                func(s *sweep.Sweep) { s.Name = "" },
		"sweep: pair has no experiments":                                  func(s *sweep.Sweep) { s.Experiments = nil },
		"sweep: experiment 1 of pair is nil":                              func(s *sweep.Sweep) { s.Experiments[1] = nil },
		"sweep: experiment 0 of pair: street: 1 places":                   func(s *sweep.Sweep) { s.Experiments[0].Env = street{1} },
		"sweep: experiment 1 of pair: train: 0 steps, want at least 1":    func(s *sweep.Sweep) { s.Experiments[1].Steps = 0 },
		"sweep: experiments 0 and 1 of pair both use":                     func(s *sweep.Sweep) { s.Experiments[1].Seed = 0 },
		"sweep: Local(0), want at least one task at a time":               func(s *sweep.Sweep) { s.On = sweep.Local(0) },
		"sweep: pair has -1 retries":                                      func(s *sweep.Sweep) { s.Retries = -1 },
		"sweep: the median rule has no Metric":                            func(s *sweep.Sweep) { s.Stop = &sweep.Median{} },
		"sweep: a time limit of 3m0s with a warning 2m0s before, want":    func(s *sweep.Sweep) { s.On = sweep.Slurm{Time: 3 * time.Minute} },
		"sweep: Slurm with a negative number":                             func(s *sweep.Sweep) { s.On = sweep.Slurm{GPUs: -1} },
		"sweep: option \"--mem=1\\n\" of Slurm has several lines":         func(s *sweep.Sweep) { s.On = sweep.Slurm{Options: []string{"--mem=1\n"}} },
		"sweep: Slurm is not here: its commands are not on the PATH; run": func(s *sweep.Sweep) { s.On = sweep.Slurm{}; t.Setenv("PATH", t.TempDir()) },
	} {
		s := made("pair")
		change(s)
		wantLine(t, s.Run(context.Background()), want)
	}
	other := made("pair")
	must(t, other.Experiments[0].Run(context.Background()))
	changed := made("pair")
	m := fast()
	m.Rate = 0.4
	changed.Experiments[0].Method = m
	wantLine(t, changed.Run(context.Background()), "sweep: experiment 0 of pair: run: ", "holds another run: Method.Rate is 0.5 there and 0.4 here")
}

// A program that does not come to its sweep again is told so.
func TestProgramThatEndsBefore(t *testing.T) {
	s := begin(t, "pair", 0)
	t.Setenv(nameVar, "absent")
	wantLine(t, s.Run(context.Background()), "the program did not come to the sweep pair when it was started again")
}

// A full disk, or a quota, ends the tasks with that reason, although nothing can be written about it. With space again the
// sweep goes on.
func TestFullDisk(t *testing.T) {
	s := begin(t, "pair", 5*time.Millisecond)
	disk := os.Getenv("MUSTER_RUNS")
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system (needs root): %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", disk).Run() })
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	until(t, "running", func() bool { l := s.Each(); return l[0].Steps > 0 && l[1].Steps > 0 })
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 256<<20), 0o644); err == nil {
		t.Fatal("the disk is not full")
	}
	wantLine(t, <-done, "sweep: 2 of 2 experiments of pair have not finished; first fast on test/street5, seed 0: ", "no space left on device")
	must(t, os.Remove(filler))
	t.Setenv("TEST_PACE", "0s")
	again := made("pair")
	must(t, again.Run(context.Background()))
	alone(t, again)
}
