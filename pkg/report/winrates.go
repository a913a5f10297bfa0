package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// ScoreTable is a table that is made when it is rendered: one of WinRates, Ablation, TimeTo and Payoffs.
type ScoreTable struct{ read func() (Table, error) }

// Formats lists "html", "text", "md", "csv", "json" and "tex".
func (ScoreTable) Formats() []string { return tableFormats }

// Table reads the runs and returns the table.
func (t ScoreTable) Table() (Table, error) {
	if t.read == nil {
		return Table{}, fmt.Errorf("report: an empty table, want one such as from report.WinRates")
	}
	return t.read()
}

// Caption says what is shown, of how many seeds, episodes and steps, and the kind of interval.
func (t ScoreTable) Caption() (string, error) {
	table, err := t.Table()
	return table.Caption, err
}

// Render reads the runs and writes the table.
func (t ScoreTable) Render(w io.Writer, format string) error { return renderTable(w, format, t.Table) }

// wins are those of one method on one world, by seed.
type wins struct {
	won, episodes []int
	rate          float64
	interval      stats.Interval
}

// RateTable is a table of win rates, made by WinRates. It reads its runs when it is rendered.
type RateTable struct {
	runs  run.Runs
	by    func(*run.Run) string
	place Place
	paper *Published
	note  string
}

// Formats lists "html", "text", "md", "csv", "json" and "tex".
func (RateTable) Formats() []string { return tableFormats }

// Caption says what is shown, of how many seeds, episodes and steps, and the kind of interval.
func (t RateTable) Caption() (string, error) { return ScoreTable{t.Table}.Caption() }

// Render reads the runs and writes the table.
func (t RateTable) Render(w io.Writer, format string) error {
	return ScoreTable{t.Table}.Render(w, format)
}

// Table reads the runs and returns the table.
func (t RateTable) Table() (Table, error) {
	switch {
	case t.place != nil:
		return t.placed()
	case t.paper != nil:
		return Table{}, fmt.Errorf("report: win rates beside %s without a place, want WinRates(…).At(…), which says where each cell stands", t.paper.Source)
	}
	return winRates(t.runs, t.by)
}

// WinRates returns the win rates of the final evaluations in percent, a row per method (or what by calls it; nil = its method) and
// a column per world, with 95 % intervals: Wilson's, with as many episodes as they are worth where seeds differ
// (stats.Clustered). The best of a column is bold only if its interval overlaps with no other; if it does, it and those
// it cannot be told from are marked †. At shows further cells of the evaluations, Against a paper's numbers.
func WinRates(runs run.Runs, by func(*run.Run) string) RateTable {
	return RateTable{runs: runs, by: by}
}

func winRates(runs run.Runs, by func(*run.Run) string) (Table, error) {
	list, err := runs.List()
	if err != nil {
		return Table{}, err
	}
	if by == nil {
		by = func(r *run.Run) string { return r.Method }
	}
	var methods, worlds []string
	var episodes, steps, seeds []int64
	found := map[[2]string]*wins{}
	for _, r := range list {
		e, err := r.Final("")
		if err != nil {
			return Table{}, err
		}
		won, n, err := winsOf(r, e)
		if err != nil {
			return Table{}, err
		}
		at := [2]string{by(r), r.World}
		if !slices.Contains(methods, at[0]) {
			methods = append(methods, at[0])
		}
		if !slices.Contains(worlds, at[1]) {
			worlds = append(worlds, at[1])
		}
		if found[at] == nil {
			found[at] = &wins{}
		}
		found[at].won, found[at].episodes = append(found[at].won, won), append(found[at].episodes, n)
		episodes, steps = append(episodes, int64(n)), append(steps, e.Steps)
	}
	for _, w := range found {
		if w.rate, w.interval, err = stats.Clustered(w.won, w.episodes, 0.95); err != nil {
			return Table{}, fmt.Errorf("report: %w", err)
		}
		seeds = append(seeds, int64(len(w.won)))
	}
	t := Table{Header: append([]string{"method"}, worlds...), Decimals: 1}
	tied, clear := false, false
	for _, m := range methods {
		row := []any{m}
		for _, world := range worlds {
			w := found[[2]string{m, world}]
			if w == nil {
				row = append(row, nil)
				continue
			}
			cell := marked{cell: Estimate{100 * w.rate, stats.Interval{Low: 100 * w.interval.Low, High: 100 * w.interval.High}}}
			cell.bold, cell.sign = standing(w, found, methods, world)
			tied, clear = tied || cell.sign != "", clear || cell.bold
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Caption = fmt.Sprintf("Win rate in percent [95 %% interval]: Wilson's, widened by how much seeds differ. %s per method and world, %s per seed, %s trained.",
		between(seeds, "seed"), between(episodes, "episode"), between(steps, "joint step"))
	if slices.Max(seeds) == 1 {
		t.Caption += " One seed: the interval says nothing about other seeds."
	}
	if clear {
		t.Caption += " Bold (in text *): the best, where its interval overlaps with no other."
	}
	if tied {
		t.Caption += " †: the best of its column cannot be told from this one."
	}
	return t, nil
}

// standing says whether a method is the clear winner on a world, or one of those that cannot be told from the best.
func standing(w *wins, found map[[2]string]*wins, methods []string, world string) (bold bool, sign string) {
	var best *wins
	count := 0
	for _, m := range methods {
		if one := found[[2]string{m, world}]; one != nil {
			count++
			if best == nil || one.rate > best.rate {
				best = one
			}
		}
	}
	if count < 2 {
		return false, ""
	}
	overlaps := 0
	for _, m := range methods {
		if one := found[[2]string{m, world}]; one != nil && one != best && one.interval.High >= best.interval.Low {
			overlaps++
		}
	}
	switch {
	case w == best && overlaps == 0:
		return true, ""
	case overlaps > 0 && w.interval.High >= best.interval.Low:
		return false, "†"
	}
	return false, ""
}

// winsOf counts won episodes.
func winsOf(r *run.Run, e *run.Evaluation) (won, episodes int, err error) {
	values := e.Values("win_rate")
	if len(values) == 0 {
		return 0, 0, fmt.Errorf(`report: the final evaluation of %s has no "win_rate"; it has %s`, r.Dir, strings.Join(e.Names(), ", "))
	}
	if len(e.Outcomes) > 0 && e.Outcomes["win"]+e.Outcomes["loss"]+e.Outcomes["draw"]+e.Outcomes["time_out"] == 0 {
		return 0, 0, fmt.Errorf("report: %s cannot be won: its episodes end in %s; report.Results shows what it counts",
			r.World, strings.Join(slices.Sorted(maps.Keys(e.Outcomes)), ", "))
	}
	for _, v := range values {
		if v != 0 && v != 1 {
			return 0, 0, fmt.Errorf("report: a win_rate of %s is %v, want 1 or 0 for each episode: an interval needs their number", r.Dir, v)
		}
		won += int(v)
	}
	return won, len(values), nil
}
