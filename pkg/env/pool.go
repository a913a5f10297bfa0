package env

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	worthSharing = 15 * time.Microsecond // below this a hand-over costs more than it gains (docs/performance.md)
	spinFor      = 50 * time.Microsecond // a helper looks for work this long before it sleeps
	measureEvery = 64                    // batches between two measurements of the cost of one
)

// pool calls f(0) … f(n−1), with helpers when that is worth it. The caller works too, and whoever is free
// takes the next few slots, so a helper that wakes late costs nothing.
type pool struct {
	n, chunk int
	f        func(i int)
	helpers  []*helper
	work     atomic.Uint64 // round<<32 | first slot that nobody has taken
	left     atomic.Int64  // slots not finished
	closed   atomic.Bool
	round    uint64
	cost     time.Duration // of a batch done alone, measured now and then
}

type helper struct {
	asleep atomic.Bool
	wake   chan struct{}
}

func newPool(n, workers int, f func(int)) *pool {
	p := &pool{n: n, f: f}
	workers = min(workers, runtime.GOMAXPROCS(0), n)
	p.chunk = max(1, n/(8*max(workers, 1)))
	p.work.Store(uint64(n))
	for range workers - 1 {
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

// do calls f for every slot once and returns when all are finished.
func (p *pool) do() {
	p.round++
	if len(p.helpers) == 0 {
		p.alone()
		return
	}
	if p.round%measureEvery == 1 {
		start := time.Now()
		p.alone()
		p.cost = time.Since(start)
		return
	}
	if p.cost < worthSharing {
		p.alone()
		return
	}
	p.left.Store(int64(p.n))
	p.work.Store(p.round << 32)
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

func (p *pool) alone() {
	for i := range p.n {
		p.f(i)
	}
}

// take claims the next few slots and steps them; false if none is left. The round in the upper half keeps
// a helper that was held up from claiming slots of a later round by an old count.
func (p *pool) take() bool {
	w := p.work.Load()
	first := int(uint32(w))
	if first >= p.n {
		return false
	}
	k := min(p.chunk, p.n-first)
	if p.work.CompareAndSwap(w, w+uint64(k)) {
		for i := first; i < first+k; i++ {
			p.f(i)
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
		if int(uint32(p.work.Load())) < p.n || p.closed.Load() { // it came while falling asleep
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
