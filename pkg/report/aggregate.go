package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

const (
	mostPoints     = 300 // drawn per curve
	curveResamples = 500 // bootstrap resamples at each point of a curve
	enoughSeeds    = 4   // from which on a group is shown by its interquartile mean
)

// series is the curve of one run: steps rise strictly.
type series struct{ steps, values []float64 }

// newSeries orders the points of a metric: where steps repeat or fall back, the later line holds.
func newSeries(points []run.Point) series {
	var s series
	for _, p := range points {
		x := float64(p.Steps)
		n := sort.SearchFloat64s(s.steps, x)
		s.steps, s.values = append(s.steps[:n], x), append(s.values[:n], p.Value)
	}
	return s
}

// smoothed returns the moving mean over k points around each (fewer at both ends), so that nothing lags behind.
func (s series) smoothed(k int) series {
	out := series{s.steps, make([]float64, len(s.values))}
	sum, from, to := 0.0, 0, 0 // of values[from:to]
	for i := range s.values {
		for ; to < len(s.values) && to <= i+(k-1)/2; to++ {
			sum += s.values[to]
		}
		for ; from < i-k/2; from++ {
			sum -= s.values[from]
		}
		out.values[i] = sum / float64(to-from)
	}
	return out
}

// at interpolates linearly; ok is false outside of the run's own steps.
func (s series) at(x float64) (v float64, ok bool) {
	if len(s.steps) == 0 || x < s.steps[0] || x > s.steps[len(s.steps)-1] {
		return 0, false
	}
	i := sort.SearchFloat64s(s.steps, x)
	if s.steps[i] == x {
		return s.values[i], true
	}
	part := (x - s.steps[i-1]) / (s.steps[i] - s.steps[i-1])
	return s.values[i-1] + part*(s.values[i]-s.values[i-1]), true
}

// thinned keeps at most mostPoints steps, the first and the last among them.
func thinned(steps []float64) []float64 {
	if len(steps) <= mostPoints {
		return steps
	}
	out := make([]float64, mostPoints)
	for i := range out {
		out[i] = steps[i*(len(steps)-1)/(mostPoints-1)]
	}
	return out
}

// curve is what is drawn of one group: an aggregate over its seeds, and a band where there are several.
type curve struct {
	steps, values, low, high []float64
	seeds                    []int // at each point
}

// aggregate summarises runs of one group at the steps that any of them logged: the only run; the mean and the
// range of two or three; the interquartile mean and its 95 % bootstrap interval of four or more.
func aggregate(all []series) curve {
	var steps []float64
	for _, s := range all {
		steps = append(steps, s.steps...)
	}
	slices.Sort(steps)
	var c curve
	for _, x := range thinned(slices.Compact(steps)) {
		var here []float64
		for _, s := range all {
			if v, ok := s.at(x); ok {
				here = append(here, v)
			}
		}
		if len(here) == 0 {
			continue
		}
		v, band := summary(here, len(all) >= enoughSeeds)
		c.steps, c.values = append(c.steps, x), append(c.values, v)
		c.low, c.high = append(c.low, band.Low), append(c.high, band.High)
		c.seeds = append(c.seeds, len(here))
	}
	return c
}

func summary(values []float64, robust bool) (float64, stats.Interval) {
	if !robust {
		return stats.Mean(values), stats.Interval{Low: slices.Min(values), High: slices.Max(values)}
	}
	// The same generator at each point: resamples are of whole runs, and the band is as smooth as they are.
	r := rand.New(rand.NewPCG(1, 1))
	band, err := stats.Column(values).Bootstrap(stats.Flat(stats.IQM), curveResamples, 0.95, r)
	if err != nil {
		band = stats.Interval{Low: math.NaN(), High: math.NaN()}
	}
	return stats.IQM(values), band
}
