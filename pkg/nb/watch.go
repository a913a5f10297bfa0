package nb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// Watchable is what Watch runs; train.Experiment fulfils it.
type Watchable interface {
	Run(ctx context.Context) error // goes on where the run directory stands, saves and returns when ctx ends
	Progress() run.Progress        // may be called while Run works
}

// Option changes what Watch draws.
type Option func(*watcher)

// Metrics chooses the panels of the live figure; the default is "loss" and "train_return". Without names
// there is no figure.
func Metrics(names ...string) Option { return func(w *watcher) { w.metrics, w.chosen = names, true } }

// Smooth sets the moving mean of the live figure to k logged points; the default is a fiftieth of all.
func Smooth(k int) Option { return func(w *watcher) { w.window = k } }

const (
	patience  = 100 * time.Millisecond // before the first frame: a run that is finished needs only the last one
	frequency = 250 * time.Millisecond // between frames, at least
	barRest   = 100                    // pause after a frame, in times of what it took: 1 % of the time for the bar
	curveRest = 25                     // and 4 % for the figure
	lineEvery = 30 * time.Second       // between lines of text, without notebook or terminal
)

// What several calls in one cell share: the runs in its figure, and whether the interrupt button was pressed.
var (
	watched     []string
	watchCount  int
	interrupted bool
	seen        = map[string]bool{} // run directory and metric, once it has points: not read again to find out
)

// Watch runs an experiment in this process and shows its progress and its curves (those of earlier calls in the
// same program, too). It goes on where the run directory stands, so a cell may be run again. The interrupt button
// lets the experiment save, says where it stopped and returns; later calls in the same program do nothing.
// Of a sweep, or of the runs of other processes that run.Tail follows, it shows all runs: a line for each that is running,
// and a figure for each world with a band over seeds. In a process that was started for other work it does nothing.
func Watch(x Watchable, options ...Option) {
	if asChild(x) || interrupted {
		return
	}
	survivePipes()
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	w := newWatcher(x, options)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() { w.loop(quit); close(done) }()
	err := guarded(ctx, x)
	interrupted = ctx.Err() != nil
	early := interrupted && !x.Progress().Finished && (err == nil || errors.Is(err, context.Canceled))
	limit := 10 * time.Second
	if interrupted {
		limit = time.Second // five seconds after the interrupt the process is killed
	}
	close(quit)
	select {
	case <-done:
		w.last(early, err, limit)
	case <-time.After(limit): // the kernel is gone, and a frame waits for it
	}
	if p := x.Progress(); early && goesOn(x) {
		fmt.Printf("no longer watched at %s of %s steps; it goes on\n", report.Thousands(p.Steps), report.Thousands(p.Goal))
	} else if early {
		fmt.Printf("stopped at %s of %s steps; run the cell again to continue\n", report.Thousands(p.Steps), report.Thousands(p.Goal))
	} else if err != nil {
		fail(err)
	}
}

// guarded runs x and turns a panic into an error that says where it came from. The stack goes into the run's log.
func guarded(ctx context.Context, x Watchable) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("panic: %v (%s)", p, origin())
		dir := x.Progress().Dir
		if f, e := os.OpenFile(filepath.Join(dir, "log.txt"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644); dir != "" && e == nil {
			fmt.Fprintf(f, "panic: %v\n%s\n", p, debug.Stack())
			f.Close()
			err = fmt.Errorf("%w; the stack is in its log.txt", err)
		}
	}()
	return x.Run(ctx)
}

// origin is the line that panicked: the first below the runtime's own.
func origin() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	below := false
	for {
		f, more := frames.Next()
		inside := strings.HasPrefix(f.Function, "runtime.")
		if below && !inside {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		below = below || inside && strings.Contains(f.Function, "panic")
		if !more {
			return "unknown line"
		}
	}
}

// watcher draws frames of one experiment.
type watcher struct {
	x       Watchable
	metrics []string
	chosen  bool // by the caller: then a metric that does not exist is a mistake
	window  int
	bar     string // display id
	tty     bool
	shown   [2]int64 // steps and updates of the last figure
	started bool     // its first line of text is out
	printed time.Time
	width   int // of the last line on a terminal
	lines   int // of the last block on a terminal
}

func newWatcher(x Watchable, options []Option) *watcher {
	w := &watcher{x: x, metrics: []string{"loss", "train_return"}, bar: "train/bar", shown: [2]int64{-1, -1}}
	for _, o := range options {
		o(w)
	}
	if watchCount++; watchCount > 1 {
		w.bar = fmt.Sprintf("train/bar%d", watchCount)
	}
	if info, err := os.Stdout.Stat(); err == nil {
		w.tty = info.Mode()&os.ModeCharDevice != 0
	}
	return w
}

// loop draws until quit is closed, from the numbers of the training goroutine and not from its time.
func (w *watcher) loop(quit <-chan struct{}) {
	var nextCurve time.Time
	pause := patience
	for {
		select {
		case <-quit:
			return
		case <-time.After(pause):
		}
		began := time.Now()
		w.drawBar()
		pause = max(frequency, barRest*time.Since(began))
		if now := time.Now(); isNotebook() && now.After(nextCurve) {
			w.drawCurve(10 * time.Second)
			nextCurve = time.Now().Add(max(frequency, curveRest*time.Since(now)))
		}
	}
}

func (w *watcher) drawBar() {
	p := w.x.Progress()
	if isNotebook() {
		display(w.bar, barOf(p, each(w.x), running), 10*time.Second)
		return
	}
	if list := each(w.x); list != nil && w.tty {
		lines := block(p, list)
		fmt.Print(redraw(lines, w.lines))
		w.lines = len(lines)
		return
	}
	w.line(p)
}

// line prints progress as text: over and over the same line of a terminal, else a line now and then.
func (w *watcher) line(p run.Progress) {
	if !w.started {
		if p.Backend == "" {
			return
		}
		w.started, w.printed = true, time.Now()
		fmt.Printf("%s (%s)\n", p.Title, p.Backend)
	}
	text := count(p)
	for _, more := range []string{pace(p), shares(p), p.Note} {
		if more != "" {
			text += ", " + more
		}
	}
	switch {
	case w.tty:
		fmt.Printf("\r%-*s", w.width, text)
		w.width = len(text)
	case time.Since(w.printed) >= lineEvery:
		fmt.Println(text)
		w.printed = time.Now()
	}
}

// drawCurve draws the live figure if there are new numbers and something to show.
func (w *watcher) drawCurve(limit time.Duration) {
	p := w.x.Progress()
	now := [2]int64{p.Steps, p.Updates}
	if now == w.shown {
		return
	}
	for k, c := range w.charts(p) {
		f, err := newFrame(c)
		if err != nil {
			return // a line may be missing while its process writes; the last frame says what is wrong for good
		}
		w.shown = now
		display(curveID(k), f, limit)
	}
}

// charts are the figures to show, none as long as no metric has a point.
func (w *watcher) charts(p run.Progress) []report.Chart {
	if list := each(w.x); list != nil {
		return charts(list, w.metrics, w.window)
	}
	if c, ok := w.chart(p); ok {
		return []report.Chart{c}
	}
	return nil
}

// chart reads the runs of this cell; ok is false as long as no metric has a point.
func (w *watcher) chart(p run.Progress) (c report.Chart, ok bool) {
	r, err := run.Open(p.Dir)
	if p.Dir == "" || err != nil {
		return c, false
	}
	runs := append(earlier(p.Dir), r)
	metrics := common(runs, w.metrics)
	if len(metrics) == 0 {
		runs = runs[len(runs)-1:]
		metrics = common(runs, w.metrics)
	}
	return report.Curves(run.Of(runs...), metrics...).Smooth(w.window), len(metrics) > 0
}

// earlier opens the runs that other calls in this program have watched.
func earlier(dir string) []*run.Run {
	var list []*run.Run
	for _, d := range watched {
		if r, err := run.Open(d); err == nil && d != dir {
			list = append(list, r)
		}
	}
	return list
}

// common returns those of the metrics that all runs have.
func common(runs []*run.Run, metrics []string) []string {
	var list []string
	for _, m := range metrics {
		all := true
		for _, r := range runs {
			if key := r.Dir + "\n" + m; !seen[key] {
				_, err := r.Metrics(m)
				seen[key] = err == nil
				all = all && err == nil
			}
		}
		if all {
			list = append(list, m)
		}
	}
	return list
}

// last draws the final frames: always, and with final numbers.
func (w *watcher) last(early bool, err error, limit time.Duration) {
	p, s := w.x.Progress(), finished
	switch {
	case early:
		s = stopped
	case err != nil:
		s = failed
	case !p.Finished: // a run of another process that was stopped there
		s = stopped
	}
	if w.tty && w.width > 0 && !isNotebook() {
		fmt.Println()
	}
	list := each(w.x)
	display(w.bar, barOf(p, list, s), limit)
	for k, c := range w.charts(p) {
		if f, e := newFrame(c); e == nil {
			display(curveID(k), f, limit)
		}
	}
	for _, l := range list {
		watched = append(watched, l.Dir)
	}
	if list == nil && p.Dir != "" {
		watched = append(watched, p.Dir)
	} else if len(list) > 0 {
		p = list[0].Progress
	}
	w.complain(p)
}

// complain says which of the chosen metrics the run has not logged.
func (w *watcher) complain(p run.Progress) {
	r, err := run.Open(p.Dir)
	if !w.chosen || p.Dir == "" || err != nil {
		return
	}
	for _, m := range w.metrics {
		if _, err := r.Metrics(m); err != nil {
			fmt.Println(err)
		}
	}
}
