package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// Series is the curve of one run: Y over X (steps, updates, seconds), X strictly rising.
type Series struct{ X, Y []float64 }

// NewSeries orders points by x. Where x repeats or falls back, as in the log of a run that went on from a checkpoint,
// the later point holds, and what it goes back behind is dropped.
func NewSeries(x, y []float64) Series {
	var s Series
	for i, at := range x {
		n := sort.SearchFloat64s(s.X, at)
		s.X, s.Y = append(s.X[:n], at), append(s.Y[:n], y[i])
	}
	return s
}

// Smoothed returns the moving mean over k points around each (fewer at both ends), so that nothing lags behind.
func (s Series) Smoothed(k int) Series {
	out := Series{s.X, make([]float64, len(s.Y))}
	sum, lost, from, to := 0.0, 0.0, 0, 0 // of Y[from:to]; what rounding has taken from it (Neumaier 1974), else zeros behind ones would be 1e-16
	add := func(y float64) {
		before := sum
		sum += y
		if math.Abs(before) >= math.Abs(y) {
			lost += (before - sum) + y
		} else {
			lost += (y - sum) + before
		}
	}
	for i := range s.Y {
		for ; to < len(s.Y) && to <= i+(k-1)/2; to++ {
			add(s.Y[to])
		}
		for ; from < i-k/2; from++ {
			add(-s.Y[from])
		}
		out.Y[i] = (sum + lost) / float64(to-from)
	}
	return out
}

// At interpolates linearly; ok is false outside of the run's own points.
func (s Series) At(x float64) (y float64, ok bool) {
	if len(s.X) == 0 || x < s.X[0] || x > s.X[len(s.X)-1] {
		return 0, false
	}
	i := sort.SearchFloat64s(s.X, x)
	if s.X[i] == x {
		return s.Y[i], true
	}
	part := (x - s.X[i-1]) / (s.X[i] - s.X[i-1])
	return s.Y[i-1] + part*(s.Y[i]-s.Y[i-1]), true
}

// Mean returns the mean height of the curve between its ends (the area under it by the trapezoidal rule, divided by its
// width), a summary of how fast and how well a run learns; the only value of a single point, NaN of none.
func (s Series) Mean() float64 {
	if len(s.X) < 2 {
		return Mean(s.Y)
	}
	area := 0.0
	for i := 1; i < len(s.X); i++ {
		area += (s.X[i] - s.X[i-1]) * (s.Y[i] + s.Y[i-1]) / 2
	}
	return area / (s.X[len(s.X)-1] - s.X[0])
}

// Band is an aggregate of several series: Y with its interval at each of X, and how many series had a value there.
type Band struct {
	X, Y, Low, High []float64
	Series          []int
}

// Efficiency returns a sample-efficiency curve (Agarwal et al. 2021, section 4.3): at each of the points x, the statistic
// (AggregateIQM, AggregateMean or another of single scores) of the values that the series have there, and its pointwise
// stratified bootstrap interval. tasks are [task][run]; a series has no value outside of its own points, so runs may differ
// in length, and Band.Series says how many count. Points without any value are left out; where no task has two, Low and High are NaN.
// Where a point has up to six runs of a single task, the interval is that of all possible resamples with their probabilities, and r
// plays no part.
func Efficiency(tasks [][]Series, x []float64, f Statistic, resamples int, level float64, r *rand.Rand) (Band, error) {
	if f.ranked == nil {
		return Band{}, fmt.Errorf("stats: %s is not a statistic of single scores, want one such as AggregateIQM", f.Name)
	}
	if resamples < 1 || level <= 0 || level >= 1 {
		return Band{}, fmt.Errorf("stats: %d resamples at level %v, want at least 1 and a level between 0 and 1", resamples, level)
	}
	// The same resamples at each point: they are of whole runs, and the band is as smooth as its runs.
	a, b := r.Uint64(), r.Uint64()
	var out Band
	found := make([]float64, resamples)
	every := map[int][]resample{} // by the number of runs
	for _, at := range x {
		var columns [][]float64
		several := false
		for _, runs := range tasks {
			var here []float64
			for _, s := range runs {
				if v, ok := s.At(at); ok {
					here = append(here, v)
				}
			}
			if len(here) > 0 {
				columns, several = append(columns, here), several || len(here) > 1
			}
		}
		if len(columns) == 0 {
			continue
		}
		ranks := newRanking(columns)
		in := Interval{math.NaN(), math.NaN()}
		y := f.ranked(ranks.sorted, slices.Repeat([]int32{1}, len(ranks.sorted)))
		switch n := len(ranks.sorted); {
		case several && len(columns) == 1 && n <= 6:
			if every[n] == nil {
				every[n] = allResamples(n)
			}
			in = weighted(every[n], f, ranks.sorted, level)
		case several:
			same := rand.New(rand.NewPCG(a, b))
			for i := range found {
				found[i] = f.ranked(ranks.sorted, ranks.draw(same))
			}
			in = percentiles(found, level)
		}
		out.X, out.Y = append(out.X, at), append(out.Y, y)
		out.Low, out.High = append(out.Low, in.Low), append(out.High, in.High)
		out.Series = append(out.Series, len(ranks.sorted))
	}
	return out, nil
}

// resample is one of all that can be drawn from n runs, as a count per rank, and how likely it is.
type resample struct {
	counts []int32
	weight float64
	found  float64
}

// allResamples lists the ways to draw n times from n, whatever the order: C(2n−1, n), each with the probability
// n! / (c₁!·…·cₙ!) / nⁿ.
func allResamples(n int) (list []resample) {
	counts := make([]int32, n)
	var place func(rank, left int, weight float64)
	place = func(rank, left int, weight float64) {
		if rank == n-1 {
			counts[rank] = int32(left)
			for i := 2; i <= left; i++ {
				weight /= float64(i)
			}
			list = append(list, resample{counts: slices.Clone(counts), weight: weight})
			return
		}
		for c := range left + 1 {
			if c > 1 {
				weight /= float64(c)
			}
			counts[rank] = int32(c)
			place(rank+1, left-c, weight)
		}
	}
	weight := 1.0
	for i := 1; i <= n; i++ {
		weight *= float64(i) / float64(n)
	}
	place(0, n, weight)
	return list
}

// weighted is the interval between the tails of all resamples. It orders them by what f finds.
func weighted(all []resample, f Statistic, sorted []float64, level float64) Interval {
	for i := range all {
		all[i].found = f.ranked(sorted, all[i].counts)
	}
	slices.SortFunc(all, func(a, b resample) int { return cmp.Compare(a.found, b.found) })
	tail := (1 - level) / 2
	at := func(p float64) float64 {
		sum := 0.0
		for _, one := range all {
			if sum += one.weight; sum >= p {
				return one.found
			}
		}
		return all[len(all)-1].found
	}
	return Interval{at(tail), at(1 - tail)}
}
