package env

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	worthSharing = 15 * time.Microsecond // below this a hand-over costs more than it gains (docs/performance.md)
	spinFor      = 50 * time.Microsecond // a helper looks for work this long before it sleeps
	tryEvery     = 128                   // calls of a task between two trials of the other way to do it
	tries        = 3                     // calls of such a trial; the first, which wakes helpers, does not count
)

// pool calls a task for many slots, with helpers when that is worth it. Each worker, the caller included, has
// a portion of the slots, always the same, so that they stay in its cache; who has finished takes from the
// others, so a helper that wakes late costs nothing.
type pool struct {
	portions []portion // the caller's first
	helpers  []*helper
	task     *task
	n        int
	left     atomic.Int64 // slots not finished
	closed   atomic.Bool
	round    uint64
	now      func() time.Time // replaced in tests
}

// portion counts the slots that nobody has taken; they are taken from the last to the first. The round in the
// upper half keeps a helper that was held up from taking slots of a later round by an old count.
type portion struct {
	work atomic.Uint64 // round<<32 | slots
	_    [56]byte      // a cache line each
}

// task is a function of a slot and what it costs: running means, in nanoseconds a slot.
type task struct {
	f             func(i int)
	calls         int
	alone, shared float64
}

type helper struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// newPool starts workers−1 helpers, but never more workers than the machine runs at once.
func newPool(workers int) *pool {
	p := &pool{portions: make([]portion, max(1, min(workers, runtime.GOMAXPROCS(0)))), now: time.Now}
	for k := 1; k < len(p.portions); k++ {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.help(k, h)
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

// do calls t.f once for every slot below n and returns when all are finished: alone or with helpers, whatever
// took less time lately. Helpers do not pay where the work is small or other programs use the cores.
func (p *pool) do(t *task, n int) {
	if len(p.helpers) == 0 {
		t.all(n)
		return
	}
	small := t.alone*float64(n) < float64(worthSharing)
	share := !small && t.shared < t.alone
	turn := t.calls % tryEvery
	t.calls++
	switch {
	case turn >= 2*tries && small:
		t.all(n)
		return
	case turn < tries:
		share = false
	case turn < 2*tries:
		share = !small
	}
	start, cost := p.now(), &t.alone
	if share {
		cost = &t.shared
		p.share(t, n)
	} else {
		t.all(n)
	}
	if turn != 0 && turn != tries {
		mean(cost, float64(p.now().Sub(start))/float64(n))
	}
}

// mean moves a running mean a quarter of the way to x; it begins with the first x.
func mean(m *float64, x float64) {
	if *m == 0 {
		*m = x
	}
	*m += (x - *m) / 4
}

func (t *task) all(n int) {
	for i := range n {
		t.f(i)
	}
}

func (p *pool) share(t *task, n int) {
	p.round++
	p.task, p.n = t, n
	p.left.Store(int64(n))
	for k := range p.portions {
		p.portions[k].work.Store(p.round<<32 | uint64(p.begin(k+1)-p.begin(k)))
	}
	for _, h := range p.helpers {
		h.stir()
	}
	for p.take(0) {
	}
	for spins := 0; p.left.Load() > 0; spins++ {
		if spins > 1000 {
			runtime.Gosched()
		}
	}
}

// begin is the first slot of portion k.
func (p *pool) begin(k int) int { return k * p.n / len(p.portions) }

// take claims some of the slots that are left and does them, those of portion k first; false if there are none.
// What it takes shrinks, so that all finish together.
func (p *pool) take(k int) bool {
	for range p.portions {
		w := p.portions[k].work.Load()
		if free := int(uint32(w)); free > 0 {
			some := (free + 3) / 4
			if p.portions[k].work.CompareAndSwap(w, w-uint64(some)) {
				end := p.begin(k) + free
				for i := end - some; i < end; i++ {
					p.task.f(i)
				}
				p.left.Add(-int64(some))
			}
			return true
		}
		if k++; k == len(p.portions) {
			k = 0
		}
	}
	return false
}

func (p *pool) idle() bool {
	for k := range p.portions {
		if uint32(p.portions[k].work.Load()) > 0 {
			return false
		}
	}
	return true
}

func (p *pool) help(k int, h *helper) {
	for {
		for since := time.Now(); time.Since(since) < spinFor; {
			for range 200 {
				if p.take(k) {
					since = time.Now()
				}
			}
		}
		h.asleep.Store(true)
		if !p.idle() || p.closed.Load() { // it came while falling asleep
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
