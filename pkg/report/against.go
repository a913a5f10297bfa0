package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
)

// Published is a table of a paper.
type Published struct {
	Source  string      // "Bozanta et al. 2022, Table 2"
	What    string      // what is counted, with its unit: "completion rate, %"
	Over    string      // what the rows are: "restaurant"
	Rows    []string    // quantities
	Columns []string    // settings
	Values  [][]float64 // [row][column]; NaN = not given
	Note    string      // a reservation that readers must know
	Spread  [][]float64 // [row][column] standard deviation over runs; nil or NaN = not given
}

// Comparison is a table of final evaluations, made by Results or Against. It is a Report of the formats of Table.
type Comparison struct {
	paper      *Published
	runs       run.Runs
	place      func(*run.Run) string
	quantities []Quantity
	what, cell string
	apart      string
	called     string
	decimals   int
}

// Results returns the final evaluations of runs: a row per quantity, a column per setting, which place names for
// each run (nil: its method, and its world where there are several). Runs of one setting are its seeds.
func Results(what string, runs run.Runs, place func(*run.Run) string, quantities ...Quantity) Comparison {
	return Comparison{what: what, runs: runs, place: place, quantities: quantities, called: "paper", decimals: 2}
}

// Against returns a paper's table beside ours: per setting the paper's number, our mean with its 95 % interval,
// and the difference. place names for each run the paper's column that it repeats, and a quantity's name is the
// paper's row.
func Against(paper Published, runs run.Runs, place func(*run.Run) string, quantities ...Quantity) Comparison {
	c := Results(paper.What, runs, place, quantities...)
	c.paper = &paper
	return c
}

// Apart returns the comparison as two blocks without differences, for a task of ours that is not the paper's;
// how says in what it differs. Our rows and settings then have names of their own.
func (c Comparison) Apart(how string) Comparison { c.apart = how; return c }

// Called returns the comparison with another word than "paper" for what stands beside ours, such as "reference" for
// numbers that others have measured.
func (c Comparison) Called(name string) Comparison { c.called = name; return c }

// Cell returns the comparison of another cell of the evaluations; "" is the world of training.
func (c Comparison) Cell(name string) Comparison { c.cell = name; return c }

// Decimals returns the comparison with n decimals; 2 is the default, 0 means four significant digits.
func (c Comparison) Decimals(n int) Comparison { c.decimals = n; return c }

// Formats lists "html", "text", "md", "csv", "json" and "tex".
func (Comparison) Formats() []string { return tableFormats }

// Render writes the comparison as a table.
func (c Comparison) Render(w io.Writer, format string) error { return renderTable(w, format, c.Table) }

// Table reads the runs and returns the comparison as a table.
func (c Comparison) Table() (Table, error) {
	columns, err := readColumns(c.runs, c.place, c.cell, c.quantities)
	if err != nil {
		return Table{}, err
	}
	if c.paper != nil {
		if err := c.paper.check(); err != nil {
			return Table{}, err
		}
	}
	found := make(map[string][]Estimate, len(columns))
	for _, col := range columns {
		if found[col.name], err = col.estimates(c.quantities); err != nil {
			return Table{}, err
		}
	}
	t := Table{Decimals: c.decimals}
	switch {
	case c.paper == nil:
		t.Header, t.Rows = c.ours("quantity", columns, found)
		t.Caption = sentence(c.what) + " " + howCounted(columns)
	case c.apart != "":
		c.blocks(&t, columns, found)
		t.Caption = fmt.Sprintf("%s Left: %s. Right: ours, where the task differs: %s; so there are no differences. %s %s",
			sentence(c.what), c.paper.Source, strings.TrimSuffix(c.apart, "."), howCounted(columns), sentence(c.paper.Note))
	default:
		if err := c.joined(&t, columns, found); err != nil {
			return Table{}, err
		}
		t.Caption = fmt.Sprintf("%s %s: %s. %s Difference: ours less the %s's. %s",
			sentence(c.what), strings.TrimSuffix(sentence(c.called), "."), c.paper.Source, howCounted(columns), c.called, sentence(c.paper.Note))
	}
	t.Caption = strings.Join(strings.Fields(t.Caption), " ")
	return t, nil
}

func (p *Published) check() error {
	if len(p.Rows) == 0 {
		return fmt.Errorf("report: %s has no rows, want a table with some", p.Source)
	}
	tables := [][][]float64{p.Values}
	if p.Spread != nil {
		tables = append(tables, p.Spread)
	}
	for _, values := range tables {
		if len(values) != len(p.Rows) {
			return fmt.Errorf("report: %s has %d rows of values and %d names", p.Source, len(values), len(p.Rows))
		}
		for i, row := range values {
			if len(row) != len(p.Columns) {
				return fmt.Errorf("report: row %q of %s has %d values for %d columns", p.Rows[i], p.Source, len(row), len(p.Columns))
			}
		}
	}
	return nil
}

// cell is a number of the paper, with its spread where that is given.
func (p *Published) cell(row, column int) any {
	if p.Spread == nil {
		return p.Values[row][column]
	}
	return spread{p.Values[row][column], p.Spread[row][column]}
}

// ours is the block of our numbers alone.
func (c Comparison) ours(over string, columns []column, found map[string][]Estimate) (header []string, rows [][]any) {
	header = []string{over}
	for _, col := range columns {
		header = append(header, col.name)
	}
	for i, q := range c.quantities {
		row := []any{q.Name}
		for _, col := range columns {
			row = append(row, found[col.name][i])
		}
		rows = append(rows, row)
	}
	return header, rows
}

// blocks puts the paper's table and ours beside each other.
func (c Comparison) blocks(t *Table, columns []column, found map[string][]Estimate) {
	header, rows := c.ours(c.paper.Over, columns, found)
	t.Header = append(append([]string{c.paper.Over}, c.paper.Columns...), header...)
	t.Groups = []Group{{c.called, 1 + len(c.paper.Columns)}, {"ours: mean [95 % interval]", len(header)}}
	for i := range max(len(rows), len(c.paper.Rows)) {
		row := make([]any, 0, len(t.Header))
		if i < len(c.paper.Rows) {
			row = append(row, c.paper.Rows[i])
			for j := range c.paper.Columns {
				row = append(row, c.paper.cell(i, j))
			}
		}
		for len(row) < 1+len(c.paper.Columns) {
			row = append(row, "")
		}
		if i < len(rows) {
			row = append(row, rows[i]...)
		}
		for len(row) < len(t.Header) {
			row = append(row, "")
		}
		t.Rows = append(t.Rows, row)
	}
}

// joined puts paper, ours and difference under each setting.
func (c Comparison) joined(t *Table, columns []column, found map[string][]Estimate) error {
	for _, col := range columns {
		if !slices.Contains(c.paper.Columns, col.name) {
			return fmt.Errorf("report: a run is placed under %q, %s has %s", col.name, c.paper.Source, strings.Join(c.paper.Columns, ", "))
		}
	}
	quantity := map[string]int{}
	for i, q := range c.quantities {
		if !slices.Contains(c.paper.Rows, q.Name) {
			return fmt.Errorf("report: quantity %q is no row of %s, which has %s", q.Name, c.paper.Source, strings.Join(c.paper.Rows, ", "))
		}
		quantity[q.Name] = i
	}
	t.Header, t.Groups = []string{c.paper.Over}, []Group{{"", 1}}
	for _, name := range c.paper.Columns {
		t.Header = append(t.Header, c.called, "ours [95 %]", "difference")
		t.Groups = append(t.Groups, Group{name, 3})
	}
	for i, name := range c.paper.Rows {
		row := []any{name}
		for j, setting := range c.paper.Columns {
			ours := Estimate{Value: math.NaN()}
			if k, ok := quantity[name]; ok && found[setting] != nil {
				ours = found[setting][k]
			}
			row = append(row, c.paper.cell(i, j), ours, signed(ours.Value-c.paper.Values[i][j]))
		}
		t.Rows = append(t.Rows, row)
	}
	return nil
}

// howCounted says seeds, episodes, steps and the kind of interval.
func howCounted(columns []column) string {
	var seeds, episodes, steps, before []int64
	for _, c := range columns {
		seeds = append(seeds, int64(len(c.final())))
		for when, evals := range c.evals {
			for _, e := range evals {
				if when.during {
					before = append(before, int64(e.Episodes))
				} else {
					episodes, steps = append(episodes, int64(e.Episodes)), append(steps, e.Steps)
				}
			}
		}
	}
	interval := "95 % bootstrap interval of the mean over seeds"
	few, most := slices.Min(seeds), slices.Max(seeds)
	switch {
	case most == 1:
		interval = "95 % bootstrap interval over the episodes of the only seed, which says nothing about other seeds"
	case few == 1:
		interval += " (of a setting with one seed: over its episodes)"
	case most < enoughSeeds:
		interval += " (of so few it spans their range)"
	}
	during := ""
	if len(before) > 0 {
		during = ", before the end " + between(before, "episode")
	}
	return fmt.Sprintf("Ours: %s per setting, %s per seed and cell%s, %s trained; %s.",
		between(seeds, "seed"), between(episodes, "episode"), during, between(steps, "joint step"), interval)
}

// between says a count, or its range.
func between(n []int64, thing string) string {
	low, high := slices.Min(n), slices.Max(n)
	if low == high {
		return plural(int(low), thing)
	}
	return Thousands(low) + " to " + plural(int(high), thing)
}

// sentence ends a phrase with a full stop, begun in upper case.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}
