package battle

import (
	"fmt"
	"testing"

	"github.com/muster-marl/muster/pkg/env/envtest"
)

// BenchmarkStep plays random available actions, with observations, state, entities, sight and masks written and
// resets counted.
func BenchmarkStep(b *testing.B) {
	for _, w := range []World{
		Map("3m"), Map("2s3z"), Map("3s5z"), Map("8m"), Map("10m_vs_11m"), Map("MMM2"), Map("27m_vs_30m"), Map("2c_vs_64zg"),
		SZ(3, 4, 5), SZ(8), CSZ(8), MMM(8), Random("protoss_5_vs_5"), Map("2s3z").WithProfile(Lite),
	} {
		b.Run(w.name(), func(b *testing.B) { envtest.BenchStep(b, w) })
	}
}

func BenchmarkVec(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("2s3z/%d/workers=%d", n, workers), func(b *testing.B) { envtest.BenchVec(b, Map("2s3z"), n, workers) })
		}
	}
}
