package battle

import (
	"testing"

	"github.com/muster-marl/muster/pkg/env/envtest"
)

func TestContract(t *testing.T) {
	odd := Map("MMM2") // everything that is off by default
	odd.Enemy, odd.Epsilon, odd.Miss, odd.Leaders = Anyone, 0.2, 0.5, 3
	odd.TypeRanges, odd.OwnPosition, odd.LastAction, odd.RandomTags, odd.CountLosses, odd.EpisodeScale = true, true, true, true, true, true
	mirror := CSZ(3, 4, 5).WithProfile(Lite)
	mirror.Mirror, mirror.Reward = true, Damage
	for _, w := range []World{
		odd, mirror,
		Map("2s3z"), Map("MMM2"), Map("2c_vs_64zg"), SZ(3, 4, 5).WithLeaders(2), MMM(), OneDown(), Random("terran_10_vs_11"),
	} {
		t.Run(w.name(), func(t *testing.T) { envtest.Check(t, w) })
	}
}
