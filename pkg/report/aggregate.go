package report

import (
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/stats"
)

const (
	mostPoints     = 300 // drawn per curve
	curveResamples = 500 // bootstrap resamples at each point of a curve
	enoughSeeds    = 4   // from which on a group is shown by its interquartile mean
)

// thinned keeps at most mostPoints places, the first and the last among them.
func thinned(x []float64) []float64 {
	if len(x) <= mostPoints {
		return x
	}
	out := make([]float64, mostPoints)
	for i := range out {
		out[i] = x[i*(len(x)-1)/(mostPoints-1)]
	}
	return out
}

// aggregate summarises runs of one group where any of them logged: the only run; the mean and the range of two or three;
// the interquartile mean and its 95 % bootstrap interval of four or more.
func aggregate(all []stats.Series) (stats.Band, error) {
	var x []float64
	for _, s := range all {
		x = append(x, s.X...)
	}
	slices.Sort(x)
	x = thinned(slices.Compact(x))
	if len(all) >= enoughSeeds {
		return stats.Efficiency([][]stats.Series{all}, x, stats.AggregateIQM(), curveResamples, 0.95, rand.New(rand.NewPCG(1, 1)))
	}
	var c stats.Band
	for _, at := range x {
		var here []float64
		for _, s := range all {
			if v, ok := s.At(at); ok {
				here = append(here, v)
			}
		}
		if len(here) == 0 {
			continue
		}
		c.X, c.Y = append(c.X, at), append(c.Y, stats.Mean(here))
		c.Low, c.High = append(c.Low, slices.Min(here)), append(c.High, slices.Max(here))
		c.Series = append(c.Series, len(here))
	}
	return c, nil
}

// sameX says whether all runs of a group have values at the same places.
func sameX(all []stats.Series) bool {
	for _, s := range all {
		if !slices.Equal(s.X, all[0].X) {
			return false
		}
	}
	return true
}
