package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestMeanAndStd(t *testing.T) {
	x := []float64{2, 4, 4, 4, 5, 5, 7, 9} // mean 5, squared deviations 9+1+1+1+0+0+4+16 = 32
	if m := Mean(x); m != 5 {
		t.Errorf("mean %v, want 5", m)
	}
	if s := Std(x); s != math.Sqrt(32.0/7) {
		t.Errorf("standard deviation %v, want √(32/7)", s)
	}
	if !math.IsNaN(Mean(nil)) || !math.IsNaN(Std([]float64{1})) {
		t.Error("the mean of nothing and the deviation of one value must be NaN")
	}
}

// The values are those of scipy 1.17 stats.trim_mean(x, 0.25), which cuts ⌊n/4⌋ at each end.
func TestIQM(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{1, 2, 9}, 4},                           // nothing is cut of three
		{[]float64{100, 1, 2, 3}, 2.5},                    // 2 and 3 stay
		{[]float64{0, 1, 2, 3, 4, 5, 6, 1000}, 3.5},       // 2, 3, 4, 5 stay
		{[]float64{3, -50, 8, 4, 5, 90, 7, 1, 2, 6}, 4.5}, // 10 values: 2 cut at each end
	} {
		before := slices.Clone(c.x)
		if got := IQM(c.x); got != c.want {
			t.Errorf("IQM(%v) = %v, want %v", c.x, got, c.want)
		}
		if !slices.Equal(c.x, before) {
			t.Errorf("IQM changed its argument to %v", c.x)
		}
	}
}

// numpy.quantile([1, 2, 4, 8], p) for p = 0, 0.025, 0.5, 0.9, 1.
func TestQuantile(t *testing.T) {
	x := []float64{1, 2, 4, 8}
	for p, want := range map[float64]float64{0: 1, 0.025: 1.075, 0.5: 3, 0.9: 6.8, 1: 8} {
		if got := Quantile(p, x); !near(got, want, 1e-12) {
			t.Errorf("quantile %v = %v, want %v", p, got, want)
		}
	}
}

// The values are those of statsmodels 0.14 proportion_confint(wins, n, 0.05, method="wilson").
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		wins, n   int
		low, high float64
	}{
		{8, 10, 0.49016247153664183, 0.9433178485456247},
		{0, 20, 0, 0.1611251580528194},
		{20, 20, 0.8388748419471804, 1},
		{50, 100, 0.4038315303659956, 0.5961684696340044},
	} {
		got := Wilson(c.wins, c.n, 0.95)
		if !near(got.Low, c.low, 1e-9) || !near(got.High, c.high, 1e-9) {
			t.Errorf("Wilson(%d of %d) = %v, want [%v, %v]", c.wins, c.n, got, c.low, c.high)
		}
	}
	if got := Wilson(0, 0, 0.95); got != (Interval{0, 1}) {
		t.Errorf("no trials give %v, want [0, 1]", got)
	}
}

// Of the runs 0 and 1, four resamples are equally likely: means 0, 1/2, 1/2, 1. So the middle 95 % are [0, 1]
// and the middle 40 % are the point 1/2.
func TestBootstrapOfTwoRuns(t *testing.T) {
	for _, c := range []struct {
		level float64
		want  Interval
	}{{0.95, Interval{0, 1}}, {0.4, Interval{0.5, 0.5}}} {
		got, err := Column([]float64{0, 1}).Bootstrap(AggregateMean(), 2000, c.level, rand.New(rand.NewPCG(1, 2)))
		if err != nil || got != c.want {
			t.Errorf("level %v: %v, %v, want %v", c.level, got, err, c.want)
		}
	}
}

// The mean of 400 values of standard deviation 1 has an interval of ±1.96/20, up to resampling noise.
func TestBootstrapWidth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, 400)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	got, err := Column(x).Bootstrap(AggregateMean(), 4000, 0.95, r)
	half := 1.96 * Std(x) / 20
	if err != nil || !near(got.Low, Mean(x)-half, 0.006) || !near(got.High, Mean(x)+half, 0.006) {
		t.Errorf("interval %v (%v), want %v ± %v", got, err, Mean(x), half)
	}
}

// Means of two samples of 400 normal values each: the difference has the standard error √(1/400 + 1/400).
func TestDifferenceInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	x, y := make([]float64, 400), make([]float64, 400)
	for i := range x {
		x[i], y[i] = 1+r.NormFloat64(), r.NormFloat64()
	}
	got, err := DifferenceInterval(Column(x), Column(y), AggregateMean(), 4000, 0.95, r)
	middle, half := Mean(x)-Mean(y), 1.96*math.Sqrt((Std(x)*Std(x)+Std(y)*Std(y))/400)
	if err != nil || !near(got.Low, middle-half, 0.01) || !near(got.High, middle+half, 0.01) {
		t.Errorf("interval %v (%v), want %v ± %v", got, err, middle, half)
	}
	if _, err := DifferenceInterval(Column(x), Column(y[:1]), AggregateMean(), 10, 0.95, r); err == nil {
		t.Error("an interval of one run")
	}
}

// Tasks that differ widely and runs that do not: every resample has the same mean only if it is stratified.
func TestBootstrapStaysWithinTasks(t *testing.T) {
	s := Scores{Runs: []string{"0", "1", "2"}, Tasks: []string{"easy", "hard"}, Values: [][]float64{{100, 0}, {100, 0}, {100, 0}}}
	got, err := s.Bootstrap(AggregateMean(), 200, 0.95, rand.New(rand.NewPCG(5, 6)))
	if err != nil || got != (Interval{50, 50}) {
		t.Errorf("interval %v (%v), want [50, 50]", got, err)
	}
}

func TestBootstrapRepeats(t *testing.T) {
	s := Scores{Values: [][]float64{{1, 5}, {2, 9}, {4, 6}, {3, 7}, {8, 5}}}
	var got [2]Interval
	for i := range got {
		got[i], _ = s.Bootstrap(AggregateIQM(), 500, 0.95, rand.New(rand.NewPCG(7, 8)))
	}
	if got[0] != got[1] || got[0].Low >= got[0].High {
		t.Errorf("the same generator gives %v and %v, want one interval twice", got[0], got[1])
	}
}

func TestBootstrapRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		s         Scores
		resamples int
		level     float64
		want      string
	}{
		{Scores{}, 10, 0.95, "no scores"},
		{Scores{Values: [][]float64{{1, 2}, {3}}}, 10, 0.95, "run 1 has 1 tasks, run 0 has 2"},
		{Scores{Runs: []string{"a"}, Values: [][]float64{{1}, {3}}}, 10, 0.95, "1 names for 2 runs"},
		{Column([]float64{1, 2}), 0, 0.95, "0 resamples"},
		{Column([]float64{1, 2}), 10, 95, "level 95"},
		{Column([]float64{1}), 10, 0.95, "at least two of them, there is 1"},
		{Scores{Runs: []string{"7", "8"}, Tasks: []string{"easy"}, Values: [][]float64{{1}, {math.NaN()}}}, 10, 0.95, "run 8 has the score NaN on task easy"},
	} {
		if _, err := c.s.Bootstrap(AggregateMean(), c.resamples, c.level, r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %q", err, c.want)
		}
	}
}

// BenchmarkBootstrap takes the interval of the IQM of 10 runs × 20 tasks from 10,000 resamples.
func BenchmarkBootstrap(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	s := Scores{Values: make([][]float64, 10)}
	for i := range s.Values {
		for range 20 {
			s.Values[i] = append(s.Values[i], r.Float64())
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Bootstrap(AggregateIQM(), 10_000, 0.95, r); err != nil {
			b.Fatal(err)
		}
	}
}
