package value

import (
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// BenchmarkTrain is QMIX on 2s3z from end to end, evaluation left out: 5,000 steps by each schedule, after as many as it takes
// until every size of sample has been compiled for (20,000).
func BenchmarkTrain(b *testing.B) {
	for _, c := range []struct {
		name  string
		train Training
	}{{"pymarl", PyMARL()}, {"pymarl2", PyMARL2()}, {"maps", onMaps()}} {
		b.Run(c.name, func(b *testing.B) {
			l, err := train.NewLoop(battle.Map("2s3z"), QMIX(c.train), train.Setup{Key: rng.New(1)}, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			until := func(steps int64) {
				for l.Steps() < steps {
					if err := l.Iterate(); err != nil {
						b.Fatal(err)
					}
				}
			}
			until(20_000)
			from, updates, start, used := l.Steps(), l.Updates(), time.Now(), processor(b)
			for b.Loop() {
				until(l.Steps() + 5000)
			}
			seconds := time.Since(start).Seconds()
			b.ReportMetric(float64(l.Steps()-from)/seconds, "steps/s")
			b.ReportMetric(float64(l.Updates()-updates)/seconds, "updates/s")
			b.ReportMetric(float64(l.Steps()-from)/(processor(b)-used), "steps/cpu-s")
		})
	}
}

// BenchmarkRollout is QMIX choosing, with ε = 0.05, and 2s3z being stepped, in 64 environments.
func BenchmarkRollout(b *testing.B) {
	const envs = 64
	for _, backend := range backends(b) {
		b.Run(backend, func(b *testing.B) {
			w := battle.Map("2s3z")
			l := build(b, QMIX(PyMARL()), w, backend)
			vec, err := env.NewVec(w, envs, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
			if err != nil {
				b.Fatal(err)
			}
			mem, acts := l.actor.Memory(envs), env.NewActions(l.spec, envs)
			for i := range envs {
				mem.Begin(i)
			}
			var spent [2]time.Duration // acting, stepping
			step := int64(0)
			for b.Loop() {
				before, err := vec.Before()
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := l.actor.Act(before, mem, policy.Mode{Epsilon: 0.05}, rng.New(3).Split("act", step), acts); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				after, err := vec.Step(acts)
				if err != nil {
					b.Fatal(err)
				}
				for i := range envs {
					if after.At(i).Over() {
						mem.Begin(i)
					}
				}
				spent[0] += between.Sub(start)
				spent[1] += time.Since(between)
				step++
			}
			b.ReportMetric(float64(envs*b.N)/b.Elapsed().Seconds(), "steps/s")
			b.ReportMetric(float64(spent[0].Microseconds())/float64(b.N), "µs-acting")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(b.N), "µs-stepping")
		})
	}
}
