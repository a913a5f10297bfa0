package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Place says where a cell of a run's final evaluation stands in a table; cell "" is the world that the run was trained
// on. With the column "" it stands nowhere. Where several cells of a method fall on one place, the best of them counts.
type Place func(method, world, cell string) (row, column string)

// At returns the table with all cells of the final evaluations, each where place says. Where a method has several rows
// (numbers of leaders, say), the best of them in each column is bold if its interval overlaps with none of the others';
// else it is marked ‡, and those it cannot be told from †.
func (t RateTable) At(place Place) RateTable { t.place = place; return t }

// Against returns the table with a paper's win rates, as shares, beside ours: the paper's mean ± standard deviation, our
// rate with its interval, and the difference. Rows that the paper does not have follow its own.
func (t RateTable) Against(paper Published) RateTable { t.paper = &paper; return t }

// Note returns the table with a reservation at the end of its caption, such as that our networks are smaller.
func (t RateTable) Note(text string) RateTable { t.note = text; return t }

// spot is a place of a table: a method's win rates there, of each cell that falls on it.
type spot struct {
	owner string // method, and world of training
	cells []*cellWins
	best  *cellWins
}

type cellWins struct {
	wins
	cell string
}

// of returns the wins of a cell, none at first.
func (s *spot) of(cell string) *cellWins {
	for _, c := range s.cells {
		if c.cell == cell {
			return c
		}
	}
	c := &cellWins{cell: cell}
	s.cells = append(s.cells, c)
	return c
}

// spots are all places of a table, by row and column.
type spots struct {
	rows, columns          []string
	at                     map[[2]string]*spot
	seeds, episodes, steps []int64
	least, most            float64 // pooled binomial errors
	chosen, clear, tie     bool    // a best of several cells, a bold one, a ‡ is shown
}

func (t RateTable) placed() (Table, error) {
	s, err := t.readSpots()
	if err != nil {
		return Table{}, err
	}
	out := Table{Header: []string{"method"}, Decimals: 1}
	scale := 100.0
	if t.paper != nil {
		scale, out.Decimals, out.Header[0], out.Groups = 1, 3, t.paper.Over, []Group{{"", 1}}
	}
	for _, c := range s.columns {
		if t.paper == nil {
			out.Header = append(out.Header, c)
			continue
		}
		out.Header, out.Groups = append(out.Header, "paper", "ours [95 %]", "difference"), append(out.Groups, Group{c, 3})
	}
	for _, r := range s.rows {
		row := []any{r}
		for _, c := range s.columns {
			ours, value := s.cell(r, c, scale)
			if t.paper == nil {
				row = append(row, ours)
				continue
			}
			var theirs any
			difference := signed(math.NaN())
			if i, j := slices.Index(t.paper.Rows, r), slices.Index(t.paper.Columns, c); i >= 0 {
				theirs, difference = t.paper.cell(i, j), signed(value-t.paper.Values[i][j])
			}
			row = append(row, theirs, ours, difference)
		}
		out.Rows = append(out.Rows, row)
	}
	out.Caption = t.caption(s)
	return out, nil
}

// readSpots puts all final evaluations in their places.
func (t RateTable) readSpots() (*spots, error) {
	list, err := t.runs.List()
	if err != nil {
		return nil, err
	}
	s := &spots{at: map[[2]string]*spot{}}
	if t.paper != nil {
		if err := t.paper.check(); err != nil {
			return nil, err
		}
		s.rows, s.columns = slices.Clone(t.paper.Rows), slices.Clone(t.paper.Columns)
	}
	for _, r := range list {
		if err := t.add(s, r); err != nil {
			return nil, err
		}
	}
	for _, one := range s.at {
		for _, w := range one.cells {
			if w.rate, w.interval, err = stats.Clustered(w.won, w.episodes, 0.95); err != nil {
				return nil, fmt.Errorf("report: %w", err)
			}
			if one.best == nil || w.rate > one.best.rate {
				one.best = w
			}
			s.seeds = append(s.seeds, int64(len(w.won)))
			s.most = max(s.most, w.binomial())
			if len(s.seeds) == 1 || w.binomial() < s.least {
				s.least = w.binomial()
			}
		}
		s.chosen = s.chosen || len(one.cells) > 1
	}
	return s, nil
}

// add puts one run's final evaluations in their places.
func (t RateTable) add(s *spots, r *run.Run) error {
	finals, err := r.Finals()
	if err != nil {
		return err
	}
	if len(finals) == 0 {
		_, err := r.Final("") // says that there is none
		return err
	}
	method, anywhere := r.Method, false
	if t.by != nil {
		method = t.by(r)
	}
	for _, e := range finals {
		row, column := t.place(method, r.World, e.Cell)
		if column == "" {
			continue
		}
		anywhere = true
		if t.paper != nil && !slices.Contains(t.paper.Columns, column) {
			return fmt.Errorf("report: cell %q of %s is placed under %q, %s has %s", e.Cell, r.Dir, column, t.paper.Source, strings.Join(t.paper.Columns, ", "))
		}
		won, n, err := winsOf(r, e)
		if err != nil {
			return err
		}
		owner, at := method+" on "+r.World, [2]string{row, column}
		one := s.at[at]
		switch {
		case one == nil:
			one = &spot{owner: owner}
			s.at[at] = one
		case one.owner != owner:
			return fmt.Errorf("report: row %q would mix %s and %s: give each a row of its own, or leave runs out of the pattern", row, one.owner, owner)
		}
		w := one.of(e.Cell)
		w.won, w.episodes = append(w.won, won), append(w.episodes, n)
		s.episodes, s.steps = append(s.episodes, int64(n)), append(s.steps, e.Steps)
		if !slices.Contains(s.rows, row) {
			s.rows = append(s.rows, row)
		}
		if !slices.Contains(s.columns, column) {
			s.columns = append(s.columns, column)
		}
	}
	if !anywhere {
		return fmt.Errorf("report: %s (%s on %s) stands nowhere in the table: leave it out of the pattern, or give it a place", r.Dir, method, r.World)
	}
	return nil
}

// cell is what is shown at a place, and its rate: of the best of its cells, marked where its method has other rows.
func (s *spots) cell(row, column string, scale float64) (shown any, value float64) {
	one := s.at[[2]string{row, column}]
	if one == nil {
		return nil, math.NaN()
	}
	w := one.best
	in := stats.Interval{Low: scale * w.interval.Low, High: scale * w.interval.High}
	m := marked{cell: rate{Estimate{scale * w.rate, in}, scale * w.deviation(), scale * w.binomial(), w.cell}}
	var rows []*cellWins // of the same method in this column
	for _, r := range s.rows {
		if other := s.at[[2]string{r, column}]; other != nil && other.owner == one.owner {
			rows = append(rows, other.best)
		}
	}
	top := slices.MaxFunc(rows, func(a, b *cellWins) int { return cmp.Compare(a.rate, b.rate) })
	overlaps := 0
	for _, o := range rows {
		if o != top && o.interval.High >= top.interval.Low {
			overlaps++
		}
	}
	switch {
	case len(rows) == 1:
	case w == top && overlaps == 0:
		m.bold, s.clear = true, true
	case w == top:
		m.sign, s.tie = "‡", true
	case w.interval.High >= top.interval.Low:
		m.sign = "†"
	}
	if len(one.cells) > 1 {
		m.sign += " (" + w.cell + ")"
	}
	return m, w.rate
}

// caption says how ours were counted, and what the marks mean. The cells have been shown before.
func (t RateTable) caption(s *spots) string {
	unit := "Win rate in percent."
	if t.paper != nil {
		unit = fmt.Sprintf("%s Paper: %s. %s Difference: ours less the paper's. Ours:", sentence(t.paper.What), t.paper.Source, sentence(t.paper.Note))
	}
	text := fmt.Sprintf("%s %s per cell, %s per seed and cell, %s trained; 95 %% intervals are Wilson's, widened by how much seeds differ; the binomial error of a cell's pooled episodes is %.3f to %.3f.",
		unit, between(s.seeds, "seed"), between(s.episodes, "episode"), between(s.steps, "joint step"), s.least, s.most)
	if slices.Max(s.seeds) == 1 {
		text += " One seed: the interval says nothing about other seeds."
	}
	if s.chosen {
		text += " In brackets: the cell that was best, where several fall on one place; chosen on the same episodes, so its rate is somewhat too high."
	}
	if s.clear {
		text += " Bold (in text *): the best of its method's rows in the column, where its interval overlaps with none of theirs."
	}
	if s.tie {
		text += " ‡: the best of its method's rows in the column; †: it cannot be told from this one."
	}
	return strings.Join(strings.Fields(text+" "+sentence(t.note)), " ")
}

// binomial is the standard error of the rate if all episodes of all seeds were independent and alike.
func (w *wins) binomial() float64 {
	n := 0
	for _, k := range w.episodes {
		n += k
	}
	return math.Sqrt(w.rate * (1 - w.rate) / float64(n))
}

// deviation is the standard deviation between seeds; NaN of one seed.
func (w *wins) deviation() float64 {
	if len(w.won) < 2 {
		return math.NaN()
	}
	rates := make([]float64, len(w.won))
	for i := range rates {
		rates[i] = float64(w.won[i]) / float64(w.episodes[i])
	}
	mean, squares := stats.Mean(rates), 0.0
	for _, x := range rates {
		squares += (x - mean) * (x - mean)
	}
	return math.Sqrt(squares / float64(len(rates)-1))
}
