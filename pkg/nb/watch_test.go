package nb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// fake is an experiment of one step per update. It writes a run directory and stops at the step `hold` until it
// is interrupted.
type fake struct {
	seed   uint64
	goal   int64
	hold   int64 // 0 = runs through
	err    error // returned at the end
	panics bool

	mu sync.Mutex
	p  run.Progress
}

func (f *fake) set(change func(*run.Progress)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.p)
}

func (f *fake) Progress() run.Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.p
}

func (f *fake) Run(ctx context.Context) error {
	dir := run.Path("dqn", "toy/line", f.seed)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf(`{"format":1,"method":"dqn","world":"toy/line","seed":%d,"goal":%d}`, f.seed, f.goal)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		return err
	}
	f.set(func(p *run.Progress) {
		*p = run.Progress{Dir: dir, Title: fmt.Sprintf("dqn on toy/line, seed %d", f.seed), Backend: "none, 1 thread", Goal: f.goal,
			StepsPerSecond: 1234.5, Left: 3 * time.Minute, Shares: map[string]float64{"env": 0.25, "update": 0.75}, Note: "compiling <update>"}
	})
	metrics, err := os.OpenFile(filepath.Join(dir, "metrics.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer metrics.Close()
	for i := int64(1); i <= f.goal; i++ {
		fmt.Fprintf(metrics, `{"steps":%d,"updates":%d,"seconds":0,"loss":%g,"train_return":%d}`+"\n", i, i, 1/float64(i), i)
		f.set(func(p *run.Progress) { p.Steps, p.Updates = i, i })
		if f.panics {
			var none []int
			_ = none[i]
		}
		if i == f.hold {
			<-ctx.Done()
			time.Sleep(50 * time.Millisecond) // of saving
			return os.WriteFile(filepath.Join(dir, "saved"), nil, 0o644)
		}
	}
	if f.err == nil {
		f.set(func(p *run.Progress) { p.Finished = true })
	}
	return f.err
}

// forget undoes what calls of Watch share in one program.
func forget(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	watched, watchCount, interrupted = nil, 0, false
}

func TestWatchPrintsText(t *testing.T) {
	forget(t)
	out, errs, status := said(t, func() { Watch(&fake{goal: 40}) })
	want := `dqn on toy/line, seed 0: 40 / 40 steps, finished
loss over joint steps; last values:
  dqn: 0.025 at 40 steps
train return over joint steps; last values:
  dqn: 40 at 40 steps
One seed, no band. Trained for 40 joint steps.
`
	if out != want || errs != "" || status != -1 {
		t.Errorf("printed:\n%s\nand %q on stderr, status %d; want:\n%s", out, errs, status, want)
	}
}

// A loop over seeds ends with a figure of all of them.
func TestWatchCollectsRuns(t *testing.T) {
	forget(t)
	out, _, _ := said(t, func() {
		for seed := range uint64(2) {
			Watch(&fake{goal: 3 + int64(seed), seed: seed}, Metrics("loss"))
		}
	})
	wants(t, out, "seed 0: 3 / 3 steps, finished", "seed 1: 4 / 4 steps, finished", "  dqn: 0.25 (0.25 to 0.25, 1 seed) at 4 steps", "Mean of 2 seeds")
	if strings.Contains(out, "train return") {
		t.Errorf("a panel that nobody asked for:\n%s", out)
	}
}

func TestWatchNamesUnknownMetrics(t *testing.T) {
	forget(t)
	out, _, status := said(t, func() { Watch(&fake{goal: 3}, Metrics("loss", "los"), Smooth(2)) })
	wants(t, out, `has no metric "los"; it has loss`, "Moving mean over 2 logged points")
	if status != -1 {
		t.Errorf("a figure that cannot be drawn ends the program with status %d", status)
	}
}

func TestWatchFails(t *testing.T) {
	forget(t)
	out, errs, status := said(t, func() { Watch(&fake{goal: 5, err: errors.New("train: disk full:\nno space")}) })
	wants(t, out, "5 / 5 steps, failed")
	if errs != "train: disk full: no space\n" || status != 1 {
		t.Errorf("%q on stderr, status %d", errs, status)
	}
}

func TestWatchTurnsPanicsIntoOneLine(t *testing.T) {
	forget(t)
	_, errs, status := said(t, func() { Watch(&fake{goal: 5, panics: true}) })
	wants(t, errs, "panic: runtime error: index out of range [1] with length 0 (watch_test.go:", "; the stack is in its log.txt\n")
	if strings.Count(errs, "\n") != 1 || status != 1 {
		t.Errorf("%q on stderr, status %d", errs, status)
	}
	log, err := os.ReadFile(filepath.Join(run.Path("dqn", "toy/line", 0), "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, string(log), "(*fake).Run")
}

func TestBar(t *testing.T) {
	p := run.Progress{Title: "dqn on <toy>", Backend: "xla:cpu, 2 threads", Steps: 179, Goal: 3000, StepsPerSecond: 1234.5, Left: 90 * time.Minute,
		Shares: map[string]float64{"update": 0.6, "env": 0.3, "save": 0.001, "other": 0.099}, Note: "compiling <update>"}
	f := bar(p, running)
	if want := `<div><b>dqn on &lt;toy&gt;</b> (xla:cpu, 2 threads)<br>
<progress value="179" max="3000"></progress> 179 / 3000 steps, 1,234 steps/s, 1 h 30 min left<br>
env 30 %, update 60 %, other 10 %<br>
compiling &lt;update&gt;</div>`; f.html != want {
		t.Errorf("html:\n%s\nwant:\n%s", f.html, want)
	}
	if f.text != "dqn on <toy>: 179 / 3000 steps" {
		t.Errorf("text %q", f.text)
	}
	f = bar(p, stopped)
	if want := `<div><b>dqn on &lt;toy&gt;</b> (xla:cpu, 2 threads)<br>
<progress value="179" max="3000"></progress> 179 / 3000 steps, stopped</div>`; f.html != want {
		t.Errorf("the last bar has times in it:\n%s\nwant:\n%s", f.html, want)
	}
	p.StepsPerSecond, p.Left, p.Goal = 0.256, 42*time.Second, 0
	wants(t, bar(p, running).html, "<progress></progress> 179 steps, 0.26 steps/s, 42 s left")
}
