package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Time is when something happened, or until when it had not.
type Time struct {
	At       float64
	Censored bool // true = it had not happened by then, and nobody looked later
}

// Reached returns when a series first attains a threshold, between two points by linear interpolation; a run that never
// does is censored at its last point, for it might have later. The series must have a point.
func (s Series) Reached(threshold float64) (Time, error) {
	if len(s.X) == 0 {
		return Time{}, fmt.Errorf("stats: a series without points reaches nothing")
	}
	for i, y := range s.Y {
		if y < threshold || math.IsNaN(y) {
			continue
		}
		if i == 0 || math.IsNaN(s.Y[i-1]) {
			return Time{At: s.X[i]}, nil
		}
		part := (threshold - s.Y[i-1]) / (y - s.Y[i-1])
		return Time{At: s.X[i-1] + part*(s.X[i]-s.X[i-1])}, nil
	}
	return Time{At: s.X[len(s.X)-1], Censored: true}, nil
}

// Survival is the share of runs that have not reached a threshold yet, as a function of time: a staircase that falls at
// each of Times to the value of Share there.
type Survival struct {
	Times, Share []float64
	variance     []float64 // Greenwood's sum, of log Share
}

// KaplanMeier returns the product-limit estimate of Kaplan and Meier (JASA 53, 1958), which uses what censored times
// say (not yet by then) instead of leaving their runs out:
//
//	S(t) = Π over event times tᵢ ≤ t of (1 − dᵢ/nᵢ),   dᵢ events, nᵢ runs still watched and without event before tᵢ.
func KaplanMeier(times []Time) (Survival, error) {
	if len(times) == 0 {
		return Survival{}, fmt.Errorf("stats: no times, want at least one")
	}
	sorted := slices.Clone(times)
	slices.SortFunc(sorted, func(a, b Time) int { return cmp.Compare(a.At, b.At) })
	var s Survival
	share, sum := 1.0, 0.0
	for i := 0; i < len(sorted); {
		at, events, left := sorted[i].At, 0.0, float64(len(sorted)-i)
		for ; i < len(sorted) && sorted[i].At == at; i++ {
			if !sorted[i].Censored {
				events++
			}
		}
		if events > 0 {
			share *= 1 - events/left
			sum += events / (left * (left - events))
			s.Times, s.Share, s.variance = append(s.Times, at), append(s.Share, share), append(s.variance, sum)
		}
	}
	return s, nil
}

// Median returns the time by which half of the runs have reached the threshold; +Inf if fewer than half ever did.
func (s Survival) Median() float64 {
	for i, v := range s.Share {
		if v <= 0.5 {
			return s.Times[i]
		}
	}
	return math.Inf(1)
}

// MedianInterval returns the interval of the median after Brookmeyer and Crowley (Biometrics 38, 1982): all times at which
// a test of S(t) = ½ does not reject, with the transformation log(−log S). High is +Inf where too few runs have arrived.
func (s Survival) MedianInterval(level float64) Interval {
	z := normalQuantile(level)
	out := Interval{math.Inf(1), math.Inf(1)}
	g := func(p float64) float64 { return math.Log(-math.Log(p)) }
	for i, v := range s.Share {
		upper, lower := 1.0, 0.0 // of S there; where nobody is left to watch, it can be anything
		if v > 0 {
			spread := z * math.Sqrt(s.variance[i]) / math.Abs(math.Log(v))
			upper = math.Exp(-math.Exp(g(v) - spread))
			lower = math.Exp(-math.Exp(g(v) + spread))
		}
		if lower <= 0.5 && math.IsInf(out.Low, 1) {
			out.Low = s.Times[i]
		}
		if upper <= 0.5 {
			out.High = s.Times[i]
			break
		}
	}
	return out
}
