package env

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestPoolDoesEverySlotOnce, with helpers that spin, that sleep, and that are woken while falling asleep.
func TestPoolDoesEverySlotOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for workers := 1; workers <= 4; workers++ {
		p := newPool(workers)
		for _, n := range []int{1, 2, 3, 7, 64, 1000} {
			done := make([]int, n)
			work := &task{f: func(i int) { done[i]++ }}
			const rounds = 200
			for r := range rounds {
				switch {
				case r%50 == 49:
					time.Sleep(2 * spinFor) // the helpers sleep
				case r%10 == 9:
					time.Sleep(spinFor - time.Duration(r)*100*time.Nanosecond) // they are about to
				}
				p.share(work, n)
			}
			for i, k := range done {
				if k != rounds {
					t.Fatalf("%d workers: slot %d of %d done %d times, want %d", workers, i, n, k, rounds)
				}
			}
		}
		p.close()
	}
}

// TestPoolShares: work that is worth it is shared, work that is not stays with the caller.
func TestPoolShares(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	p := newPool(2)
	defer p.close()
	var clock atomic.Int64 // nanoseconds; the machine's own would make this test depend on what else runs
	p.now = func() time.Time { return time.Unix(0, clock.Load()) }
	takes := func(d time.Duration) func(int) { return func(int) { clock.Add(int64(d)) } }
	for _, c := range []struct {
		name   string
		work   task
		calls  int
		shared uint64
	}{
		{"nanoseconds are not even tried", task{f: takes(100)}, 4 * tries, 0},
		{"what is worth it is tried", task{f: takes(worthSharing)}, 2 * tries, tries},
		{"helpers pay", task{f: takes(0), calls: 2 * tries, alone: 1e6, shared: 6e5}, 1, 1},
		{"helpers hinder", task{f: takes(0), calls: 2 * tries, alone: 1e6, shared: 2e6}, 1, 0},
		{"alone is tried again", task{f: takes(0), calls: tryEvery, alone: 1e6, shared: 6e5}, 1, 0},
		{"helpers are tried again", task{f: takes(0), calls: tryEvery + tries, alone: 1e6, shared: 2e6}, 1, 1},
	} {
		before := p.round
		for range c.calls {
			p.do(&c.work, 8)
		}
		if n := p.round - before; n != c.shared {
			t.Errorf("%s: shared %d times of %d, want %d", c.name, n, c.calls, c.shared)
		}
	}
}

func TestPoolCloses(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	before := runtime.NumGoroutine()
	for _, rest := range []time.Duration{0, spinFor, 4 * spinFor} {
		done := 0
		p := newPool(4)
		time.Sleep(rest)
		p.close()
		p.close()
		p.do(&task{f: func(int) { done++ }}, 5) // alone from now on
		if done != 5 {
			t.Errorf("%d slots done after close, want 5", done)
		}
	}
	(*pool)(nil).close()
	for wait := 0; runtime.NumGoroutine() > before; wait++ {
		if wait > 1000 {
			t.Fatalf("%d goroutines, want the %d from before the pools", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}
