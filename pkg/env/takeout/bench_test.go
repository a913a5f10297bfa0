package takeout

import (
	"fmt"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
)

func BenchmarkStep(b *testing.B) {
	for _, w := range []World{Mini(), Paper()} {
		b.Run(w.Name, func(b *testing.B) { envtest.BenchStep(b, w) })
	}
}

func BenchmarkVec(b *testing.B) {
	for _, n := range []int{1, 16, 64, 256, 1024, 4096} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d/workers=%d", Mini().Name, n, workers), func(b *testing.B) {
				envtest.BenchVec(b, Mini(), n, workers)
			})
		}
	}
}

// BenchmarkObserve draws what the couriers of many moments see into one batch, as learners do.
func BenchmarkObserve(b *testing.B) {
	const rows = 64
	w := Paper()
	e, batch := mustNew(b, w), env.NewBatch(w.Spec(), rows)
	for i := range rows {
		e.Reset(env.Episode{Rand: key(int64(i)).Rand()}, batch.At(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range rows {
			e.Observe(batch.At(i).Snapshot, batch.At(i).Obs)
		}
	}
	b.ReportMetric(float64(b.N*rows*w.Agents)/b.Elapsed().Seconds(), "obs/s")
}
