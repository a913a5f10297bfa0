package matrix

import (
	"fmt"
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
)

// TestPayoffs compares with the tables of Claus and Boutilier (AAAI 1998).
func TestPayoffs(t *testing.T) {
	const k = -100
	for _, c := range []struct {
		world env.World
		want  [3][3]float32
		best  float32
	}{
		{Climb{}, [3][3]float32{{11, -30, 0}, {-30, 7, 6}, {0, 0, 5}}, 11},
		{NewPenalty(), [3][3]float32{{10, 0, k}, {0, 2, 0}, {k, 0, 10}}, 10},
		{Penalty{}, [3][3]float32{{10, 0, 0}, {0, 2, 0}, {0, 0, 10}}, 10},
	} {
		e, err := c.world.New()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			a, b := i/3, i%3
			out := env.NewBatch(e.Spec(), 1).At(0)
			e.Step(env.Actions{Discrete: []int32{int32(a), int32(b)}}, out)
			want := c.want[a][b]
			if out.Reward[0] != want || out.Reward[1] != want {
				t.Errorf("%s: (%d, %d) pays %v, want %v", e.Spec().Name, a, b, out.Reward, want)
			}
			if won := out.Outcome == env.Win; won != (want == c.best) || !out.Terminated || out.Truncated {
				t.Errorf("%s: (%d, %d) ends as %v, terminated %v, truncated %v", e.Spec().Name, a, b, out.Outcome, out.Terminated, out.Truncated)
			}
		}
	}
}

func TestPenaltyRefusesRewards(t *testing.T) {
	for _, k := range []float64{1, math.NaN(), math.Inf(-1)} {
		if _, err := (Penalty{K: float32(k)}).New(); err == nil {
			t.Errorf("K = %v is accepted, want an error", k)
		}
	}
	if name := NewPenalty().Spec().Name; name != "matrix/penalty-100" {
		t.Errorf("the game is called %q", name)
	}
}

func TestContract(t *testing.T) {
	for _, w := range []env.World{Climb{}, NewPenalty()} {
		envtest.Check(t, w)
	}
}

func BenchmarkStep(b *testing.B) {
	b.Run("matrix/climb", func(b *testing.B) { envtest.BenchStep(b, Climb{}) })
	b.Run("matrix/mixing", func(b *testing.B) { envtest.BenchStep(b, Mixing()) })
	b.Run("matrix/coordination", func(b *testing.B) { envtest.BenchStep(b, Coordination()) })
}

func BenchmarkVec(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("matrix/climb/1024/workers=%d", workers), func(b *testing.B) { envtest.BenchVec(b, Climb{}, 1024, workers) })
	}
}
