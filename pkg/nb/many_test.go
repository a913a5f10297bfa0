package nb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// crowd is a sweep of fakes: seeds 0 and 1 run through, a third one fails.
type crowd struct {
	fakes []*fake
	done  int
}

func (c *crowd) Run(ctx context.Context) error {
	for _, f := range c.fakes {
		f.Run(ctx)
		c.done++
	}
	return errors.New("sweep: 1 of 3 experiments have not finished")
}

func (c *crowd) Each() []run.Live {
	var list []run.Live
	for i, f := range c.fakes {
		l := run.Live{Progress: f.Progress(), State: run.Finished}
		if i == 2 {
			l.State, l.Error = run.HasFailed, "table: no <number>"
		}
		list = append(list, l)
	}
	return list
}

func (c *crowd) Progress() run.Progress { return run.Together("sweep lr", c.Each()) }

func TestWatchMany(t *testing.T) {
	forget(t)
	out, errs, status := said(t, func() {
		Watch(&crowd{fakes: []*fake{{goal: 4}, {goal: 4, seed: 1}, {goal: 3, seed: 2}}})
	})
	if errs != "sweep: 1 of 3 experiments have not finished\n" || status != 1 {
		t.Errorf("%q on stderr, status %d", errs, status)
	}
	wants(t, out, "sweep lr: 11 / 11 steps, failed (2 finished, 1 failed)\n", "loss over joint steps", "3 seeds")
}

func many() (run.Progress, []run.Live) {
	at := time.Now()
	list := []run.Live{
		{Progress: run.Progress{Title: "a", Steps: 10, Goal: 10, Finished: true}, State: run.Finished},
		{Progress: run.Progress{Title: "b <1>", Steps: 5, Goal: 10, Seconds: 2, StepsPerSecond: 20, Left: 3 * time.Second, Shares: map[string]float64{"env": 1}, Note: "compiled"}, State: run.Running, At: at},
		{Progress: run.Progress{Title: "c", Steps: 1, Goal: 10, Seconds: 2, StepsPerSecond: 5, Shares: map[string]float64{"act": 1}, Note: "slow"}, State: run.Running, At: at.Add(time.Second)},
		{Progress: run.Progress{Title: "d", Steps: 2, Goal: 10}, State: run.HasFailed, Error: "no <number>"},
		{Progress: run.Progress{Title: "e", Goal: 10}, State: run.Waiting},
	}
	p := run.Together("sweep", list)
	p.Backend = "2 at a time"
	return p, list
}

func TestBarOfMany(t *testing.T) {
	p, list := many()
	f := barOf(p, list, running)
	want := `<div><b>sweep</b> (2 at a time)<br>
<progress value="18" max="50"></progress> 18 / 50 steps, 25 steps/s, 1 s left<br>
env 50 %, act 50 %<br>
1 finished, 2 running, 1 waiting, 1 failed; c: slow
<table>
<tr><td>b &lt;1&gt;</td><td><progress value="5" max="10"></progress></td><td>5 / 10 steps, 20 steps/s, 3 s left: compiled</td></tr>
<tr><td>c</td><td><progress value="1" max="10"></progress></td><td>1 / 10 steps, 5 steps/s: slow</td></tr>
<tr><td>d</td><td><progress value="2" max="10"></progress></td><td>2 / 10 steps, failed: no &lt;number&gt;</td></tr>
</table></div>`
	if f.html != want {
		t.Errorf("html:\n%s\nwant:\n%s", f.html, want)
	}
	f = barOf(p, list, stopped)
	for _, bad := range []string{"steps/s", "left", "slow"} {
		if strings.Contains(f.html+f.text, bad) {
			t.Errorf("the last bar has %q in it:\n%s", bad, f.html)
		}
	}
	wants(t, f.text, "sweep: 18 / 50 steps, stopped (1 finished, 2 running, 1 waiting, 1 failed)")
}

func TestTerminalBlock(t *testing.T) {
	p, list := many()
	got := strings.Join(block(p, list), "\n")
	want := `sweep (2 at a time)
18 / 50 steps, 25 steps/s, 1 s left, env 50 %, act 50 %
  b <1>: 5 / 10 steps, 20 steps/s, 3 s left: compiled
  c: 1 / 10 steps, 5 steps/s: slow
  d: 2 / 10 steps, failed: no <number>
1 finished, 2 running, 1 waiting, 1 failed; c: slow`
	if got != want {
		t.Errorf("block:\n%s\nwant:\n%s", got, want)
	}
	screen := redraw([]string{strings.Repeat("x", 200), "b"}, 3) // over three lines, of which one must vanish
	if want := "\x1b[3A\r\x1b[2K" + strings.Repeat("x", 117) + "…\n\r\x1b[2Kb\n\x1b[2K\n\x1b[1A"; screen != want {
		t.Errorf("screen %q, want %q", screen, want)
	}
}
