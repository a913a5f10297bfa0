// Package stats holds the statistics of result tables and curves.
//
// Scores (runs × tasks) have aggregates (interquartile mean, median, mean, optimality gap), performance profiles, a
// probability of improvement, and stratified bootstrap intervals of all of them: Agarwal, Schwarzer, Castro, Courville
// and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021, whose library
// rliable 1.2.0 the tests compare with. Series are curves of runs that may differ in length. Win rates have the
// intervals of Wilson, pooled or with the spread between seeds; times to a threshold may be censored.
//
// Means and deviations are written out here, because gonum/stat brings linear algebra that every figure cell
// would link (40 ms of 300).
package stats

import (
	"fmt"
	"math"
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

// Median returns the middle value, or the mean of the two in the middle; NaN of no values. x stays as it is.
func Median(x []float64) float64 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	return Quantile(0.5, sorted)
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
