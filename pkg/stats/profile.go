package stats

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Profile is a performance profile: the share of scores, over all runs and tasks, that are greater than each tau, with
// pointwise intervals. A curve above another one everywhere is stochastically better.
type Profile struct{ Tau, Share, Low, High []float64 }

// Profile returns the score distribution of Agarwal et al. (2021, section 4.2) at rising taus,
//
//	F(τ) = 1/(M·N) · Σ over tasks m and runs n of 1[x(m, n) > τ],
//
// with stratified bootstrap intervals. Of a single run Low and High are nil: there is no interval.
func (s Scores) Profile(taus []float64, resamples int, level float64, r *rand.Rand) (Profile, error) {
	if !slices.IsSorted(taus) || len(taus) == 0 {
		return Profile{}, fmt.Errorf("stats: a profile at %d taus, want at least one, in rising order", len(taus))
	}
	if err := s.Validate(); err != nil {
		return Profile{}, err
	}
	ranks := newRanking(s.columns())
	first := make([]int, len(taus)) // the first rank above each tau
	p := Profile{Tau: taus, Share: make([]float64, len(taus))}
	n := float64(len(ranks.sorted))
	for i, tau := range taus {
		at, _ := slices.BinarySearchFunc(ranks.sorted, tau, func(v, tau float64) int {
			if v > tau {
				return 1
			}
			return -1
		})
		first[i] = at
		p.Share[i] = float64(len(ranks.sorted)-at) / n
	}
	if len(s.Values) == 1 {
		return p, nil
	}
	if err := s.resamplable(resamples, level); err != nil {
		return Profile{}, err
	}
	found := make([][]float64, len(taus))
	for i := range found {
		found[i] = make([]float64, resamples)
	}
	for b := range resamples {
		counts := ranks.draw(r)
		above, rank := 0, len(counts)
		for i := len(taus) - 1; i >= 0; i-- {
			for ; rank > first[i]; rank-- {
				above += int(counts[rank-1])
			}
			found[i][b] = float64(above) / n
		}
	}
	for _, f := range found {
		in := percentiles(f, level)
		p.Low, p.High = append(p.Low, in.Low), append(p.High, in.High)
	}
	return p, nil
}
