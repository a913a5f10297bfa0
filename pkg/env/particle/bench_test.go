package particle

import (
	"fmt"
	"testing"

	"github.com/muster-marl/muster/pkg/env/envtest"
)

func BenchmarkStep(b *testing.B) {
	for _, w := range []Spread{SpreadMPE2(), SpreadSTEER()} {
		b.Run(w.Name, func(b *testing.B) { envtest.BenchStep(b, w) })
		w.Controls.Continuous = true
		b.Run(w.Name+"-continuous", func(b *testing.B) { envtest.BenchStep(b, w) })
	}
}

func BenchmarkVec(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("particle/spread-steer/1024/workers=%d", workers), func(b *testing.B) { envtest.BenchVec(b, SpreadSTEER(), 1024, workers) })
	}
}
