package nb

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// Placed is a Watchable that knows its folder before it runs: an experiment or a sweep.
type Placed interface {
	Watchable
	Where() (dir string, err error)
}

// where is the absolute folder of x, "" if it has none.
func where(x Watchable) string {
	p, ok := x.(Placed)
	if !ok {
		return ""
	}
	dir, err := p.Where()
	if err != nil || dir == "" {
		return ""
	}
	dir, _ = filepath.Abs(dir)
	return dir
}

// asChild does the work that this process was started for, if that is x, and ends the process. It reports whether the
// process was started for some work: then it draws and runs nothing else.
func asChild(x Watchable) bool {
	dir, task := run.Child()
	if dir == "" {
		return false
	}
	if where(x) != dir {
		return true
	}
	survivePipes()
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	err := guarded(ctx, x) // a sweep ends the process of a task by itself
	if task < 0 && each(x) == nil {
		os.Remove(filepath.Join(dir, "program"))
		os.RemoveAll(filepath.Join(dir, "tmp"))
	}
	if err != nil {
		fail(err)
	}
	exit(0)
	return true
}

// Detach starts an experiment or a sweep in a process of its own and returns: it goes on when the cell is interrupted, the
// notebook closed or the kernel ended. The process is this program started again, which comes to the same call; nothing
// before it should take long. Runs lists what runs, Watch(run.Tail(pattern)) shows it, Stop ends it, and the same cell
// run again goes on with what was stopped.
func Detach(x Placed) {
	if asChild(x) {
		return
	}
	dir, err := x.Where()
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		fail(err)
		return
	}
	name := below(dir)
	if run.Held(dir) {
		fmt.Printf("%s runs already\n", name)
		return
	}
	done, err := detach(dir)
	switch {
	case err != nil:
		fail(err)
	case done:
		fmt.Printf("%s has ended: nothing was left to do\n", name)
	default:
		fmt.Printf("%s runs on its own now; nb.Runs() lists what runs, nb.Stop(%q) stops it\n", name, name)
	}
}

// detach starts the process and waits until it holds its folder, and a little longer, or until it has ended.
func detach(dir string) (done bool, err error) {
	output, tmp := filepath.Join(dir, "output.txt"), filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return false, fmt.Errorf("nb: %w", err)
	}
	program, err := run.KeepProgram(dir)
	if err != nil {
		return false, err
	}
	if err := os.Remove(output); err != nil && !os.IsNotExist(err) {
		return false, fmt.Errorf("nb: %w", err)
	}
	c, err := run.Spawn(program, output, dir, -1, "TMPDIR="+tmp)
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	held := false
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		select {
		case err := <-ended:
			if err == nil {
				return true, nil
			}
			lines := run.LastLines(output, 1)
			return true, fmt.Errorf("nb: %s did not start: %s", below(dir), cmp.Or(strings.Join(lines, ""), err.Error()))
		case <-time.After(50 * time.Millisecond):
		}
		if !held && holds(dir, c) { // most mistakes show at once
			held, limit = true, time.Now().Add(500*time.Millisecond)
		}
	}
	return false, nil
}

// holds reports whether a process has written that it holds a folder. The lock itself is left alone: asking for it would
// be in the way of the process.
func holds(dir string, c *exec.Cmd) bool {
	text, err := os.ReadFile(filepath.Join(dir, "lock"))
	return err == nil && strings.HasPrefix(string(text), fmt.Sprintf("process %d on ", c.Process.Pid))
}

// below is a folder as patterns name it: from run.Root().
func below(dir string) string {
	root, err := filepath.Abs(run.Root())
	if err == nil {
		if rel, err := filepath.Rel(root, dir); err == nil && !strings.HasPrefix(rel, "..") {
			return filepath.ToSlash(rel)
		}
	}
	return dir
}

// Stop lets runs of other processes save and end, by patterns as those of run.All, or "sweeps/name" for a sweep.
func Stop(patterns ...string) {
	if dir, _ := run.Child(); dir != "" {
		return
	}
	some := false
	for _, p := range patterns {
		full := p
		if !filepath.IsAbs(p) && !strings.HasPrefix(p, ".") {
			full = filepath.Join(run.Root(), filepath.FromSlash(p))
		}
		dirs, err := filepath.Glob(full)
		if err != nil {
			fail(fmt.Errorf("nb: pattern %q: %w", p, err))
			return
		}
		for _, dir := range dirs {
			if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
				continue
			}
			some = true
			was := run.Held(dir)
			if err := run.Stop(dir, time.Minute); err != nil {
				fail(err)
				return
			}
			abs, _ := filepath.Abs(dir)
			if !was {
				fmt.Printf("%s was not running\n", below(abs))
			} else if l, err := run.ReadLive(dir); err == nil {
				fmt.Printf("%s: %s at %s of %s steps\n", below(abs), l.State, report.Thousands(l.Steps), report.Thousands(l.Goal))
			} else {
				fmt.Printf("%s: stopped\n", below(abs))
			}
		}
	}
	if !some {
		fail(fmt.Errorf("nb: nothing to stop matches %s below %s; nb.Runs() lists what runs", strings.Join(patterns, ", "), run.Root()))
	}
}

// Runs shows a table of all runs below run.Root(), those that are running first.
func Runs() {
	if dir, _ := run.Child(); dir != "" {
		return
	}
	dirs, err := run.Below(run.Root())
	if err != nil {
		fail(err)
		return
	}
	var list []run.Live
	for _, d := range dirs {
		if l, err := run.ReadLive(d); err == nil {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b run.Live) int {
		return cmp.Compare(rank(a.State), rank(b.State))
	})
	t := report.Table{Caption: fmt.Sprintf("Runs below %s: %s", filepath.Base(run.Root()), cmp.Or(states(list), "none yet")), Header: []string{"run", "state", "steps", "of", "steps/s", "left", "note"}}
	for _, l := range list {
		var speed, rest any = nil, ""
		if l.State == run.Running && l.StepsPerSecond > 0 {
			speed = int64(l.StepsPerSecond)
			if l.Left > 0 {
				rest = left(l.Left)
			}
		}
		abs, _ := filepath.Abs(l.Dir)
		note := cmp.Or(l.Error, l.Note)
		if l.State == run.Finished || l.State == run.Stopped {
			note = ""
		}
		t.Rows = append(t.Rows, []any{below(abs), string(l.State), l.Steps, l.Goal, speed, rest, note})
	}
	Show(t)
}

// rank orders states: what needs attention comes first.
func rank(s run.State) int {
	return slices.Index([]run.State{run.Running, run.HasFailed, run.Lost, run.Waiting, run.Stopped, run.Hopeless, run.Finished}, s)
}
