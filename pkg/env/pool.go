package env

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	worthSharing = 15 * time.Microsecond // below this a hand-over costs more than it gains (docs/performance.md)
	spinFor      = 50 * time.Microsecond // a helper looks for work this long before it sleeps
	measureEvery = 128                   // calls of a task between two measurements of its cost
)

// pool calls a task for many slots, with helpers when that is worth it. The caller works too, and whoever is
// free takes some of the slots that are left, so a helper that wakes late costs nothing.
type pool struct {
	workers int // the caller included
	helpers []*helper
	task    *task
	work    atomic.Uint64 // round<<32 | slots that nobody has taken; they are taken from the last to the first
	left    atomic.Int64  // slots not finished
	closed  atomic.Bool
	round   uint64
}

// task is a function of a slot and what it costs.
type task struct {
	f     func(i int)
	calls int
	cost  time.Duration // of 1024 slots, done alone
}

type helper struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// newPool starts workers−1 helpers, but never more workers than the machine runs at once.
func newPool(workers int) *pool {
	p := &pool{workers: max(1, min(workers, runtime.GOMAXPROCS(0)))}
	for range p.workers - 1 {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.help(h)
	}
	return p
}

func (p *pool) close() {
	if p == nil || p.closed.Swap(true) {
		return
	}
	for _, h := range p.helpers {
		h.stir()
	}
	p.helpers = nil
}

func (h *helper) stir() {
	if h.asleep.CompareAndSwap(true, false) {
		h.wake <- struct{}{}
	}
}

// do calls t.f once for every slot below n and returns when all are finished. The cost of a slot is the
// smaller of two measurements one after another: a single one may have been held up.
func (p *pool) do(t *task, n int) {
	turn := t.calls % measureEvery
	t.calls++
	switch {
	case len(p.helpers) == 0:
		t.alone(n)
	case turn < 2:
		start := time.Now()
		t.alone(n)
		if cost := time.Since(start) * 1024 / time.Duration(n); turn == 0 || cost < t.cost {
			t.cost = cost
		}
	case t.cost*time.Duration(n)/1024 < worthSharing:
		t.alone(n)
	default:
		p.share(t, n)
	}
}

func (t *task) alone(n int) {
	for i := range n {
		t.f(i)
	}
}

func (p *pool) share(t *task, n int) {
	p.round++
	p.task = t
	p.left.Store(int64(n))
	p.work.Store(p.round<<32 | uint64(n))
	for _, h := range p.helpers {
		h.stir()
	}
	for p.take() {
	}
	for spins := 0; p.left.Load() > 0; spins++ {
		if spins > 1000 {
			runtime.Gosched()
		}
	}
}

// take claims a part of the slots that are left and does them; false if there are none. The parts shrink, so
// that all finish together. The round in the upper half keeps a helper that was held up from claiming slots
// of a later round by an old count.
func (p *pool) take() bool {
	w := p.work.Load()
	free := int(uint32(w))
	if free == 0 {
		return false
	}
	k := (free-1)/(4*(p.workers)) + 1
	if p.work.CompareAndSwap(w, w-uint64(k)) {
		for i := free - k; i < free; i++ {
			p.task.f(i)
		}
		p.left.Add(-int64(k))
	}
	return true
}

func (p *pool) help(h *helper) {
	for {
		for since := time.Now(); time.Since(since) < spinFor; {
			for range 200 {
				if p.take() {
					since = time.Now()
				}
			}
		}
		h.asleep.Store(true)
		if uint32(p.work.Load()) > 0 || p.closed.Load() { // it came while falling asleep
			if !h.asleep.CompareAndSwap(true, false) {
				<-h.wake
			}
		} else {
			<-h.wake
		}
		if p.closed.Load() {
			return
		}
	}
}
