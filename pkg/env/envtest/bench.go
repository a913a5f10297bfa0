package envtest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// BenchStep steps one environment with random available actions, resets included, and reports steps/s.
func BenchStep(b *testing.B, w env.World) {
	e, err := w.New()
	if err != nil {
		b.Fatal(err)
	}
	s := e.Spec()
	out, acts := env.NewBatch(s, 1).At(0), env.NewActions(s, 1)
	src, choose := new(rand.PCG), rng.New(5).Split("act").Rand()
	chance := rand.New(src)
	var length, finished, steps int
	reset := func() {
		rng.New(5).Split("env", int64(finished)).Seed(src)
		out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
		e.Reset(env.Episode{Rand: chance}, out)
		length = 0
	}
	reset()
	b.ReportAllocs()
	for b.Loop() {
		act(s, out.Avail, choose, acts)
		clear(out.Reward)
		clear(out.Cost)
		e.Step(acts, out)
		length++
		if out.Over() {
			finished, steps = finished+1, steps+length
			reset()
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
	checkEpisodes(b, s, finished, steps, length, b.N, 1)
}

// BenchVec steps n environments together with random available actions and reports the steps of single
// environments per second of Before and Step; choosing the actions is not counted.
func BenchVec(b *testing.B, w env.World, n, workers int) {
	p, err := newVecPlayer(w, n, workers)
	if err != nil {
		b.Fatal(err)
	}
	defer p.vec.Close()
	var finished, steps, running int
	var inside time.Duration
	lengths := make([]int, n)
	before, err := p.vec.Before()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		act(p.vec.Spec(), before.Avail, p.rand, p.act)
		start := time.Now()
		after, err := p.vec.Step(p.act)
		inside += time.Since(start)
		if err != nil {
			b.Fatal(err)
		}
		for i := range n {
			lengths[i]++
			if after.At(i).Over() {
				finished, steps, lengths[i] = finished+1, steps+lengths[i], 0
			}
		}
		start = time.Now()
		before, err = p.vec.Before()
		inside += time.Since(start)
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/inside.Seconds(), "steps/s")
	for _, l := range lengths {
		running += l
	}
	checkEpisodes(b, p.vec.Spec(), finished, steps, running, n*b.N, n)
	if begun := p.vec.Begun(); begun != int64(finished+n) {
		b.Errorf("%d episodes begun, want %d finished and %d running", begun, finished, n)
	}
}

// checkEpisodes compares the steps of finished and of running episodes with all that were played.
func checkEpisodes(b *testing.B, s env.Spec, finished, steps, running, all, n int) {
	b.Helper()
	if steps+running != all {
		b.Errorf("%d steps in finished and %d in running episodes, want %d together", steps, running, all)
	}
	if s.MaxSteps > 0 && (steps > finished*s.MaxSteps || running >= n*s.MaxSteps) {
		b.Errorf("%d episodes have %d steps and %d run for %d, want at most %d each", finished, steps, n, running, s.MaxSteps)
	}
}
