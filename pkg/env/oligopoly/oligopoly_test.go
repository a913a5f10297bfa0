package oligopoly

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
)

// TestPlays by hand; actions are clipped, and the price is never negative.
func TestPlays(t *testing.T) {
	for _, c := range []struct {
		act  []float32
		want string // rewards, quantities and price
	}{
		{[]float32{0, -0.5}, "[0.125 0.0625] [0.5 0.25 0.25]"},
		{[]float32{-0.5, -0.5, -0.5}, "[0.0625 0.0625 0.0625] [0.25 0.25 0.25 0.25]"},
		{[]float32{5, -9}, "[0 0] [1 0 0]"},
		{[]float32{1, 1}, "[0 0] [1 1 0]"},
		{[]float32{0}, "[0.25] [0.5 0.5]"},
	} {
		e, err := Market{Firms: len(c.act)}.New()
		if err != nil {
			t.Fatal(err)
		}
		out := env.NewBatch(e.Spec(), 1).At(0)
		e.Step(env.Actions{Continuous: c.act}, out)
		if got := fmt.Sprint(out.Reward, out.Metrics); got != c.want || !out.Terminated || out.Outcome != env.Ended {
			t.Errorf("%v gives %s, want %s", c.act, got, c.want)
		}
	}
}

// TestSolutions: quantities in closed form, and that nobody gains by another quantity: at Stackelberg's where those
// after it reply to it, at Nash's where they stay.
func TestSolutions(t *testing.T) {
	if got := (Market{Firms: 4}).Stackelberg(); !slices.Equal(got, []float64{0.5, 0.25, 0.125, 0.0625}) {
		t.Errorf("Stackelberg's quantities are %v", got)
	}
	if got := (Market{Firms: 3}).Nash(); !slices.Equal(got, []float64{0.25, 0.25, 0.25}) {
		t.Errorf("Nash's quantities are %v", got)
	}
	if Reply(0.25) != 0.375 || Reply(2) != 0 {
		t.Errorf("replies to 0.25 and 2 are %v and %v, want 0.375 and 0", Reply(0.25), Reply(2))
	}
	for firms := 1; firms <= 5; firms++ {
		m := Market{Firms: firms}
		first, all := m.Stackelberg(), m.Nash()
		for i := range firms {
			for k := range 101 {
				q, led := slices.Clone(first), 0.0
				q[i] = float64(k) / 100
				for j := range q {
					if j > i {
						q[j] = Reply(led)
					}
					led += q[j]
				}
				if gain := m.Profits(q)[i] - m.Profits(first)[i]; gain > 1e-12 {
					t.Errorf("firm %d of %d gains %v as a leader with %v", i, firms, gain, q)
				}
				q = slices.Clone(all)
				q[i] = float64(k) / 100
				if gain := m.Profits(q)[i] - m.Profits(all)[i]; gain > 1e-12 {
					t.Errorf("firm %d of %d gains %v by leaving for %v", i, firms, gain, q)
				}
			}
		}
	}
	if p := (Market{Firms: 2}).Profits([]float64{0.9, 0.4}); p[0] != 0 || p[1] != 0 || math.Signbit(p[0]) {
		t.Errorf("more than the market holds earns %v, want nothing", p)
	}
}

func TestErrors(t *testing.T) {
	for _, n := range []int{-1, 0, 65} {
		if _, err := (Market{Firms: n}).New(); err == nil || err.Error() != fmt.Sprintf("oligopoly: Firms is %d, want 1 to 64", n) {
			t.Errorf("%d firms: %v", n, err)
		}
	}
}

func TestContract(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		envtest.Check(t, Market{Firms: n})
	}
}

func BenchmarkStep(b *testing.B) {
	b.Run("oligopoly/3", func(b *testing.B) { envtest.BenchStep(b, Market{Firms: 3}) })
}
