package value

import (
	"fmt"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
)

// BenchmarkUpdate is one optimiser step on a batch of takeout Mini, V = 4: planes in, metrics out.
func BenchmarkUpdate(b *testing.B) {
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		for _, backend := range backends(b) {
			b.Run(s.Name+"/"+backend, func(b *testing.B) {
				l := build(b, s, takeout.Mini(), backend)
				sample := filled(b, l, takeout.Mini())
				for b.Loop() {
					if _, err := l.Update(sample); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/update")
				if update := l.updates[[2]int{1, sample.Batch}]; !update.Loaded {
					b.ReportMetric(update.Seconds, "compile-s")
				}
			})
		}
	}
}

// BenchmarkAct is one greedy choice for so many environments of takeout Mini, V = 4, planes drawn.
func BenchmarkAct(b *testing.B) {
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		for _, backend := range backends(b) {
			for _, envs := range []int{4, 64} {
				b.Run(fmt.Sprintf("%s/%s/%d", s.Name, backend, envs), func(b *testing.B) {
					w := takeout.Mini()
					l := build(b, s, w, backend)
					vec, err := env.NewVec(w, envs, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
					if err != nil {
						b.Fatal(err)
					}
					batch, err := vec.Before()
					if err != nil {
						b.Fatal(err)
					}
					acts, steps := env.Actions{Discrete: make([]int32, envs*l.spec.Agents)}, int64(0)
					for b.Loop() {
						if err := l.Policy().Act(batch, policy.None{}, policy.Mode{}, rng.New(1).Split("act", steps), acts); err != nil {
							b.Fatal(err)
						}
						steps++
					}
					b.ReportMetric(float64(envs)*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
				})
			}
		}
	}
}

// BenchmarkBackends lets XLA and the pure-Go backend make updates in turn, and reports what one costs on each and
// the ratio.
func BenchmarkBackends(b *testing.B) {
	list := backends(b)
	if len(list) < 2 {
		b.Skip("no XLA plugin")
	}
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		b.Run(s.Name, func(b *testing.B) {
			var spent [2]time.Duration
			var learners [2]*learner
			for i, backend := range list {
				learners[i] = build(b, s, takeout.Mini(), backend)
			}
			sample := filled(b, learners[0], takeout.Mini())
			several := [2]int{1, 10} // of the fast one, so that both take about as long
			for b.Loop() {
				for i, l := range learners {
					start := time.Now()
					for range several[i] {
						if _, err := l.Update(sample); err != nil {
							b.Fatal(err)
						}
					}
					spent[i] += time.Since(start)
				}
			}
			slow, fast := spent[0].Seconds()/float64(b.N), spent[1].Seconds()/float64(b.N*several[1])
			b.ReportMetric(1e3*slow, "go-ms/update")
			b.ReportMetric(1e3*fast, "xla-ms/update")
			b.ReportMetric(slow/fast, "go/xla")
		})
	}
}
