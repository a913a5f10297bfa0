package value

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// synthetic is a sample of random numbers of the right shapes: every step was made, everything is available.
func synthetic(l *learner, steps int) *replay.Sample {
	r, s, b := rand.New(rand.NewPCG(1, 2)), l.spec, l.sys.Train.Batch
	floats := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = r.Float32()
		}
		return x
	}
	ones := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		return x
	}
	m := &replay.Sample{
		Time: steps, Batch: b, Key: rng.New(1),
		Obs: floats((steps + 1) * b * s.Agents * s.ObsDim), State: floats((steps + 1) * b * s.StateDim), Entities: floats((steps + 1) * b * s.Entities * s.EntityDim),
		Hidden: make([]bool, (steps+1)*b*s.Agents*s.Entities), Present: make([]bool, (steps+1)*b*s.Entities), Role: make([]uint8, (steps+1)*b*s.Entities),
		Avail: make([]bool, (steps+1)*b*s.Agents*s.Choices()), Actions: make([]int32, steps*b*s.Agents),
		Reward: floats(steps * b * s.Agents), Terminated: make([]float32, steps*b), Truncated: make([]float32, steps*b), Filled: ones(steps * b),
	}
	for i := range m.Avail {
		m.Avail[i] = true
	}
	for i := range m.Present {
		m.Present[i] = true
		if m.Role[i] = 2; i%max(1, s.Entities) < 2 {
			m.Role[i] = 1
		}
	}
	for i := range m.Actions {
		m.Actions[i] = int32(r.IntN(s.Choices()))
	}
	for i := range b {
		m.Episodes = append(m.Episodes, replay.Stretch{Row: i, Steps: steps})
		m.Terminated[(steps-1)*b+i] = 1
	}
	return m
}

// BenchmarkSequences is one optimiser step on 32 episodes of 60 steps on 2s3z.
func BenchmarkSequences(b *testing.B) {
	tiny := Tiny()
	for _, s := range []System{IQL(PyMARL()), VDN(PyMARL()), QMIX(PyMARL()), AQMIX(TinyWidth(), tiny), REFIL(0.5, TinyWidth(), tiny)} {
		for _, backend := range backends(b) {
			b.Run(s.Name+"/"+backend, func(b *testing.B) {
				var w env.World = battle.Map("2s3z")
				if s.Sees.Entities {
					w = battle.SZ(3, 4, 5)
				}
				e, err := w.New()
				if err != nil {
					b.Fatal(err)
				}
				m, _, err := s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: backend, Log: func(f string, a ...any) { fmt.Printf(f+"\n", a...) }})
				if err != nil {
					b.Fatal(err)
				}
				l := m.(*learner)
				sample := synthetic(l, 60)
				if _, err := l.Update(sample); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := l.Update(sample); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/update")
				b.ReportMetric(l.updates[[2]int{60, sample.Batch}].Seconds, "compile-s")
			})
		}
	}
}
