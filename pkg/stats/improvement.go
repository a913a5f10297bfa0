package stats

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Improvement returns the probability that a run of x has a higher score than a run of y on a task drawn at random
// (Agarwal et al. 2021, section 4.3): the mean over tasks of Mann and Whitney's U, divided by the number of pairs,
//
//	P(X > Y) = 1/M · Σ over tasks m of 1/(N·K) · Σ over pairs of S(x, y),   S = 1 if x > y, ½ if equal, else 0.
//
// x and y have the same tasks in the same order; their numbers of runs may differ.
func Improvement(x, y Scores) (float64, error) {
	w, err := newDuel(x, y)
	if err != nil {
		return 0, err
	}
	one := func(n int) []int32 { return slices.Repeat([]int32{1}, n) }
	sum := 0.0
	for t := range w.wins {
		sum += w.task(t, one(w.n), one(w.k))
	}
	return sum / float64(len(w.wins)), nil
}

// ImprovementInterval returns the stratified bootstrap interval of Improvement: runs of x and of y are drawn for
// themselves, within each task.
func ImprovementInterval(x, y Scores, resamples int, level float64, r *rand.Rand) (Interval, error) {
	w, err := newDuel(x, y)
	if err != nil {
		return Interval{}, err
	}
	for _, s := range []Scores{x, y} {
		if err := s.resamplable(resamples, level); err != nil {
			return Interval{}, err
		}
	}
	xs, ys := newDraws(w.n), newDraws(w.k)
	cx, cy := make([]int32, w.n), make([]int32, w.k)
	found := make([]float64, resamples)
	for b := range found {
		xs.left, ys.left = 0, 0
		for t := range w.wins {
			clear(cx)
			clear(cy)
			for range w.n {
				cx[xs.next(r)]++
			}
			for range w.k {
				cy[ys.next(r)]++
			}
			found[b] += w.task(t, cx, cy)
		}
		found[b] /= float64(len(w.wins))
	}
	return percentiles(found, level), nil
}

// duel holds who beats whom.
type duel struct {
	n, k int         // runs of x and of y
	wins [][]float64 // [task][run of x · k + run of y]: 1, ½ or 0
}

func newDuel(x, y Scores) (duel, error) {
	for _, s := range []Scores{x, y} {
		if err := s.Validate(); err != nil {
			return duel{}, err
		}
	}
	if a, b := len(x.Values[0]), len(y.Values[0]); a != b || x.Tasks != nil && y.Tasks != nil && !slices.Equal(x.Tasks, y.Tasks) {
		return duel{}, fmt.Errorf("stats: scores on %d tasks %v and on %d tasks %v cannot be compared: want the same tasks in the same order", a, x.Tasks, b, y.Tasks)
	}
	w := duel{n: len(x.Values), k: len(y.Values), wins: make([][]float64, len(x.Values[0]))}
	for t := range w.wins {
		for _, a := range x.Values {
			for _, b := range y.Values {
				switch {
				case a[t] > b[t]:
					w.wins[t] = append(w.wins[t], 1)
				case a[t] == b[t]:
					w.wins[t] = append(w.wins[t], 0.5)
				default:
					w.wins[t] = append(w.wins[t], 0)
				}
			}
		}
	}
	return w, nil
}

// task is the share of pairs that x wins on task t, when its runs were drawn cx times and those of y cy times.
func (w duel) task(t int, cx, cy []int32) float64 {
	sum := 0.0
	for i, c := range cx {
		if c == 0 {
			continue
		}
		row, of := w.wins[t][i*w.k:(i+1)*w.k], 0.0
		for j, v := range row {
			of += float64(cy[j]) * v
		}
		sum += float64(c) * of
	}
	return sum / float64(w.n*w.k)
}
