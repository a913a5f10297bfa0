package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Ablation returns a table of what each variant changes: for the method `base` and all others of a board, the interquartile
// mean over seeds and worlds, its difference from base, and the probability that a run of the variant beats one of base, with 95 %
// stratified bootstrap intervals. † marks differences whose interval holds 0.
func Ablation(b Board, base string) ScoreTable {
	return ScoreTable{func() (Table, error) {
		d, err := b.data()
		if err != nil {
			return Table{}, err
		}
		at := slices.Index(d.methods, base)
		if at < 0 {
			return Table{}, fmt.Errorf("report: an ablation of %q, which no run is; there are %s", base, strings.Join(d.methods, ", "))
		}
		t := Table{Header: []string{"method", "IQM", "difference", "P(better than " + base + ")", "seeds"}}
		order := append([]int{at}, slices.DeleteFunc(indices(len(d.methods)), func(m int) bool { return m == at })...)
		open := false
		for _, m := range order {
			in, ok, err := d.interval(m, stats.AggregateIQM(), aggregateResamples)
			if err != nil {
				return Table{}, err
			}
			iqm := stats.AggregateIQM().Of(d.scores[m].Values)
			row := []any{d.methods[m], Estimate{iqm, orNaN(in, ok)}, nil, nil, len(d.scores[m].Values)}
			if m != at {
				p, err := stats.Improvement(d.scores[m], d.scores[at])
				if err != nil {
					return Table{}, fmt.Errorf("report: %w", err)
				}
				none := orNaN(stats.Interval{}, false)
				difference := marked{cell: Estimate{iqm - stats.AggregateIQM().Of(d.scores[at].Values), none}}
				row[3] = Estimate{p, none}
				if ok && len(d.scores[at].Values) > 1 {
					if in, err = stats.DifferenceInterval(d.scores[m], d.scores[at], stats.AggregateIQM(), aggregateResamples, 0.95, again()); err != nil {
						return Table{}, fmt.Errorf("report: %w", err)
					}
					difference.cell = Estimate{difference.cell.(Estimate).Value, in}
					if in.Low <= 0 && in.High >= 0 {
						difference.sign, open = "†", true
					}
					if in, err = stats.ImprovementInterval(d.scores[m], d.scores[at], curvesResamples, 0.95, again()); err != nil {
						return Table{}, fmt.Errorf("report: %w", err)
					}
					row[3] = Estimate{p, in}
				}
				row[2] = difference
			}
			t.Rows = append(t.Rows, row)
		}
		t.Caption = d.caption("Ablation: interquartile mean over seeds and worlds, and its difference from " + base + ", with 95 % stratified bootstrap intervals.")
		if open {
			t.Caption += " †: the interval of the difference holds 0."
		}
		return t, nil
	}}
}

func indices(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// TimeTo returns a table of the joint steps that runs need until a metric first attains a threshold, by method (and world, where
// there are several). Runs that never do are censored at their last step, not left out: the median is that of Kaplan and
// Meier (1958) with the interval of Brookmeyer and Crowley (1982).
func TimeTo(runs run.Runs, metric string, threshold float64) ScoreTable {
	return ScoreTable{func() (Table, error) {
		list, err := runs.List()
		if err != nil {
			return Table{}, err
		}
		t := Table{Header: []string{"method", "seeds", "reached", "median joint steps"}}
		var steps []int64
		for _, g := range grouped(list, nil) {
			if err := g.read([]string{metric}, Steps); err != nil {
				return Table{}, err
			}
			var times []stats.Time
			reached := 0
			for _, s := range g.logged[0] {
				at, err := s.Reached(threshold)
				if err != nil {
					return Table{}, fmt.Errorf("report: %w", err)
				}
				if !at.Censored {
					reached++
				}
				times = append(times, at)
			}
			steps = append(steps, g.steps...)
			curve, err := stats.KaplanMeier(times)
			if err != nil {
				return Table{}, fmt.Errorf("report: %w", err)
			}
			median := Estimate{math.Round(curve.Median()), orNaN(stats.Interval{}, false)}
			if in := curve.MedianInterval(0.95); len(times) > 1 && !math.IsInf(in.Low, 1) {
				median.Interval = stats.Interval{Low: math.Round(in.Low), High: math.Round(in.High)}
			}
			t.Rows = append(t.Rows, []any{g.label, len(g.runs), reached, median})
		}
		t.Caption = fmt.Sprintf("Joint steps until %s first attains %s: median over seeds after Kaplan and Meier, with 95 %% interval; runs that have not (trained for %s) count as later. ∞ as median: fewer than half of the seeds got there; as an upper end: too few seeds for one.",
			words(metric), number(threshold), between(steps, "joint step"))
		return t, nil
	}}
}
