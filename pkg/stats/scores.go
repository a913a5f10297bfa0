package stats

import (
	"fmt"
	"math"
	"slices"
)

// Scores are one number per run and task: the higher, the better.
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

// Validate says what is wrong with the scores: they must be a full matrix of numbers. A run that diverged is not left
// out silently: whoever builds the scores decides what it is worth.
func (s Scores) Validate() error {
	if len(s.Values) == 0 || len(s.Values[0]) == 0 {
		return fmt.Errorf("stats: no scores, want at least one run and one task")
	}
	if s.Runs != nil && len(s.Runs) != len(s.Values) {
		return fmt.Errorf("stats: %d names for %d runs", len(s.Runs), len(s.Values))
	}
	for i, row := range s.Values {
		if len(row) != len(s.Values[0]) {
			return fmt.Errorf("stats: run %d has %d tasks, run 0 has %d: scores must be a full matrix", i, len(row), len(s.Values[0]))
		}
	}
	if s.Tasks != nil && len(s.Tasks) != len(s.Values[0]) {
		return fmt.Errorf("stats: %d names for %d tasks", len(s.Tasks), len(s.Values[0]))
	}
	for i, row := range s.Values {
		for t, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("stats: run %s has the score %v on task %s, want a number", s.name(s.Runs, i), v, s.name(s.Tasks, t))
			}
		}
	}
	return nil
}

// name is that of an axis at i, or i itself.
func (Scores) name(axis []string, i int) string {
	if axis == nil {
		return fmt.Sprint(i)
	}
	return axis[i]
}

// columns returns the scores of each task over the runs.
func (s Scores) columns() [][]float64 {
	out := make([][]float64, len(s.Values[0]))
	for t := range out {
		out[t] = make([]float64, len(s.Values))
		for i, row := range s.Values {
			out[t][i] = row[t]
		}
	}
	return out
}

// Normalised returns the scores as (score − low) / (high − low) of their task: 0 is low (say, what random actions
// get), 1 is high (what an expert or the best method gets). low and high have one value per task.
func (s Scores) Normalised(low, high []float64) (Scores, error) {
	if err := s.Validate(); err != nil {
		return Scores{}, err
	}
	if n := len(s.Values[0]); len(low) != n || len(high) != n {
		return Scores{}, fmt.Errorf("stats: %d low and %d high values for %d tasks", len(low), len(high), n)
	}
	out := Scores{s.Runs, s.Tasks, make([][]float64, len(s.Values))}
	for i, row := range s.Values {
		out.Values[i] = make([]float64, len(row))
		for t, v := range row {
			if high[t] == low[t] {
				return Scores{}, fmt.Errorf("stats: task %s goes from %v to %v: nothing to divide by", s.name(s.Tasks, t), low[t], high[t])
			}
			out.Values[i][t] = (v - low[t]) / (high[t] - low[t])
		}
	}
	return out, nil
}

// Statistic turns scores into one number: one of AggregateIQM, AggregateMedian, AggregateMean, OptimalityGap and
// ShareAbove, or Flat and Statistic{…} for one of your own.
type Statistic struct {
	Name string
	Of   func(values [][]float64) float64 // of [run][task]; keeps and changes nothing
	// ranked finds the same from all values in rising order and how often each was drawn, as many in all as there are
	// values; nil = not possible. It spares the bootstrap a sort for each resample.
	ranked func(sorted []float64, counts []int32) float64
}

// Flat returns the statistic f of all values together, whatever their run and task. The result keeps a buffer and
// serves one goroutine.
func Flat(name string, f func(x []float64) float64) Statistic {
	var all []float64
	return Statistic{Name: name, Of: func(values [][]float64) float64 {
		all = all[:0]
		for _, row := range values {
			all = append(all, row...)
		}
		return f(all)
	}}
}

// AggregateIQM is the interquartile mean of all scores together (Agarwal et al. 2021, section 4.3): the mean without the
// lowest and the highest quarter. It ignores outliers, unlike the mean, and half of the scores count, unlike in the median.
func AggregateIQM() Statistic {
	s := Flat("IQM", IQM)
	s.ranked = func(sorted []float64, counts []int32) float64 {
		n := int32(len(sorted))
		cut := n / 4
		return countedMean(sorted, counts, cut, n-cut)
	}
	return s
}

// countedMean is the mean of the drawn values from place `from` up to `to` in rising order.
func countedMean(sorted []float64, counts []int32, from, to int32) float64 {
	sum, seen, i := 0.0, int32(0), 0
	for ; seen+counts[i] <= from; i++ {
		seen += counts[i]
	}
	sum = float64(min(seen+counts[i], to)-from) * sorted[i]
	for seen += counts[i]; seen < to; {
		i++
		c := min(counts[i], to-seen)
		sum += float64(c) * sorted[i]
		seen += c
	}
	return sum / float64(to-from)
}

// AggregateMean is the mean of all scores.
func AggregateMean() Statistic {
	s := Flat("Mean", Mean)
	s.ranked = func(sorted []float64, counts []int32) float64 {
		sum := 0.0
		for i, c := range counts {
			sum += float64(c) * sorted[i]
		}
		return sum / float64(len(sorted))
	}
	return s
}

// AggregateMedian is the median over tasks of the mean over runs, as papers on Atari report it. With few tasks it rests on
// one or two of them.
func AggregateMedian() Statistic {
	var means []float64
	return Statistic{Name: "Median", Of: func(values [][]float64) float64 {
		means = append(means[:0], values[0]...)
		for _, row := range values[1:] {
			for t, v := range row {
				means[t] += v
			}
		}
		slices.Sort(means)
		return Quantile(0.5, means) / float64(len(values))
	}}
}

// OptimalityGap is the mean amount by which scores miss gamma, gamma − mean(min(score, gamma)): 0 is best, and more than
// gamma on one task does not make up for less on another (Agarwal et al. 2021, section 4.3; there gamma = 1).
func OptimalityGap(gamma float64) Statistic {
	s := Flat("Optimality gap", func(x []float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += min(v, gamma)
		}
		return gamma - sum/float64(len(x))
	})
	s.ranked = func(sorted []float64, counts []int32) float64 {
		sum := 0.0
		for i, c := range counts {
			sum += float64(c) * min(sorted[i], gamma)
		}
		return gamma - sum/float64(len(sorted))
	}
	return s
}

// ShareAbove is the share of scores greater than tau: one point of a performance profile.
func ShareAbove(tau float64) Statistic {
	s := Flat(fmt.Sprintf("share above %g", tau), func(x []float64) float64 {
		n := 0
		for _, v := range x {
			if v > tau {
				n++
			}
		}
		return float64(n) / float64(len(x))
	})
	s.ranked = func(sorted []float64, counts []int32) float64 {
		above := int32(0)
		for i, c := range counts {
			if sorted[i] > tau {
				above += c
			}
		}
		return float64(above) / float64(len(sorted))
	}
	return s
}
