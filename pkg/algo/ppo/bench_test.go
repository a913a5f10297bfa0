package ppo

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/particle"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// full are the methods as they are measured: sizes of the reference results, on spread.
func full() []System {
	t := Released(Spreading())
	return []System{
		IPPO(MLP{Hidden: 64}, t), MAPPO(MLP{Hidden: 64}, t), HAPPO(MLP{Hidden: 64}, t), A2PO(MLP{Hidden: 64}, t),
		MAT(one(), t), MATDec(one(), t), STEER(one(), StateSlot, t),
	}
}

// quickest calls f as often as the benchmark asks, and reports the least time and the least processor time of a call beside
// the mean: what other programs do to a call is never to its good.
func quickest(b *testing.B, f func() error) {
	b.Helper()
	least, busy := time.Hour, time.Hour
	for b.Loop() {
		start, used := time.Now(), processor(b)
		if err := f(); err != nil {
			b.Fatal(err)
		}
		least, busy = min(least, time.Since(start)), min(busy, processor(b)-used)
	}
	b.ReportMetric(float64(least.Microseconds())/1e3, "least-ms")
	b.ReportMetric(float64(busy.Microseconds())/1e3, "least-cpu-ms")
}

// processor is the processor time of this process so far, of all threads.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPeak is the product of two matrices of 512 numbers each way, of what the machine reaches with so many threads.
func BenchmarkPeak(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			d, err := xla.Open(backends(b)[len(backends(b))-1], threads)
			if err != nil {
				b.Fatal(err)
			}
			const n = 512
			p, err := xla.Compile(d, "product", nn.NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
				return []*Node{MatMul(in[0], in[1])}
			}, xla.F32(n, n), xla.F32(n, n))
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float32, n*n)
			quickest(b, func() error { _, err := p.Call(x, x); return err })
			b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// BenchmarkUpdate is all optimiser steps on one rollout of spread, 25 steps of 128 environments: 10 epochs, of HAPPO
// and A2PO 10 for each of the three agents.
func BenchmarkUpdate(b *testing.B) {
	w := particle.SpreadSTEER()
	for _, s := range full() {
		for _, backend := range backends(b)[1:] {
			b.Run(s.Name+"/"+backend, func(b *testing.B) {
				l := build(b, s, w, backend)
				sample := rolled(b, l, w)
				quickest(b, func() error { _, err := l.Update(sample); return err })
				ms := float64(b.Elapsed().Microseconds()) / 1e3 / float64(b.N)
				b.ReportMetric(ms/float64(l.PerUpdate()), "ms/update")
				b.ReportMetric(ms, "ms/rollout")
				if !l.update.Loaded {
					b.ReportMetric(l.update.Seconds, "compile-s")
				}
			})
		}
	}
}

// BenchmarkAct is one draw of actions for so many environments of spread.
func BenchmarkAct(b *testing.B) {
	for _, s := range full() {
		for _, envs := range []int{4, 128, 1024} {
			benchAct(b, fmt.Sprintf("%s/%d", s.Name, envs), s, particle.SpreadSTEER(), envs)
		}
	}
}

// BenchmarkActAgents is one draw of actions of STEER for so many agents in 1,024 environments of spread.
func BenchmarkActAgents(b *testing.B) {
	for _, agents := range []int{2, 4, 8, 16} {
		w := particle.SpreadSTEER()
		w.Agents = agents
		benchAct(b, fmt.Sprint(agents), STEER(one(), StateSlot, Released(Spreading())), w, 1024)
	}
}

func benchAct(b *testing.B, name string, s System, w env.World, envs int) {
	b.Run(name, func(b *testing.B) {
		s.Train.Envs, s.Train.Horizon = envs, 1
		l := build(b, s, w, backends(b)[len(backends(b))-1])
		vec, err := env.NewVec(w, envs, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
		if err != nil {
			b.Fatal(err)
		}
		batch, err := vec.Before()
		if err != nil {
			b.Fatal(err)
		}
		acts, steps := env.NewActions(l.spec, envs), int64(0)
		quickest(b, func() error {
			steps++
			return l.Policy().Act(batch, policy.None{}, exploring, rng.New(1).Split("act", steps), acts)
		})
		b.ReportMetric(float64(envs)*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/decision")
	})
}

// BenchmarkTrain is what training costs after compiling, evaluation left out: 20,000 plays of a game of one step,
// and 32,000 steps of spread.
func BenchmarkTrain(b *testing.B) {
	ours := Ours(OneStep(), 20_000)
	for _, c := range []struct {
		name  string
		sys   System
		world env.World
		steps int64
	}{
		{"steer/skewed-penalty", STEER(one(), Token, ours), matrix.SkewedPenalty(-100), 20_000},
		{"mat/skewed-penalty", MAT(one(), ours), matrix.SkewedPenalty(-100), 20_000},
		{"mappo/skewed-penalty", MAPPO(MLP{Hidden: 64, Own: true}, ours), matrix.SkewedPenalty(-100), 20_000},
		{"steer/spread", STEER(one(), StateSlot, Released(Spreading())), particle.SpreadSTEER(), 32_000},
		{"mat/spread", MAT(one(), Released(Spreading())), particle.SpreadSTEER(), 32_000},
		{"mappo/spread", MAPPO(MLP{Hidden: 64}, Released(Spreading())), particle.SpreadSTEER(), 32_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			var spent, busy time.Duration
			for b.Loop() {
				l, err := train.NewLoop(c.world, c.sys, train.Setup{Key: rng.New(1)}, 1)
				if err != nil {
					b.Fatal(err)
				}
				start, used := time.Now(), processor(b)
				for l.Steps() < c.steps {
					if err := l.Iterate(); err != nil {
						b.Fatal(err)
					}
				}
				spent, busy = time.Since(start), processor(b)-used
				l.Close()
			}
			b.ReportMetric(spent.Seconds(), "train-s")
			b.ReportMetric(busy.Seconds(), "train-cpu-s")
			b.ReportMetric(float64(c.steps)/spent.Seconds(), "steps/s")
		})
	}
}
