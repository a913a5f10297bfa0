package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNewSeries(t *testing.T) {
	s := NewSeries([]float64{1, 3, 2, 2, 5}, []float64{1, 3, 20, 21, 5})
	if !slices.Equal(s.X, []float64{1, 2, 5}) || !slices.Equal(s.Y, []float64{1, 21, 5}) {
		t.Errorf("%v %v, want 1, 2, 5 with 1, 21, 5", s.X, s.Y)
	}
}

// Over three points around each: (4+2)/2, (4+2+0)/3, (2+0+1)/3, (0+1)/2.
func TestSmoothed(t *testing.T) {
	level := Series{make([]float64, 7), []float64{0.1, 0.7, 1e9, 0.3, 0, 0, 0}} // nothing stays of what has left the window
	if got := level.Smoothed(2).Y[5]; got != 0 {
		t.Errorf("moving mean of zeros behind other numbers: %v, want 0", got)
	}
	s := Series{[]float64{1, 2, 3, 4}, []float64{4, 2, 0, 1}}
	for k, want := range map[int][]float64{1: {4, 2, 0, 1}, 2: {4, 3, 1, 0.5}, 3: {3, 2, 1, 0.5}, 100: {1.75, 1.75, 1.75, 1.75}} {
		if got := s.Smoothed(k).Y; !slices.Equal(got, want) {
			t.Errorf("moving mean over %d: %v, want %v", k, got, want)
		}
	}
}

func TestSeriesMean(t *testing.T) {
	// A ramp from 0 to 1 over ten, then level for thirty: (5 + 30)/40.
	if m := (Series{[]float64{0, 10, 40}, []float64{0, 1, 1}}).Mean(); m != 0.875 {
		t.Errorf("mean height %v, want 0.875", m)
	}
	if m := (Series{[]float64{3}, []float64{7}}).Mean(); m != 7 {
		t.Errorf("mean height of one point %v, want 7", m)
	}
}

// Run 1 of task a has ended at 20, task b begins at 10 and has one run: at 0 two values, at 10 three, at 30 two.
func TestEfficiencyOfUnequalRuns(t *testing.T) {
	tasks := [][]Series{
		{{[]float64{0, 40}, []float64{0, 4}}, {[]float64{0, 20}, []float64{2, 2}}},
		{{[]float64{10, 40}, []float64{6, 9}}},
	}
	got, err := Efficiency(tasks, []float64{-5, 0, 10, 30, 40, 50}, AggregateMean(), 400, 0.95, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.X, []float64{0, 10, 30, 40}) || !slices.Equal(got.Y, []float64{1, 3, 5.5, 6.5}) || !slices.Equal(got.Series, []int{2, 3, 2, 2}) {
		t.Errorf("x %v, y %v of %v series; want 0, 10, 30, 40; 1, 3, 5.5, 6.5; 2, 3, 2, 2", got.X, got.Y, got.Series)
	}
	// Two runs of task a are 1 and 2 at 10: their mean is 1, 1.5 or 2, with 6 of the other task (8, 9 or 10)/3.
	if got.Low[1] != 8.0/3 || got.High[1] != 10.0/3 || got.Low[0] != 0 || got.High[0] != 2 {
		t.Errorf("bands from %v to %v", got.Low, got.High)
	}
	if !math.IsNaN(got.Low[2]) || !math.IsNaN(got.High[3]) {
		t.Errorf("a band of one run per task: %v, want NaN", got.Low)
	}
	if _, err := Efficiency(tasks, []float64{0}, AggregateMedian(), 10, 0.95, rand.New(rand.NewPCG(1, 1))); err == nil || !strings.Contains(err.Error(), "Median is not a statistic of single scores") {
		t.Errorf("error %v, want one about the median", err)
	}
}

// All ways to draw three of three: 10, of which the three that repeat one run have 1/27 each, and that with all runs 6/27.
func TestAllResamples(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 3, 3: 10, 5: 126, 6: 462} {
		sum := 0.0
		all := allResamples(n)
		for _, one := range all {
			sum += one.weight
		}
		if len(all) != want || !near(sum, 1, 1e-12) {
			t.Errorf("%d ways of %d with probability %v, want %d with 1", len(all), n, sum, want)
		}
	}
	for _, one := range allResamples(3) {
		want := map[int32]float64{3: 1.0 / 27, 2: 3.0 / 27, 1: 6.0 / 27}[slices.Max(one.counts)]
		if !near(one.weight, want, 1e-15) {
			t.Errorf("%v has probability %v, want %v", one.counts, one.weight, want)
		}
	}
}

// Many random resamples must agree with all of them: the share of draws within the exact interval is at least 95 %, and each end
// is where a tail of 2.5 % begins.
func TestExactBandAgainstDraws(t *testing.T) {
	values := []float64{0.1, 0.35, 0.5, 0.55, 1.2}
	f := AggregateIQM()
	in := weighted(allResamples(5), f, values, 0.95)
	k := newRanking([][]float64{values})
	r := rand.New(rand.NewPCG(4, 4))
	below, above, n := 0, 0, 200_000
	for range n {
		switch v := f.ranked(k.sorted, k.draw(r)); {
		case v < in.Low-1e-12:
			below++
		case v > in.High+1e-12:
			above++
		}
	}
	if below > n/40+300 || above > n/40+300 {
		t.Errorf("%d draws lie below %v and %d above %v, want at most 2.5 %% of %d each", below, in.Low, above, in.High, n)
	}
}
