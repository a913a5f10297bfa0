package ppo

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// Ratios 1.5 and 0.5, gains and losses, one agent before with a ratio of 2 or 0.8; ε = 0.2.
func TestSurrogates(t *testing.T) {
	out := onGo(t, func(_ *model.Scope, in []*Node) []*Node {
		ratio, before, advantage := Reshape(in[0], -1, 1, 1), Reshape(in[1], -1, 1, 1), Reshape(in[2], -1, 1, 1)
		clip := Scalar(in[0].Graph(), in[0].DType(), 0.2)
		return []*Node{Clipped(ratio, before, advantage, clip), preceded(ratio, before, advantage, clip)}
	}, []xla.Input{xla.F32(5), xla.F32(5), xla.F32(5)},
		[]float32{1.5, 1.5, 0.5, 0.5, 1.1}, []float32{1, 2, 1, 0.8, 0.95}, []float32{3, -3, 3, -3, 1})
	// PPO with weight: 1·min(4.5, 3.6), 2·min(−4.5, −3.6), min(1.5, 2.4), 0.8·min(−1.5, −2.4), 0.95·1.1
	for k, want := range []float64{3.6, -9, 1.5, -1.92, 1.045} {
		near(t, "clipped", float64(out[0].([]float32)[k]), want, 1e-5)
	}
	// A2PO: l = 1.5, 1.5·1.1, 0.5, 0.5·0.9, 1.1·0.95
	for k, want := range []float64{3.6, -4.95, 1.5, -2.4, 1.045} {
		near(t, "preceded", float64(out[1].([]float32)[k]), want, 1e-5)
	}
}

func TestTurns(t *testing.T) {
	r := rng.New(1).Rand()
	var seen [3]int
	for range 300 {
		updated := []bool{false, true, false, false}
		first := anyTurn(r, nil, updated)
		updated[first] = true
		if first == 1 || anyTurn(r, nil, updated) == first {
			t.Fatal("an agent has two turns")
		}
		seen[(first+1)/2]++
	}
	if seen[0] < 70 || seen[1] < 70 || seen[2] < 70 {
		t.Errorf("of 300 first turns %v", seen)
	}
	strength := []float64{1, 5, 9, 7}
	if a := strongestTurn(r, strength, make([]bool, 4)); a != 2 {
		t.Errorf("agent %d is first, want the strongest, 2", a)
	}
	if a := strongestTurn(r, strength, []bool{false, true, true, false}); a != 3 {
		t.Errorf("agent %d is third, want the strongest that is left, 3", a)
	}
	var second [4]bool
	for range 100 {
		second[strongestTurn(r, strength, []bool{false, false, true, false})] = true
	}
	if second != [4]bool{true, true, false, true} {
		t.Errorf("second may be %v, want any but agent 2", second)
	}
}

// One agent's turn moves its own network and nothing of the others, and critics only with the last one.
func TestTurnsMoveOneAgent(t *testing.T) {
	l := build(t, HAPPO(MLP{Hidden: 8}, small()), clock{}, xla.Go)
	sample := rolled(t, l, clock{})
	values := func() map[string]xla.Value {
		v, err := xla.Values(l.store, "/")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if err := l.prepare(sample); err != nil {
		t.Fatal(err)
	}
	l.data.estimate(0.9, 0.8, nil)
	if err := l.weigh(sample); err != nil {
		t.Fatal(err)
	}
	fill(l.part.before, 1)
	l.part.turn, l.part.clip, l.part.critic, l.part.step = []float32{0, 1}, 0.2, 0, 1
	before := values()
	if err := l.step(sample, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for path, now := range values() {
		a, b := before[path].Flat.([]float32), now.Flat.([]float32)
		half := len(a) / 2 // two networks
		if !slices.Equal(a[:half], b[:half]) || strings.Contains(path, "critic") && !slices.Equal(a, b) {
			t.Errorf("%s of another network moves", path)
		}
		if !slices.Equal(a[half:], b[half:]) {
			moved++
		}
	}
	if moved < 10 {
		t.Errorf("%d variables of the agent move, want its whole network", moved)
	}
}

// Ratios are 1 before the first step of a rollout, exactly on the Go backend, and the product of the ratios of agents
// that have been updated is what the old and new probabilities say.
func TestRatios(t *testing.T) {
	t.Run("first", func(t *testing.T) {
		for _, s := range methods() {
			s.Train.Minibatches, s.Train.Epochs, s.Train.Clip = 1, 1, 1e-12
			if s.Turns.Next != nil {
				s.Turns, s.Train.Trust = Turns{}, Trust{}
			}
			l := build(t, s, clock{}, xla.Go)
			m, err := l.Update(rolled(t, l, clock{}))
			if err != nil {
				t.Fatal(err)
			}
			if m["clip_fraction"] != 0 || m["approx_kl"] != 0 {
				t.Errorf("%s: at the first step %v of the ratios are not 1, KL %v", s.Name, m["clip_fraction"], m["approx_kl"])
			}
		}
	})
	l := build(t, A2PO(MLP{Hidden: 8}, small()), clock{}, xla.Go)
	sample := rolled(t, l, clock{})
	if err := l.prepare(sample); err != nil {
		t.Fatal(err)
	}
	fill(l.part.before, 0.5)
	old := slices.Clone(l.logp)
	l.logp[2*3+1] -= float32(math.Log(4)) // row 3, agent 1
	trace, err := l.follow(sample, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(l.part.before))
	fill(want, 0.5)
	want[3] = 2
	for row := range want {
		near(t, "product of ratios", float64(l.part.before[row]), float64(want[row]), 1e-6)
		near(t, "trace", trace[row], 0.8*math.Min(1, float64(want[row])), 1e-6)
	}
	if reflect.DeepEqual(old, l.logp) {
		t.Error("nothing was changed")
	}
}
