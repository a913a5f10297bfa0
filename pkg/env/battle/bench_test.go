//go:build unix

package battle

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env/envtest"
)

// BenchmarkStep plays random available actions, with observations, state, entities, sight and masks written and
// resets counted. steps/cpu-s counts the time in which a core worked for it: other programs do not matter much.
func BenchmarkStep(b *testing.B) {
	for _, w := range []World{
		Map("3m"), Map("2s3z"), Map("3s5z"), Map("8m"), Map("10m_vs_11m"), Map("MMM2"), Map("27m_vs_30m"), Map("2c_vs_64zg"),
		SZ(3, 4, 5), SZ(8), CSZ(8), MMM(8), Random("protoss_5_vs_5"), Map("2s3z").WithProfile(Lite),
	} {
		b.Run(w.name(), func(b *testing.B) {
			begun := used(b)
			envtest.BenchStep(b, w)
			b.ReportMetric(float64(b.N)/(used(b)-begun).Seconds(), "steps/cpu-s")
		})
	}
}

// used is the processor time of this process.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkVec(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("2s3z/%d/workers=%d", n, workers), func(b *testing.B) { envtest.BenchVec(b, Map("2s3z"), n, workers) })
		}
	}
}
