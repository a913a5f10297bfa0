package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Counts is a table of others that says how many seeds attained something.
type Counts struct {
	Source        string
	What          string // what is attained
	Over          string // what the rows are: "setting and game"
	Rows, Columns []string
	Seeds         [][][3]int // [row][column]: held it, had it at the end, of how many; −1 or 0 of 0 = not given
	Note          string     // a reservation that readers must know
}

// Attainment is a table of the seeds that attain something, made by Attained. It is a Report of the formats of Table.
type Attainment struct {
	runs   run.Runs
	metric string
	place  func(*run.Run) (row, column string)
	least  map[string]float64
	paper  *Counts
	shared bool
}

// Attained returns how many seeds attain a metric's mean of at least 1 over the episodes of their evaluations: in every
// evaluation of the last fifth of training ("held"), and in the final one. place names row and column of each run.
func Attained(runs run.Runs, metric string, place func(*run.Run) (row, column string)) Attainment {
	return Attainment{runs: runs, metric: metric, place: place}
}

// Least returns the table with a mean of each world's own to be attained in place of 1.
func (a Attainment) Least(world map[string]float64) Attainment { a.least = world; return a }

// Beside returns the table with that of others beside it, whose rows and columns come first.
func (a Attainment) Beside(paper Counts) Attainment { a.paper = &paper; return a }

// Shared returns the table without the rows of others of which there is no run of ours.
func (a Attainment) Shared() Attainment { a.shared = true; return a }

// Formats lists "html", "text", "md", "csv", "json" and "tex".
func (Attainment) Formats() []string { return tableFormats }

// Render reads the runs and writes the table.
func (a Attainment) Render(w io.Writer, format string) error { return renderTable(w, format, a.Table) }

// seedsOf counts what the runs of one cell attain; judged is the number of evaluations in the last fifth.
type seedsOf struct {
	held, end, seeds int
	judged           []int64
	steps            []int64
}

// String is as Counts are shown, with Wilson's interval of those that held.
func (s seedsOf) String() string {
	if slices.Max(s.judged) == 0 { // nobody looked
		return fmt.Sprintf("(%d/%d)", s.end, s.seeds)
	}
	in := stats.Wilson(s.held, s.seeds, 0.95)
	return fmt.Sprintf("%d/%d (%d/%d) [%.0f–%.0f %%]", s.held, s.seeds, s.end, s.seeds, 100*in.Low, 100*in.High)
}

func given(c [3]int) any {
	held, end := fmt.Sprintf("%d/%d", c[0], c[2]), fmt.Sprintf("(%d/%d)", c[1], c[2])
	switch {
	case c[2] <= 0 || c[0] < 0 && c[1] < 0:
		return nil
	case c[0] < 0:
		return end
	case c[1] < 0:
		return held
	}
	return held + " " + end
}

// count looks whether a run attains what its world asks for.
func (a Attainment) count(r *run.Run, into *seedsOf) error {
	least, ok := a.least[r.World]
	if !ok && a.least != nil {
		return fmt.Errorf("report: nothing says what %s has to attain on %s", a.metric, r.World)
	}
	if !ok {
		least = 1
	}
	final, err := r.Final("")
	if err != nil {
		return err
	}
	evals, err := r.Evaluations()
	if err != nil {
		return err
	}
	attains := func(e *run.Evaluation) (bool, error) {
		values := e.Values(a.metric)
		if len(values) == 0 {
			return false, fmt.Errorf("report: an evaluation of %s has no %q; it has %s", r.Dir, a.metric, strings.Join(e.Names(), ", "))
		}
		return stats.Mean(values) >= least-1e-6*math.Abs(least), nil
	}
	held, judged := true, int64(0)
	for i := range evals {
		e := &evals[i]
		if e.Cell != "" || e.Stream != "eval" || 5*e.Steps <= 4*final.Steps {
			continue
		}
		ok, err := attains(e)
		if err != nil {
			return err
		}
		held, judged = held && ok, judged+1
	}
	end, err := attains(final)
	if err != nil {
		return err
	}
	into.seeds++
	into.judged, into.steps = append(into.judged, judged), append(into.steps, final.Steps)
	if held && judged > 0 {
		into.held++
	}
	if end {
		into.end++
	}
	return nil
}

// Table reads the runs and returns the table.
func (a Attainment) Table() (Table, error) {
	list, err := a.runs.List()
	if err != nil {
		return Table{}, err
	}
	paper := Counts{Over: "setting"}
	if a.paper != nil {
		paper = *a.paper
		if err := paper.check(); err != nil {
			return Table{}, err
		}
	}
	rows, columns, found := slices.Clone(paper.Rows), slices.Clone(paper.Columns), map[[2]string]*seedsOf{}
	for _, r := range list {
		row, column := a.place(r)
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		at := [2]string{row, column}
		if found[at] == nil {
			found[at] = &seedsOf{}
		}
		if err := a.count(r, found[at]); err != nil {
			return Table{}, err
		}
	}
	t := Table{Header: []string{paper.Over}}
	if a.paper != nil {
		t.Groups = []Group{{"", 1}}
	}
	for _, c := range columns {
		if a.paper == nil {
			t.Header = append(t.Header, c)
			continue
		}
		t.Header, t.Groups = append(t.Header, "reference", "ours"), append(t.Groups, Group{c, 2})
	}
	for i, row := range rows {
		if a.shared && !slices.ContainsFunc(columns, func(c string) bool { return found[[2]string{row, c}] != nil }) {
			continue
		}
		cells := []any{row}
		for j, column := range columns {
			if a.paper != nil {
				var reference any
				if i < len(paper.Rows) && j < len(paper.Columns) {
					reference = given(paper.Seeds[i][j])
				}
				cells = append(cells, reference)
			}
			if s := found[[2]string{row, column}]; s != nil {
				cells = append(cells, s.String())
			} else {
				cells = append(cells, nil)
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	t.Caption = strings.Join(strings.Fields(a.caption(paper, found)), " ")
	return t, nil
}

func (a Attainment) caption(paper Counts, found map[[2]string]*seedsOf) string {
	var seeds, judged, steps []int64
	for _, s := range found {
		seeds, judged, steps = append(seeds, int64(s.seeds)), append(judged, s.judged...), append(steps, s.steps...)
	}
	what := paper.What
	if what == "" {
		what = words(a.metric)
	}
	text := fmt.Sprintf("%s Seeds that held it in every greedy evaluation of the last fifth of training, in brackets those that had it at the end", sentence(what))
	text += ", and the 95 % interval (Wilson) of the share that held it. Ours: " + between(seeds, "seed") + " an entry, " + between(judged, "evaluation") +
		" in the last fifth, " + between(steps, "joint step") + " trained."
	if a.paper != nil {
		text += " Reference: " + strings.TrimSuffix(paper.Source, ".") + ". " + sentence(paper.Note)
	}
	return text
}

func (c *Counts) check() error {
	if len(c.Seeds) != len(c.Rows) {
		return fmt.Errorf("report: %s has %d rows of counts and %d names", c.Source, len(c.Seeds), len(c.Rows))
	}
	for i, row := range c.Seeds {
		if len(row) != len(c.Columns) {
			return fmt.Errorf("report: row %q of %s has %d counts for %d columns", c.Rows[i], c.Source, len(row), len(c.Columns))
		}
	}
	return nil
}
