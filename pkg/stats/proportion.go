package stats

import (
	"fmt"
	"math"
)

// Wilson returns Wilson's score interval (JASA 22, 1927) for a proportion that was observed as wins of n trials; level
// is the confidence, as 0.95. Without a trial it is [0, 1].
func Wilson(wins, n int, level float64) Interval { return wilson(float64(wins), float64(n), level) }

// wilson allows numbers of trials that are not whole: those that many dependent trials are worth.
func wilson(wins, n, level float64) Interval {
	if n <= 0 {
		return Interval{0, 1}
	}
	z := normalQuantile(level)
	p := wins / n
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Interval{max(0, centre-half), min(1, centre+half)}
}

// normalQuantile is the z with P(|Z| ≤ z) = level for a standard normal Z: 1.96 for 0.95.
func normalQuantile(level float64) float64 { return math.Sqrt2 * math.Erfinv(level) }

// Pooled returns the proportion Σ wins / Σ trials over groups (seeds), and its Wilson interval as if all trials were
// independent and alike. Where seeds differ it is too narrow: see Clustered.
func Pooled(wins, trials []int, level float64) (rate float64, i Interval, err error) {
	w, n, err := totals(wins, trials, level)
	if err != nil {
		return 0, Interval{}, err
	}
	return w / n, wilson(w, n, level), nil
}

// Clustered returns the proportion Σ wins / Σ trials over groups (seeds), and an interval that counts how much the
// groups differ: Wilson's, with the number of trials divided by the design effect D of Rao and Scott (Biometrics 48,
// 1992), the ratio of the variance between groups to that of independent trials,
//
//	D = k/(k−1) · Σ (wᵢ − p·nᵢ)² / (n·p·(1−p)),   n = Σ nᵢ, p = Σ wᵢ / n, k groups.
//
// D is at least 1, and nothing is worth fewer trials than groups. It is 1 where it cannot be known: of one group, or at p = 0 and 1.
func Clustered(wins, trials []int, level float64) (rate float64, i Interval, err error) {
	w, n, err := totals(wins, trials, level)
	if err != nil {
		return 0, Interval{}, err
	}
	p, k, effect := w/n, float64(len(wins)), 1.0
	if len(wins) > 1 && p > 0 && p < 1 {
		between := 0.0
		for g := range wins {
			d := float64(wins[g]) - p*float64(trials[g])
			between += d * d
		}
		effect = max(1, k/(k-1)*between/(n*p*(1-p)))
		effect = min(effect, n/k)
	}
	return p, wilson(w/effect, n/effect, level), nil
}

func totals(wins, trials []int, level float64) (w, n float64, err error) {
	if len(wins) != len(trials) {
		return 0, 0, fmt.Errorf("stats: wins of %d groups and trials of %d, want as many", len(wins), len(trials))
	}
	if level <= 0 || level >= 1 {
		return 0, 0, fmt.Errorf("stats: level %v, want one between 0 and 1", level)
	}
	for g := range wins {
		if wins[g] < 0 || wins[g] > trials[g] {
			return 0, 0, fmt.Errorf("stats: %d wins of %d trials in group %d", wins[g], trials[g], g)
		}
		w, n = w+float64(wins[g]), n+float64(trials[g])
	}
	if n == 0 {
		return 0, 0, fmt.Errorf("stats: no trials, want at least one")
	}
	return w, n, nil
}
