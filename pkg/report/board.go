package report

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Board holds the final scores of methods on the same worlds, one per method, world and seed; made by Scores.
type Board struct {
	runs   run.Runs
	metric string
	cell   string
	by     func(*run.Run) string
	bounds map[string][2]float64
	minMax bool
	once   func() (*boardData, error)
}

// Scores returns a board of a metric's mean over the episodes of each run's final evaluation: "return", "win_rate", or what
// the world counts. Higher must be better. Profiles, Aggregates, Improvements, Bars, Boxes and Ablation show it.
func Scores(runs run.Runs, metric string) Board {
	return Board{runs: runs, metric: metric, by: func(r *run.Run) string { return r.Method }}.fresh()
}

// By returns the board with methods named by label.
func (b Board) By(label func(*run.Run) string) Board { b.by = label; return b.fresh() }

// Cell returns the board of another cell of the evaluations; "" is the world of training.
func (b Board) Cell(name string) Board { b.cell = name; return b.fresh() }

// Between returns the board with scores as (score − low)/(high − low) for each world: bounds[world] are its low and high, as
// the scores of random actions and of an expert.
func (b Board) Between(bounds map[string][2]float64) Board {
	b.bounds, b.minMax = bounds, false
	return b.fresh()
}

// MinMax returns the board with the lowest score of any run on a world as 0 and the highest as 1, as marl-eval scales
// returns (Gorsane et al. 2022). Another set of methods then gives other numbers.
func (b Board) MinMax() Board { b.bounds, b.minMax = nil, true; return b.fresh() }

func (b Board) fresh() Board {
	settings := b
	b.once = sync.OnceValues(func() (*boardData, error) { return settings.read() })
	return b
}

// boardData is what a board holds. Methods and worlds are in the order of their runs.
type boardData struct {
	metric          string
	methods, worlds []string
	scores          []stats.Scores // [method], runs × worlds
	scaled          string         // how scores were made comparable between worlds; "" = they were not
	episodes, steps []int64
}

func (b Board) data() (*boardData, error) {
	if b.once == nil {
		return nil, fmt.Errorf("report: an empty board, want one from report.Scores")
	}
	return b.once()
}

// score is one run's.
type score struct {
	run   *run.Run
	value float64
}

func (b Board) read() (*boardData, error) {
	list, err := b.runs.List()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("report: no runs to compare, want at least one")
	}
	d := &boardData{metric: b.metric}
	evals := make([]*run.Evaluation, len(list))
	if err := together(len(list), func(i int) (err error) { evals[i], err = finalWith(list[i], b.cell, b.metric); return err }); err != nil {
		return nil, err
	}
	found := map[[2]string][]score{} // by method and world
	for i, r := range list {
		at := [2]string{b.by(r), r.World}
		if !slices.Contains(d.methods, at[0]) {
			d.methods = append(d.methods, at[0])
		}
		if !slices.Contains(d.worlds, at[1]) {
			d.worlds = append(d.worlds, at[1])
		}
		found[at] = append(found[at], score{r, stats.Mean(evals[i].Values(b.metric))})
		d.episodes, d.steps = append(d.episodes, int64(evals[i].Episodes)), append(d.steps, evals[i].Steps)
	}
	for _, m := range d.methods {
		s, err := d.matrix(m, found)
		if err != nil {
			return nil, err
		}
		d.scores = append(d.scores, s)
	}
	return d, b.scale(d)
}

// finalWith returns the final evaluation of a run that has the metric.
func finalWith(r *run.Run, cell, metric string) (*run.Evaluation, error) {
	e, err := r.Final(cell)
	if err != nil {
		return nil, err
	}
	if len(e.Values(metric)) == 0 {
		return nil, fmt.Errorf("report: the final evaluation of %s has no %q; it has %s", r.Dir, metric, strings.Join(e.Names(), ", "))
	}
	return e, nil
}

// matrix puts the scores of a method in order, and checks that it is a full matrix: the statistics need one.
func (d *boardData) matrix(method string, found map[[2]string][]score) (stats.Scores, error) {
	s := stats.Scores{Tasks: d.worlds}
	first := found[[2]string{method, d.worlds[0]}]
	for t, world := range d.worlds {
		list := found[[2]string{method, world}]
		if len(list) == 0 {
			return s, fmt.Errorf("report: %s has no run on %s, where others have: a comparison needs the same worlds for each method", method, world)
		}
		if len(list) != len(first) {
			return s, fmt.Errorf("report: %s has %s on %s and %s on %s, want as many: train what is missing, or leave runs out of the pattern",
				method, plural(len(first), "seed"), d.worlds[0], plural(len(list), "seed"), world)
		}
		for i, one := range list {
			if t == 0 {
				s.Runs, s.Values = append(s.Runs, strconv.FormatUint(one.run.Seed, 10)), append(s.Values, make([]float64, len(d.worlds)))
			}
			s.Values[i][t] = one.value
		}
	}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("report: %s of %s: %w", d.metric, method, err)
	}
	return s, nil
}

// scale makes scores of different worlds comparable, if the user has said how.
func (b Board) scale(d *boardData) error {
	low, high := make([]float64, len(d.worlds)), make([]float64, len(d.worlds))
	for t, world := range d.worlds {
		switch in, ok := b.bounds[world]; {
		case b.minMax:
			var e extent
			for _, s := range d.scores {
				for _, row := range s.Values {
					e.add(row[t])
				}
			}
			low[t], high[t] = e.low, e.high
			d.scaled = "Scores: 0 is the lowest of any run on a world, 1 the highest."
		case b.bounds == nil:
			return nil
		case !ok:
			return fmt.Errorf("report: no bounds for the scores on %s, want them for %s", world, strings.Join(d.worlds, ", "))
		default:
			low[t], high[t] = in[0], in[1]
			d.scaled = "Scores have a scale of their own for each world."
		}
	}
	if !b.minMax && len(slices.Compact(slices.Clone(low))) == 1 && len(slices.Compact(slices.Clone(high))) == 1 {
		d.scaled = fmt.Sprintf("Scores: %[1]s %[2]s is 0, %[1]s %[3]s is 1.", words(d.metric), number(low[0]), number(high[0]))
	}
	for m := range d.scores {
		var err error
		if d.scores[m], err = d.scores[m].Normalised(low, high); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// again is the generator of all resamples: the same figure has the same numbers, whenever it is made.
func again() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// caption says how many seeds, worlds, episodes and steps there are, and how scores were scaled.
func (d *boardData) caption(what string) string {
	var seeds []int64
	for _, s := range d.scores {
		seeds = append(seeds, int64(len(s.Values)))
	}
	worlds := d.worlds[0]
	if len(d.worlds) > 1 {
		worlds = plural(len(d.worlds), "world")
	}
	text := fmt.Sprintf("%s Final %s on %s, %s per method and world, %s per seed, %s trained. %s",
		what, words(d.metric), worlds, between(seeds, "seed"), between(d.episodes, "episode"), between(d.steps, "joint step"), d.scaled)
	switch few, most := slices.Min(seeds), slices.Max(seeds); {
	case most == 1:
		text += " One seed: no interval."
	case few == 1:
		text += " No interval for methods of one seed."
	case few < enoughSeeds:
		text += " Intervals of so few seeds are too short."
	}
	return strings.Join(strings.Fields(text), " ")
}

// interval is the stratified bootstrap interval of a method's statistic; ok is false of a single seed, which has none.
func (d *boardData) interval(method int, f stats.Statistic, resamples int) (in stats.Interval, ok bool, err error) {
	if len(d.scores[method].Values) < 2 {
		return in, false, nil
	}
	in, err = d.scores[method].Bootstrap(f, resamples, 0.95, again())
	return in, err == nil, err
}

// axis is what the numbers of scores are called.
func (d *boardData) axis() string {
	if d.scaled != "" {
		return "normalised " + words(d.metric)
	}
	return words(d.metric)
}
