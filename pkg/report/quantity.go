package report

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Quantity is what a row of a table counts in the final evaluation of a run.
type Quantity struct {
	Name  string
	Needs []string // metrics that Value reads; a run without them is an error
	Value func(e *run.Evaluation) float64
	when  moment
	mixed bool // averages parts of different moments, which is an error
}

// moment says which evaluation of a run: the final one, or one during training after so many joint steps.
type moment struct {
	during bool
	steps  int64
}

// At returns the quantity of an evaluation during training, after so many joint steps, in place of the final one.
func (q Quantity) At(steps int64) Quantity { q.when = moment{true, steps}; return q }

// MeanOf is the mean of a metric over the episodes: "return", "win_rate", or what the world counts.
func MeanOf(name, metric string) Quantity {
	return Quantity{Name: name, Needs: []string{metric}, Value: func(e *run.Evaluation) float64 { return stats.Mean(e.Values(metric)) }}
}

// Percent is 100 · Σ part / Σ whole over the episodes, as delivered of generated orders; NaN where whole is 0.
func Percent(name, part, whole string) Quantity {
	return Quantity{Name: name, Needs: []string{part, whole}, Value: func(e *run.Evaluation) float64 {
		return 100 * sum(e.Values(part)) / sum(e.Values(whole))
	}}
}

// Average is the mean of other quantities of one evaluation, those without a value left out.
func Average(name string, of ...Quantity) Quantity {
	q := Quantity{Name: name}
	for _, o := range of {
		q.Needs, q.when = append(q.Needs, o.Needs...), o.when
		q.mixed = q.mixed || o.mixed || o.when != of[0].when
	}
	q.Value = func(e *run.Evaluation) float64 {
		var values []float64
		for _, o := range of {
			if v := o.Value(e); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		return stats.Mean(values)
	}
	return q
}

func sum(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

const tableResamples = 2000 // of runs, for intervals in tables

// column is one setting's evaluations, one per run: the final ones, and those that quantities name with At.
type column struct {
	name  string
	evals map[moment][]*run.Evaluation
}

func (c column) final() []*run.Evaluation { return c.evals[moment{}] }

// readColumns puts the evaluations of a cell under the settings that place gives, and checks that they have what the
// quantities need.
func readColumns(runs run.Runs, place func(*run.Run) string, cell string, quantities []Quantity) ([]column, error) {
	list, err := runs.List()
	if err != nil {
		return nil, err
	}
	if len(quantities) == 0 {
		return nil, fmt.Errorf(`report: a table without quantities, want some such as report.MeanOf("return", "return")`)
	}
	var columns []column
	for _, g := range grouped(list, place) {
		c := column{g.label, map[moment][]*run.Evaluation{}}
		for _, r := range g.runs {
			if r.World != g.runs[0].World {
				return nil, fmt.Errorf("report: column %q would mix %s on %s and %s on %s: give each environment a column of its own",
					g.label, g.runs[0].Method, g.runs[0].World, r.Method, r.World)
			}
			found := map[moment]*run.Evaluation{}
			if found[moment{}], err = r.Final(cell); err != nil {
				return nil, err
			}
			for _, q := range quantities {
				if q.mixed {
					return nil, fmt.Errorf("report: %q averages quantities of different evaluations, want one: put At on the average", q.Name)
				}
				if found[q.when] == nil {
					if found[q.when], err = evaluatedAt(r, cell, q.when.steps); err != nil {
						return nil, err
					}
				}
				for _, need := range q.Needs {
					if e := found[q.when]; len(e.Values(need)) == 0 {
						return nil, fmt.Errorf("report: the %s evaluation of %s has no %q, which %q needs; it has %s",
							e.Stream, r.Dir, need, q.Name, strings.Join(e.Names(), ", "))
					}
				}
			}
			for when, e := range found {
				c.evals[when] = append(c.evals[when], e)
			}
		}
		columns = append(columns, c)
	}
	return columns, nil
}

// evaluatedAt is the evaluation during training after so many steps.
func evaluatedAt(r *run.Run, cell string, steps int64) (*run.Evaluation, error) {
	list, err := r.Evaluations()
	if err != nil {
		return nil, err
	}
	near := map[bool]int64{} // the last steps below, and the first above
	for i := range list {
		e := &list[i]
		if e.Stream == "final" || e.Cell != cell {
			continue
		}
		if e.Steps == steps {
			return e, nil
		}
		above := e.Steps > steps
		if at, found := near[above]; !found || above == (e.Steps < at) {
			near[above] = e.Steps
		}
	}
	var nearest []string
	for _, above := range []bool{false, true} {
		if at, found := near[above]; found {
			nearest = append(nearest, Thousands(at))
		}
	}
	if nearest == nil {
		return nil, fmt.Errorf("report: %s has no evaluation after %s steps, and none during training at all", r.Dir, Thousands(steps))
	}
	return nil, fmt.Errorf("report: %s has no evaluation after %s steps; the nearest: %s", r.Dir, Thousands(steps), strings.Join(nearest, " and "))
}

// estimates returns each quantity of a column with its 95 % interval: of the mean over runs where there are
// several, else over the episodes of the only run.
func (c column) estimates(quantities []Quantity) ([]Estimate, error) {
	out := make([]Estimate, len(quantities))
	if len(c.final()) == 1 {
		for when, evals := range c.evals {
			overEpisodes(evals[0], when, quantities, out)
		}
		return out, nil
	}
	for i, q := range quantities {
		var values []float64
		for _, e := range c.evals[q.when] {
			if v := q.Value(e); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			out[i].Value = math.NaN()
			continue
		}
		if len(values) == 1 { // the other runs have no value
			out[i] = Estimate{values[0], orNaN(stats.Interval{}, false)}
			continue
		}
		interval, err := stats.Column(values).Bootstrap(stats.AggregateMean(), tableResamples, 0.95, rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			return nil, err
		}
		out[i] = Estimate{stats.Mean(values), interval}
	}
	return out, nil
}

// overEpisodes estimates those quantities that count in e. It resamples whole episodes, so that ratios keep numerator and
// denominator together.
func overEpisodes(e *run.Evaluation, when moment, quantities []Quantity, out []Estimate) {
	r := rand.New(rand.NewPCG(1, 1))
	found := make([][]float64, len(quantities))
	for range tableResamples / 2 {
		again := resampled(e, r)
		for i, q := range quantities {
			if q.when != when {
				continue
			}
			if v := q.Value(again); !math.IsNaN(v) {
				found[i] = append(found[i], v)
			}
		}
	}
	for i, q := range quantities {
		if q.when == when {
			slices.Sort(found[i])
			out[i] = Estimate{q.Value(e), stats.Interval{Low: stats.Quantile(0.025, found[i]), High: stats.Quantile(0.975, found[i])}}
		}
	}
}

// resampled is an evaluation of as many episodes, drawn from those of e with replacement. Outcomes, which are
// stored as counts, are drawn for themselves.
func resampled(e *run.Evaluation, r *rand.Rand) *run.Evaluation {
	out := *e
	drawn := make([]int, e.Episodes)
	for i := range drawn {
		drawn[i] = r.IntN(e.Episodes)
	}
	pick := func(x []float64) []float64 {
		if len(x) != e.Episodes {
			return x
		}
		y := make([]float64, len(x))
		for i, d := range drawn {
			y[i] = x[d]
		}
		return y
	}
	out.Returns = pick(e.Returns)
	out.Metrics = make(map[string][]float64, len(e.Metrics))
	for k, x := range e.Metrics {
		out.Metrics[k] = pick(x)
	}
	if len(e.Lengths) == e.Episodes {
		out.Lengths = make([]int, e.Episodes)
		for i, d := range drawn {
			out.Lengths[i] = e.Lengths[d]
		}
	}
	var outcomes []string
	for _, name := range slices.Sorted(maps.Keys(e.Outcomes)) {
		for range e.Outcomes[name] {
			outcomes = append(outcomes, name)
		}
	}
	if len(outcomes) == e.Episodes {
		out.Outcomes = map[string]int{}
		for range outcomes {
			out.Outcomes[outcomes[r.IntN(len(outcomes))]]++
		}
	}
	return &out
}
