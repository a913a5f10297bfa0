// Package stats holds the statistics of result tables and curves: the interquartile mean and stratified
// bootstrap intervals of Agarwal et al. (NeurIPS 2021), and Wilson's interval for win rates.
//
// Means and deviations are written out here, because gonum/stat brings linear algebra that every figure cell
// would link (40 ms of 300). Missing: profiles of performance, probability of improvement.
package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Mean returns the arithmetic mean, NaN of no values.
func Mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// Std returns the standard deviation of a sample (divided by n−1), NaN of fewer than two values.
func Std(x []float64) float64 {
	if len(x) < 2 {
		return math.NaN()
	}
	mean, sum := Mean(x), 0.0
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

// IQM returns the interquartile mean: the mean without the lowest and the highest ⌊n/4⌋ values, as
// scipy.stats.trim_mean(x, 0.25). Of fewer than four values it is the mean. x stays as it is.
func IQM(x []float64) float64 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	cut := len(sorted) / 4
	return Mean(sorted[cut : len(sorted)-cut])
}

// Quantile returns the p-quantile (p in [0, 1]) of sorted values, linear between them (type 7 of Hyndman and
// Fan, numpy's default); NaN of no values.
func Quantile(p float64, sorted []float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := p * float64(len(sorted)-1)
	below := min(int(at), len(sorted)-1)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Interval is a range of plausible values, both ends included.
type Interval struct{ Low, High float64 }

// String shows an interval as "[0.12, 0.34]".
func (i Interval) String() string { return fmt.Sprintf("[%.4g, %.4g]", i.Low, i.High) }

// Wilson returns Wilson's score interval for a proportion that was observed as wins of n trials; level is the
// confidence, as 0.95. Without a trial it is [0, 1].
func Wilson(wins, n int, level float64) Interval {
	if n <= 0 {
		return Interval{0, 1}
	}
	z := math.Sqrt2 * math.Erfinv(level)
	p, m := float64(wins)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Interval{max(0, centre-half), min(1, centre+half)}
}

// Scores are one number per run and task.
type Scores struct {
	Runs, Tasks []string    // names of the axes; nil where nobody needs them
	Values      [][]float64 // [run][task]
}

// Column returns scores of one task, one value per run.
func Column(values []float64) Scores {
	s := Scores{Values: make([][]float64, len(values))}
	for i := range values {
		s.Values[i] = values[i : i+1 : i+1]
	}
	return s
}

// Validate says what is wrong with the shape of the scores.
func (s Scores) Validate() error {
	if len(s.Values) == 0 || len(s.Values[0]) == 0 {
		return fmt.Errorf("stats: no scores, want at least one run and one task")
	}
	for i, row := range s.Values {
		if len(row) != len(s.Values[0]) {
			return fmt.Errorf("stats: run %d has %d tasks, run 0 has %d: scores must be a full matrix", i, len(row), len(s.Values[0]))
		}
	}
	if s.Runs != nil && len(s.Runs) != len(s.Values) {
		return fmt.Errorf("stats: %d names for %d runs", len(s.Runs), len(s.Values))
	}
	if s.Tasks != nil && len(s.Tasks) != len(s.Values[0]) {
		return fmt.Errorf("stats: %d names for %d tasks", len(s.Tasks), len(s.Values[0]))
	}
	return nil
}

// Statistic turns scores [run][task] into one number. It does not keep or change them.
type Statistic func(values [][]float64) float64

// Flat returns the statistic f of all values together, whatever their run and task: Flat(IQM), Flat(Mean).
// The result keeps a buffer and serves one goroutine.
func Flat(f func(x []float64) float64) Statistic {
	var all []float64
	return func(values [][]float64) float64 {
		all = all[:0]
		for _, row := range values {
			all = append(all, row...)
		}
		return f(all)
	}
}

// Bootstrap returns the stratified bootstrap percentile interval of a statistic: each resample draws, within
// each task for itself, as many runs as there are, with replacement. The same state of r gives the same interval.
func (s Scores) Bootstrap(f Statistic, resamples int, level float64, r *rand.Rand) (Interval, error) {
	if err := s.Validate(); err != nil {
		return Interval{}, err
	}
	if resamples < 1 || level <= 0 || level >= 1 {
		return Interval{}, fmt.Errorf("stats: %d resamples at level %v, want at least 1 and a level between 0 and 1", resamples, level)
	}
	runs, tasks := len(s.Values), len(s.Values[0])
	drawn := make([][]float64, runs)
	for i := range drawn {
		drawn[i] = make([]float64, tasks)
	}
	found := make([]float64, resamples)
	for b := range found {
		for _, row := range drawn {
			for t := range row {
				row[t] = s.Values[r.IntN(runs)][t]
			}
		}
		found[b] = f(drawn)
	}
	slices.Sort(found)
	tail := (1 - level) / 2
	return Interval{Quantile(tail, found), Quantile(1-tail, found)}, nil
}
