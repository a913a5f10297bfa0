package train

import (
	"math"
	"sync"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// board is what an experiment shows while it runs. It is read from other goroutines.
type board struct {
	mu      sync.Mutex
	p       run.Progress
	spent   map[string]time.Duration
	marks   [16]mark // of the last seconds, for the speed
	n       int
	lastAdd time.Time
}

const preparing = "preparing" // the note before a log has any line

type mark struct {
	at    time.Time
	steps int64
}

// Progress says where the experiment stands. It may be called while Run goes on.
func (e *Experiment) Progress() run.Progress {
	b := &e.board
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.p
	p.Shares = map[string]float64{}
	var total time.Duration
	for _, d := range b.spent {
		total += d
	}
	for k, d := range b.spent {
		if total > 0 {
			p.Shares[k] = float64(d) / float64(total)
		}
	}
	return p
}

func (b *board) begin(dir, title string, goal int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p = run.Progress{Dir: dir, Title: title, Goal: goal, Note: preparing}
	b.spent, b.n, b.lastAdd = map[string]time.Duration{}, 0, time.Time{}
}

// resume shows where the run will go on, while it is still being prepared.
func (b *board) resume(steps int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Steps = steps
}

func (b *board) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Note = s
}

func (b *board) backend(p map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Backend = p["banner"]
}

func (b *board) spend(kind string, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent[kind] += d
}

// update takes the loop's counters over, at most every fifth of a second unless it is the last time.
func (b *board) update(l *Loop, before float64, last bool) {
	now := time.Now()
	if !last && now.Sub(b.lastAdd) < 200*time.Millisecond { // lastAdd belongs to the training goroutine
		return
	}
	b.lastAdd = now
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(l, before)
	if b.p.Note == preparing {
		b.p.Note = ""
	}
	b.marks[b.n%len(b.marks)] = mark{now, l.Steps()}
	b.n++
	old := b.marks[0]
	if b.n > len(b.marks) {
		old = b.marks[b.n%len(b.marks)]
	}
	if dt := now.Sub(old.at).Seconds(); dt > 0 && l.Steps() > old.steps {
		b.p.StepsPerSecond = float64(l.Steps()-old.steps) / dt
		b.p.Left = span(float64(max(0, b.p.Goal-l.Steps())) / b.p.StepsPerSecond)
	}
}

// span is a duration of so many seconds, or the longest there is.
func span(seconds float64) time.Duration {
	if seconds > math.MaxInt64/1e9 {
		return math.MaxInt64
	}
	return time.Duration(seconds * 1e9)
}

func (b *board) take(l *Loop, before float64) {
	b.p.Steps, b.p.Updates = l.Steps(), l.Updates()
	b.p.Seconds = before + (l.times.Env + l.times.Act + l.times.Update).Seconds()
	b.spent["env"], b.spent["act"], b.spent["update"] = l.times.Env, l.times.Act, l.times.Update
}

func (b *board) finish(l *Loop, before float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(l, before)
	b.p.Finished, b.p.Left, b.p.Note = true, 0, "finished"
}
