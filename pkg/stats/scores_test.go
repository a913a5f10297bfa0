package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := Median(c.x); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.x, got, c.want)
		}
	}
}

func TestNormalised(t *testing.T) {
	s := Scores{Tasks: []string{"a", "b"}, Values: [][]float64{{5, 20}, {10, -20}}}
	got, err := s.Normalised([]float64{0, -20}, []float64{10, 20})
	if err != nil || !slices.Equal(got.Values[0], []float64{0.5, 1}) || !slices.Equal(got.Values[1], []float64{1, 0}) {
		t.Errorf("%v (%v), want 0.5, 1 and 1, 0", got.Values, err)
	}
	if _, err := s.Normalised([]float64{0, 3}, []float64{1, 3}); err == nil || !strings.Contains(err.Error(), "task b goes from 3 to 3") {
		t.Errorf("error %v, want one about task b", err)
	}
	if _, err := s.Normalised([]float64{0}, []float64{1}); err == nil {
		t.Error("one bound for two tasks is accepted")
	}
}

// The counts of a resample and the values that they stand for give one statistic: ranked must be Of.
func TestRankedEqualsDirect(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, runs := range []int{1, 2, 3, 5, 10, 41} {
		s := Scores{Values: make([][]float64, runs)}
		for i := range s.Values {
			for range 3 {
				s.Values[i] = append(s.Values[i], float64(r.IntN(20))/10-0.5)
			}
		}
		k := newRanking(s.columns())
		for range 50 {
			counts := k.draw(r)
			var drawn []float64
			for i, c := range counts {
				drawn = append(drawn, slices.Repeat(k.sorted[i:i+1], int(c))...)
			}
			if len(drawn) != 3*runs {
				t.Fatalf("a resample of %d values, want %d", len(drawn), 3*runs)
			}
			for _, f := range []Statistic{AggregateIQM(), AggregateMean(), OptimalityGap(1), ShareAbove(0.3)} {
				if got, want := f.ranked(k.sorted, counts), f.Of([][]float64{drawn}); !near(got, want, 1e-12) {
					t.Errorf("%s of %v: %v from counts, %v directly", f.Name, drawn, got, want)
				}
			}
		}
	}
}

// Each of n runs is drawn with the probability 1/n, wherever in the 64 bits its draw lies: 60,000 draws of each of the places
// stay within five standard deviations.
func TestDrawsAreUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{2, 3, 10, 100} {
		d := newDraws(n)
		if d.most < 2 {
			t.Errorf("%d draws below %d from 64 bits, want several", d.most, n)
		}
		counts := make([][]int, d.most)
		for i := range counts {
			counts[i] = make([]int, n)
		}
		const each = 60_000
		for range each {
			for i := range d.most {
				counts[i][d.next(r)]++
			}
		}
		mean := float64(each) / float64(n)
		for i, c := range counts {
			for v, k := range c {
				if !near(float64(k), mean, 5*math.Sqrt(mean)) {
					t.Errorf("draw %d below %d is %d for %d times, want about %.0f", i, n, v, k, mean)
				}
			}
		}
	}
}

func TestImprovementRefuses(t *testing.T) {
	a, b := Column([]float64{1, 2}), Scores{Values: [][]float64{{1, 2}, {3, 4}}}
	if _, err := Improvement(a, b); err == nil || !strings.Contains(err.Error(), "the same tasks") {
		t.Errorf("error %v, want one about tasks", err)
	}
	x := Scores{Tasks: []string{"p", "q"}, Values: b.Values}
	y := Scores{Tasks: []string{"q", "p"}, Values: b.Values}
	if _, err := Improvement(x, y); err == nil || !strings.Contains(err.Error(), "same order") {
		t.Errorf("error %v, want one about the order", err)
	}
	if _, err := ImprovementInterval(a, Column([]float64{1}), 10, 0.95, rand.New(rand.NewPCG(1, 1))); err == nil || !strings.Contains(err.Error(), "there is 1") {
		t.Errorf("error %v, want one about a single run", err)
	}
	if _, err := a.Profile([]float64{2, 1}, 10, 0.95, nil); err == nil || !strings.Contains(err.Error(), "rising order") {
		t.Errorf("error %v, want one about the order of taus", err)
	}
	p, err := Column([]float64{1}).Profile([]float64{0, 1}, 10, 0.95, nil)
	if err != nil || p.Low != nil || !slices.Equal(p.Share, []float64{1, 0}) {
		t.Errorf("the profile of one run is %v (%v), want 1 and 0 without an interval", p, err)
	}
}

// The pooled values are those of statsmodels 0.14 proportion_confint(58, 110, 0.05, method="wilson").
func TestPooledAndClustered(t *testing.T) {
	rate, in, err := Pooled([]int{8, 50}, []int{10, 100}, 0.95)
	if err != nil || !near(rate, 58.0/110, 1e-15) || in != Wilson(58, 110, 0.95) {
		t.Errorf("%v %v (%v), want Wilson's interval of 58 of 110", rate, in, err)
	}
	// Alike seeds are worth all their episodes; seeds of 0 and 20 wins of 20 are worth one episode each.
	_, alike, _ := Clustered([]int{10, 10, 10}, []int{20, 20, 20}, 0.95)
	if alike != Wilson(30, 60, 0.95) {
		t.Errorf("alike seeds: %v, want %v", alike, Wilson(30, 60, 0.95))
	}
	rate, apart, _ := Clustered([]int{0, 20, 0, 20}, []int{20, 20, 20, 20}, 0.95)
	if want := Wilson(2, 4, 0.95); rate != 0.5 || !near(apart.Low, want.Low, 1e-12) || !near(apart.High, want.High, 1e-12) {
		t.Errorf("seeds that win all or nothing: %v, want %v", apart, want)
	}
	// Wins 4, 6, 8 of 10: p = 0.6, Σ(w − 6)² = 8, D = 3/2 · 8 / (30·0.24) = 5/3, so 18 trials with 10.8 wins.
	_, some, _ := Clustered([]int{4, 6, 8}, []int{10, 10, 10}, 0.95)
	if want := wilson(10.8, 18, 0.95); !near(some.Low, want.Low, 1e-12) || !near(some.High, want.High, 1e-12) {
		t.Errorf("seeds that differ: %v, want %v", some, want)
	}
	for _, c := range []struct {
		wins, trials []int
		want         string
	}{{[]int{1}, []int{1, 2}, "wins of 1 groups"}, {[]int{3}, []int{2}, "3 wins of 2"}, {nil, nil, "no trials"}} {
		if _, _, err := Clustered(c.wins, c.trials, 0.95); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
