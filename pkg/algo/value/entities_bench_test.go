package value

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/team"
	"github.com/muster-marl/muster/pkg/xla"
)

// BenchmarkEntities is one optimiser step on episodes of 60 steps on SZ (8 slots of agents, 16 entities), on XLA: 32
// episodes for the paper's sizes, 16 for tiny ones. cpu-ms is processor time, which other programs disturb little;
// MB is the largest memory of the process so far, so of one method if it runs alone. With additive mixers in place of
// the flexible ones it says what parts of an update cost.
func BenchmarkEntities(b *testing.B) {
	if xla.Config() == xla.Go {
		b.Skip("no XLA plugin")
	}
	for name, c := range map[string]struct {
		width Width
		train Training
	}{"tiny": {TinyWidth(), Tiny()}, "paper": {PaperWidth(), Paper()}} {
		additive := REFIL(0.5, c.width, c.train)
		additive.Name, additive.Mixer = "refil-vdn", Additive
		for _, s := range []System{EntityVDN(c.width, c.train), AQMIX(c.width, c.train), additive, REFIL(0.5, c.width, c.train), OOM(c.width, c.train), Matched(team.None(), c.width, c.train)} {
			b.Run(name+"/"+s.Name, func(b *testing.B) {
				l := build(b, s, battle.SZ(3, 4, 5).WithLeaders(2), xla.Config())
				sample := synthetic(l, 60)
				if _, err := l.Update(sample); err != nil {
					b.Fatal(err)
				}
				start := processor(b)
				for b.Loop() {
					if _, err := l.Update(sample); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(1e3*(processor(b)-start)/float64(b.N), "cpu-ms/update")
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/update")
				b.ReportMetric(peak(b), "MB")
			})
		}
	}
}

// processor is the seconds that this process has used of all processors.
func processor(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// peak is the largest memory of this process so far, in MB; 0 where the system does not say.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1e3
}
