package stats

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Bootstrap returns the stratified bootstrap percentile interval of a statistic (Efron 1979; stratified as in Agarwal
// et al. 2021, section 4.1): each resample draws, within each task for itself, as many runs as there are, with replacement.
// The same state of r gives the same interval. Of one run there is none: an error, for a resample can only repeat it.
func (s Scores) Bootstrap(f Statistic, resamples int, level float64, r *rand.Rand) (Interval, error) {
	if err := s.resamplable(resamples, level); err != nil {
		return Interval{}, err
	}
	return percentiles(s.resampled(f, resamples, r), level), nil
}

// DifferenceInterval returns the stratified bootstrap interval of f(x) − f(y) of two methods: runs of x and of y are drawn for
// themselves. An interval without 0 tells them apart.
func DifferenceInterval(x, y Scores, f Statistic, resamples int, level float64, r *rand.Rand) (Interval, error) {
	for _, s := range []Scores{x, y} {
		if err := s.resamplable(resamples, level); err != nil {
			return Interval{}, err
		}
	}
	found := x.resampled(f, resamples, r)
	for b, v := range y.resampled(f, resamples, r) {
		found[b] -= v
	}
	return percentiles(found, level), nil
}

// resampled returns f of each resample.
func (s Scores) resampled(f Statistic, resamples int, r *rand.Rand) []float64 {
	if f.ranked == nil {
		return s.redrawn(f.Of, resamples, r)
	}
	ranks, found := newRanking(s.columns()), make([]float64, resamples)
	for b := range found {
		found[b] = f.ranked(ranks.sorted, ranks.draw(r))
	}
	return found
}

func (s Scores) resamplable(resamples int, level float64) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if resamples < 1 || level <= 0 || level >= 1 {
		return fmt.Errorf("stats: %d resamples at level %v, want at least 1 and a level between 0 and 1", resamples, level)
	}
	if len(s.Values) == 1 {
		return fmt.Errorf("stats: an interval over runs needs at least two of them, there is 1")
	}
	return nil
}

// redrawn returns f of each resample, drawn as a matrix.
func (s Scores) redrawn(f func([][]float64) float64, resamples int, r *rand.Rand) []float64 {
	runs, tasks := len(s.Values), len(s.Values[0])
	drawn := make([][]float64, runs)
	for i := range drawn {
		drawn[i] = make([]float64, tasks)
	}
	d := newDraws(runs)
	found := make([]float64, resamples)
	for b := range found {
		d.left = 0
		for t := range tasks {
			for _, row := range drawn {
				row[t] = s.Values[d.next(r)][t]
			}
		}
		found[b] = f(drawn)
	}
	return found
}

// percentiles sorts what resamples found, and returns the interval between its tails.
func percentiles(found []float64, level float64) Interval {
	slices.Sort(found)
	tail := (1 - level) / 2
	return Interval{Quantile(tail, found), Quantile(1-tail, found)}
}

// ranking is all values in rising order, so that a resample is a count per rank and needs no sort.
type ranking struct {
	sorted []float64
	tasks  [][]int32 // [task][run]: the rank of its value
	counts []int32   // per rank, of the last draw
	draws  draws
}

// newRanking sorts columns [task][run]; their lengths may differ.
func newRanking(columns [][]float64) *ranking {
	all := slices.Concat(columns...)
	k := &ranking{sorted: make([]float64, len(all)), counts: make([]int32, len(all)), draws: newDraws(len(columns[0]))}
	order := make([]int32, len(all))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(all[a], all[b]) })
	ranks := make([]int32, len(all))
	for rank, i := range order {
		ranks[i], k.sorted[rank] = int32(rank), all[i]
	}
	for _, c := range columns {
		k.tasks, ranks = append(k.tasks, ranks[:len(c)]), ranks[len(c):]
	}
	return k
}

// draw returns how often each rank is in a new resample, as many in all as there are values; valid until the next draw.
func (k *ranking) draw(r *rand.Rand) []int32 {
	clear(k.counts)
	d, counts := k.draws, k.counts
	d.left = 0
	for _, task := range k.tasks {
		if d.n != uint64(len(task)) {
			d = newDraws(len(task))
		}
		for range task {
			if d.left == 0 { // draws.next, which the compiler would not put here
				d.fraction, d.left = r.Uint64(), d.most
			}
			d.left--
			var digit uint64
			digit, d.fraction = bits.Mul64(d.fraction, d.n)
			counts[task[digit]]++
		}
	}
	return counts
}

// draws takes several numbers below n from each 64 random bits: the digits of a random fraction in base n. The last of them
// still has 32 bits, so no number is preferred by more than 2⁻³².
type draws struct {
	n        uint64
	most     int // numbers per 64 bits
	fraction uint64
	left     int
}

func newDraws(n int) draws {
	d := draws{n: uint64(n), most: 1}
	for power := d.n * d.n; n > 1 && power <= 1<<32; power *= d.n {
		d.most++
	}
	return d
}

func (d *draws) next(r *rand.Rand) int {
	if d.left == 0 {
		d.fraction, d.left = r.Uint64(), d.most
	}
	d.left--
	digit, rest := bits.Mul64(d.fraction, d.n)
	d.fraction = rest
	return int(digit)
}
