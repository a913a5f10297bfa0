package ppo

import (
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

func TestConjugate(t *testing.T) {
	h := func(v []float64) ([]float64, error) { return []float64{4*v[0] + v[1], v[0] + 3*v[1]}, nil }
	x, err := conjugate(h, []float64{1, 2}, 10)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "x₁", x[0], 1.0/11, 1e-9)
	near(t, "x₂", x[1], 7.0/11, 1e-9)
}

// trusted is a HATRPO learner that has seen a rollout and is about to move agent 1.
func trusted(t *testing.T, w env.World) (*learner, []any) {
	t.Helper()
	c := small()
	if _, ok := w.(oligopoly.Market); ok {
		c.Floor = 0
	}
	l := build(t, HATRPO(MLP{Hidden: 8}, c), w, xla.Go)
	sample := rolled(t, l, w)
	if err := l.prepare(sample); err != nil {
		t.Fatal(err)
	}
	l.data.estimate(0.9, 0.8, nil)
	if err := l.weigh(sample); err != nil {
		t.Fatal(err)
	}
	fill(l.part.before, 1)
	l.part.turn = []float32{0, 1}
	return l, append(l.whole(sample).args(l.spec), l.part.weighed, sample.Alive, l.part.before, l.part.turn)
}

// For a short step v, the objective grows by gᵀv and the divergence is ½vᵀHv, of choices and of continuous actions.
func TestGradientAndCurvature(t *testing.T) {
	for _, w := range []env.World{clock{}, oligopoly.Market{Firms: 2}} {
		l, common := trusted(t, w)
		with := func(more ...any) []any { return append(common[:len(common):len(common)], more...) }
		g := wide(call(t, l.region.gradient, nil, common...)[0].([]float32))
		v, r := make([]float64, len(g)), rng.New(5).Rand()
		for i := range v {
			v[i] = 0.03 * r.NormFloat64()
			if g[i] != 0 {
				v[i] += 0.1 * g[i]
			}
		}
		h := wide(call(t, l.region.curvature, nil, with(narrow(v, 1))...)[0].([]float32))
		for i := range h {
			h[i] -= l.sys.Train.Trust.Damping * v[i]
		}
		const short = 0.1
		out := call(t, l.region.trial, nil, with(narrow(v, short), []float32{0})...)[0].([]float32)
		gain, kl := short*inner(g, v), short*short*inner(v, h)/2
		near(t, l.spec.Name+": gain", float64(out[0]), gain, 0.1*gain)
		near(t, l.spec.Name+": divergence", float64(out[1]), kl, 0.15*kl)
		if gain < 1e-4 || kl < 1e-6 {
			t.Errorf("%s: gain %v and divergence %v are too small to compare", l.spec.Name, gain, kl)
		}
	}
}

// An update stays within the region and gains; a step that is only tried changes nothing.
func TestTrustRegion(t *testing.T) {
	l, common := trusted(t, clock{})
	before, err := xla.Values(l.store, "/online/actor/")
	if err != nil {
		t.Fatal(err)
	}
	step := make([]float32, len(call(t, l.region.gradient, nil, common...)[0].([]float32)))
	for i, r := 0, rng.New(6).Rand(); i < len(step); i++ {
		step[i] = float32(r.NormFloat64())
	}
	args := append(common[:len(common):len(common)], step, []float32{0})
	if got := call(t, l.region.trial, nil, args...)[0].([]float32); got[1] < 0.01 {
		t.Errorf("a large step diverges by %v", got[1])
	}
	after, err := xla.Values(l.store, "/online/actor/")
	if err != nil {
		t.Fatal(err)
	}
	for path, v := range before {
		for i, x := range v.Flat.([]float32) {
			if after[path].Flat.([]float32)[i] != x {
				t.Fatalf("%s moves by a step that was only tried", path)
			}
		}
	}
	m, err := l.Update(rolled(t, l, clock{}))
	if err != nil {
		t.Fatal(err)
	}
	if m["accepted"] == 0 || m["kl"] <= 0 || m["kl"] > l.sys.Train.Trust.KL || m["policy_loss"] >= 0 {
		t.Errorf("an update of %v, want steps kept, a gain, and a divergence above 0 and up to %v", m, l.sys.Train.Trust.KL)
	}
}
