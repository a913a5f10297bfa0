package value

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/nb"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// A cell of a notebook is a process that watches an experiment. Here it is this program again, on the backend that a
// user has, and it is killed or interrupted.

const endless = 1 << 40 // steps: no cell reaches them before it is killed

// hooked calls save before each time that its learner is saved.
type hooked struct {
	System
	save func()
}

func (h hooked) Build(s train.Setup) (train.Learner, replay.Replay, error) {
	l, buffer, err := h.System.Build(s)
	return &hookedLearner{l, h.save}, buffer, err
}

type hookedLearner struct {
	train.Learner
	save func()
}

func (l *hookedLearner) Save(w io.Writer) error {
	if l.save != nil {
		l.save()
	}
	return l.Learner.Save(w)
}

// cell is a small run with evaluations and, all the time, checkpoints; of a method with memory where VALUE_TEST_MEMORY
// is set.
func cell(dir string, steps int64) *train.Experiment {
	if os.Getenv("VALUE_TEST_MEMORY") != "" {
		return &train.Experiment{
			Env: shortGroups(), Method: hooked{System: QMIX(small())}, Seed: 5, Steps: steps, Dir: dir,
			Eval: train.Eval{Every: 400, Episodes: 1}, LogEvery: 20, CheckpointEvery: 10 * time.Millisecond,
		}
	}
	net, short := TakeoutMini()
	short.Warmup, short.Buffer, short.Batch, short.TargetEvery = 100, 500, 8, 30
	w := takeout.Mini()
	w.View = 2
	return &train.Experiment{
		Env: w, Method: hooked{System: IndependentDQN(net, short)}, Seed: 5, Steps: steps, Dir: dir,
		Eval: train.Eval{Every: 400, Episodes: 1}, LogEvery: 20, CheckpointEvery: 10 * time.Millisecond,
	}
}

// TestFaultChild is what startCell runs.
func TestFaultChild(t *testing.T) {
	dir := os.Getenv("VALUE_TEST_CELL")
	if dir == "" {
		t.Skip("run by other tests in a process of its own")
	}
	steps, err := strconv.ParseInt(os.Getenv("VALUE_TEST_STEPS"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	e := cell(dir, steps)
	m := e.Method.(hooked)
	first := make(chan time.Time, 1)
	interrupt := func() { // and returns when it has reached everybody who waits for it
		select {
		case first <- time.Now():
		default:
		}
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		defer signal.Stop(c)
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			panic(err)
		}
		<-c
	}
	switch os.Getenv("VALUE_TEST_INTERRUPT") {
	case "compile":
		agent := m.Agent
		m.Agent.Values = func(s *model.Scope, in Inputs) Values { // the update program is traced first, then compiled
			interrupt()
			return agent.Values(s, in)
		}
	case "save":
		saves := 0
		m.save = func() {
			if saves++; saves >= 5 { // and once more while the stop is being saved
				interrupt()
			}
		}
	}
	e.Method = m
	nb.Watch(e)
	select {
	case at := <-first:
		fmt.Printf("returned %g s after the interrupt\n", time.Since(at).Seconds())
	default:
	}
}

func startCell(t *testing.T, dir string, steps int64, settings ...string) (c *exec.Cmd, out *strings.Builder) {
	t.Helper()
	c, out = exec.Command(os.Args[0], "-test.run=^TestFaultChild$"), new(strings.Builder)
	c.Env = append(append(os.Environ(), "VALUE_TEST_CELL="+dir, fmt.Sprint("VALUE_TEST_STEPS=", steps)), settings...)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
	})
	return c, out
}

// newest is the step of the newest checkpoint, 0 = there is none.
func newest(t *testing.T, dir string) int64 {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*[0-9]"))
	if err != nil || len(list) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(filepath.Base(list[len(list)-1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stage says what a killed process was doing, by what it left and the log that it found.
func stage(dir, before string) string {
	if left, _ := filepath.Glob(filepath.Join(dir, "checkpoint", "*.*")); len(left) > 0 {
		return "saving"
	}
	log := strings.TrimSpace(strings.TrimPrefix(logOf(dir), before))
	if log == "" {
		return "starting"
	}
	return "behind: " + log[strings.LastIndexByte(log, '\n')+1:]
}

func logOf(dir string) string {
	data, _ := os.ReadFile(filepath.Join(dir, "log.txt"))
	return string(data)
}

// TestKilledTenTimes kills a process of the real thing ten times: in turn at a random moment after it has saved
// something new, and at one between its start and that (while it starts, compiles, or loads). What the eleventh
// makes of it equals a run without a pause, bit for bit.
func TestKilledTenTimes(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, 0))
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	var starting time.Duration // of the first, which compiles
	for k := range 10 {
		had, before, began, setting := newest(t, dir), logOf(dir), time.Now(), "MUSTER_CACHE="+cache
		if k%2 == 1 {
			setting = "MUSTER_CACHE=off" // has to compile again
		}
		c, out := startCell(t, dir, endless, setting)
		wait := time.Duration(r.Int64N(int64(300 * time.Millisecond)))
		if k%2 == 0 {
			for newest(t, dir) <= had {
				if time.Since(began) > 2*time.Minute {
					t.Fatalf("nothing new is saved: %s", out)
				}
				time.Sleep(time.Millisecond)
			}
			if k == 0 {
				starting = time.Since(began)
			}
		} else { // from each fifth of that time one moment
			wait = time.Duration((float64(k/2) + r.Float64()) / 5 * float64(starting))
		}
		time.Sleep(wait)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if c.Wait(); c.ProcessState.Exited() {
			t.Fatalf("process %d was not killed but has ended: %s", k, out)
		}
		t.Logf("seed %d: killed after %v at step %d, %s", seed, time.Since(began).Round(time.Millisecond), newest(t, dir), stage(dir, before))
	}
	if log := logOf(dir); strings.Contains(log, "damaged") || strings.Count(log, "resumed at step") < 4 {
		t.Errorf("no kill may damage a checkpoint, and most processes went on: %s", log)
	}
	steps := newest(t, dir) + 200
	whole := t.TempDir()
	for _, d := range []string{dir, whole} {
		if err := cell(d, steps).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	traintest.Equal(t, dir, whole)
	if left, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// TestKilledWithMemory kills a process three times that trains a method with memory: hidden states, last actions and
// episodes that are half played are among what the next one goes on from.
func TestKilledWithMemory(t *testing.T) {
	t.Setenv("VALUE_TEST_MEMORY", "1")
	t.Setenv("GOMLX_BACKEND", xla.Go)
	r := rand.New(rand.NewPCG(6, 0))
	dir, whole := t.TempDir(), t.TempDir()
	for range 3 {
		had, began := newest(t, dir), time.Now()
		c, out := startCell(t, dir, endless)
		for newest(t, dir) <= had+40 { // so that updates are among it, too
			if time.Since(began) > 4*time.Minute {
				t.Fatalf("nothing new is saved: %s", out)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.Wait()
	}
	steps := newest(t, dir) + 100
	for _, d := range []string{dir, whole} {
		if err := cell(d, steps).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if log := logOf(dir); strings.Count(log, "resumed at step") < 3 {
		t.Errorf("most processes went on from what the one before had saved: %s", log)
	}
	traintest.Equal(t, dir, whole)
}

// TestInterruptedCell interrupts a cell while it writes a checkpoint, and the next while it compiles. Each stops
// cleanly within the five seconds after which a notebook kills it and says where; the third finishes the run.
func TestInterruptedCell(t *testing.T) {
	dir, whole := t.TempDir(), t.TempDir()
	const steps = 600
	stopped := regexp.MustCompile(`(?m)^stopped at ([\d,]+) of 600 steps; run the cell again to continue$`)
	took := regexp.MustCompile(`(?m)^returned (\S+) s after the interrupt$`)
	for _, c := range []struct{ during, log string }{{"save", "stopped at step %d"}, {"compile", "stopped at step %d while preparing"}} {
		child, out := startCell(t, dir, steps, "VALUE_TEST_INTERRUPT="+c.during, "MUSTER_CACHE=off")
		if err := child.Wait(); err != nil {
			t.Fatalf("%s: %v: %s", c.during, err, out)
		}
		where, when := stopped.FindStringSubmatch(out.String()), took.FindStringSubmatch(out.String())
		if where == nil || when == nil {
			t.Fatalf("%s: the cell says %q", c.during, out)
		}
		if n, _ := strconv.ParseInt(where[1], 10, 64); n == 0 || n != newest(t, dir) {
			t.Errorf("%s: stopped at %s steps, saved at %d", c.during, where[1], newest(t, dir))
		}
		if s, err := strconv.ParseFloat(when[1], 64); err != nil || s >= 5 {
			t.Errorf("%s: the cell returned %s s after the interrupt, want less than 5", c.during, when[1])
		}
		if want := fmt.Sprintf(c.log+"\n", newest(t, dir)); !strings.HasSuffix(logOf(dir), want) {
			t.Errorf("%s: the log does not end with %q: %s", c.during, want, logOf(dir))
		}
		t.Logf("interrupted during %s: stopped at step %s within %s s", c.during, where[1], when[1])
	}
	if child, out := startCell(t, dir, steps); child.Wait() != nil {
		t.Fatal(out)
	}
	if err := cell(whole, steps).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	traintest.Equal(t, dir, whole)
}

// TestAnotherConstantInAClosure: a constant that no field shows is found in the traced program, and another one is
// another run.
func TestAnotherConstantInAClosure(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	dir := t.TempDir()
	begin := func(lambda float64) error {
		e := cell(dir, 8)
		m := e.Method.(hooked)
		m.Target = func(online, target, avail *Node) *Node { return MulScalar(DoubleQ(online, target, avail), lambda) }
		e.Method, e.Eval = m, train.Eval{}
		return e.Run(context.Background())
	}
	for _, c := range []struct {
		lambda float64
		same   bool
	}{{0.9, true}, {0.8, false}, {0.9, true}} {
		err := begin(c.lambda)
		if c.same && err != nil {
			t.Errorf("λ = %v: %v", c.lambda, err)
		} else if !c.same {
			wantLine(t, err, dir+" holds another run: the update program differs")
		}
	}
}

// TestCutLearner: a safetensors file that ends too early is found, and the run goes on from the checkpoint before.
func TestCutLearner(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	dir, whole := t.TempDir(), t.TempDir()
	until := func(dir string, steps int64) {
		t.Helper()
		e := cell(dir, steps)
		e.Eval, e.CheckpointEvery = train.Eval{}, -1
		if err := e.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	until(dir, 120)
	until(dir, 160)
	file := filepath.Join(dir, "checkpoint", "000000000160", "learner")
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
	until(dir, 200)
	until(whole, 200)
	if log := logOf(dir); !strings.Contains(log, "checkpoint 160 is damaged and left out: learner has") {
		t.Errorf("the log does not tell: %s", log)
	}
	traintest.Equal(t, dir, whole)
}
