package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func tell(t *testing.T, dir string, s State, cause error) *Dir {
	t.Helper()
	d, err := Create(dir, Config{Method: "dqn", World: "toy", Goal: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.Tell(Progress{Dir: "elsewhere", Title: "dqn on toy, seed 0", Steps: 40, Goal: 100, StepsPerSecond: 8, Left: time.Second, Seconds: 5, Shares: map[string]float64{"env": 1}, Note: "hello"}, s, cause)
	return d
}

// say changes what progress.json says about its process.
func say(t *testing.T, dir string, change func(l *Live)) {
	t.Helper()
	l, err := ReadLive(dir)
	if err != nil {
		t.Fatal(err)
	}
	change(&l)
	data, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "progress.json"), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "0")
	d := tell(t, dir, Running, nil)
	l, err := ReadLive(dir)
	if err != nil || l.State != Running || l.Steps != 40 || l.Dir != dir || l.Process != os.Getpid() || l.Shares["env"] != 1 || l.Left != time.Second {
		t.Errorf("%+v, %v", l, err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	state := func(change func(l *Live)) State {
		t.Helper()
		tell := d
		tell.Tell(l.Progress, Running, nil)
		say(t, dir, change)
		got, err := ReadLive(dir)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	for name, c := range map[string]struct {
		change func(l *Live)
		want   State
	}{
		"here":                    {func(l *Live) {}, Running},
		"killed":                  {func(l *Live) { l.Process = dead.Process.Pid }, Lost},
		"long ago":                {func(l *Live) { l.At = l.At.Add(-time.Hour) }, Lost},
		"on another machine":      {func(l *Live) { l.Host = "far" }, Running},
		"silent on another":       {func(l *Live) { l.Host, l.At = "far", l.At.Add(-5*time.Minute) }, Lost},
		"paused on this":          {func(l *Live) { l.At = l.At.Add(-5 * time.Minute) }, Running},
		"a process that is over ": {func(l *Live) { l.State, l.Process = Stopped, dead.Process.Pid }, Stopped},
	} {
		if got := state(c.change); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	d.Tell(l.Progress, HasFailed, errors.New("disk full"))
	if l, err := ReadLive(dir); err != nil || l.State != HasFailed || l.Error != "disk full" {
		t.Errorf("%+v, %v", l, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A run that says nothing, of an earlier version or a summary, is judged by its lines.
func TestSilentRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "0")
	d, err := Create(dir, Config{Method: "dqn", World: "toy", Goal: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, c := range []struct {
		steps int64
		want  State
	}{{60, Stopped}, {100, Finished}} {
		if err := d.Metrics(c.steps, 1, 1, nil); err != nil {
			t.Fatal(err)
		}
		if l, err := ReadLive(dir); err != nil || l.State != c.want || l.Steps != c.steps || l.Title != "dqn on toy, seed 0" {
			t.Errorf("%+v, %v: want %s", l, err, c.want)
		}
	}
	if _, err := ReadLive(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no config.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	one, two := Path("dqn", "toy", 0), Path("dqn", "toy", 1)
	a, b := tell(t, one, Running, nil), tell(t, two, Running, nil)
	f := Tail("dqn/toy/*")
	p := f.Progress()
	if p.Steps != 80 || p.Goal != 200 || p.StepsPerSecond != 16 || p.Left != 7500*time.Millisecond || p.Shares["env"] != 1 || p.Note != "2 running; dqn on toy, seed 0: hello" {
		t.Errorf("together %+v", p)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := f.Run(ctx); err != nil {
		t.Errorf("without following: %v", err)
	}
	go func() {
		time.Sleep(100 * time.Millisecond)
		a.Tell(Progress{Finished: true}, Finished, nil)
		b.Tell(Progress{}, Stopped, nil)
	}()
	if err := f.Run(context.Background()); err != nil {
		t.Errorf("stopped elsewhere: %v", err)
	}
	b.Tell(Progress{}, HasFailed, errors.New("train: disk full"))
	if err := f.Run(context.Background()); err == nil || err.Error() != fmt.Sprintf("run: %s: train: disk full", two) {
		t.Errorf("failed: %v", err)
	}
	if p := Tail(one).Progress(); !p.Finished {
		t.Errorf("by its directory: %+v", p)
	}
	if dirs, err := Below(Root()); err != nil || len(dirs) != 2 || dirs[0] != one {
		t.Errorf("below the root: %v, %v", dirs, err)
	}
}

func TestStopAndHold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sweep")
	release, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("is in use by process %d on ", os.Getpid())) {
		t.Errorf("the second: %v", err)
	}
	if !Held(dir) {
		t.Error("held, but nobody says so")
	}
	must := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must("process 12 on far\n")
	if err := Stop(dir, time.Second); err == nil || !strings.Contains(err.Error(), "in use by process 12 on far: stop it there, this is ") {
		t.Errorf("on another machine: %v", err)
	}
	must("")
	if err := Stop(dir, time.Second); err == nil || !strings.Contains(err.Error(), "does not say by whom") {
		t.Errorf("an empty lock: %v", err)
	}
	release()
	if err := Stop(dir, time.Second); err != nil || Held(dir) {
		t.Errorf("nobody holds it: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	for _, v := range []string{"GONB_PIPE", "TMPDIR", "MUSTER_CHILD", "MUSTER_TASK", "KEPT"} {
		t.Setenv(v, "x")
	}
	all := strings.Join(Environment(), "\n")
	for _, v := range []string{"GONB_PIPE", "TMPDIR", "MUSTER_CHILD", "MUSTER_TASK"} {
		if strings.Contains("\n"+all, "\n"+v+"=") {
			t.Errorf("%s goes on to children", v)
		}
	}
	if !strings.Contains(all, "KEPT=x") {
		t.Error("what the user has set is lost")
	}
	t.Setenv("MUSTER_TASK", "3")
	if dir, task := Child(); dir != "x" || task != 3 {
		t.Errorf("child of %q, task %d", dir, task)
	}
}
