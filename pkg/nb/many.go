package nb

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// Many is a Watchable that consists of several runs: a sweep, or what run.Tail follows. Watch shows each of them.
type Many interface {
	Watchable
	Each() []run.Live // where every run stands; may be called while Run works
}

// each returns the runs that x consists of, nil for a single one.
func each(x Watchable) []run.Live {
	if m, ok := x.(Many); ok {
		if list := m.Each(); len(list) > 1 {
			return list
		}
	}
	return nil
}

// goesOn reports whether the runs of x go on when nobody watches them any more.
func goesOn(x Watchable) bool {
	o, ok := x.(interface{ Outlives() bool })
	return ok && o.Outlives()
}

const rowsShown = 8 // of runs that are running, and of runs that failed

// worth lists the runs that deserve a line: those that are running, while it goes on, and those that went wrong.
func worth(list []run.Live, s state) (rows []run.Live, more int) {
	counts := map[run.State]int{}
	for _, l := range list {
		if l.State == run.HasFailed || l.State == run.Lost || s == running && l.State == run.Running {
			if counts[l.State]++; counts[l.State] <= rowsShown {
				rows = append(rows, l)
			} else {
				more++
			}
		}
	}
	return rows, more
}

// row says where one of many runs stands; the last one has no times.
func row(l run.Live, s state) string {
	text := count(l.Progress)
	if l.State != run.Running {
		text += ", " + string(l.State)
	} else if speed := pace(l.Progress); speed != "" {
		text += ", " + speed
	}
	switch {
	case l.Error != "":
		text += ": " + l.Error
	case s == running && l.Note != "":
		text += ": " + l.Note
	}
	return text
}

// states counts what became of many runs: "3 finished, 1 failed".
func states(list []run.Live) string {
	counts := map[run.State]int{}
	for _, l := range list {
		counts[l.State]++
	}
	return run.Counts(counts)
}

// barOf shows the progress of one run or of many.
func barOf(p run.Progress, list []run.Live, s state) frame {
	f := bar(p, s)
	if list == nil {
		return f
	}
	var b strings.Builder
	if s != running { // else the note says it
		f.text += " (" + states(list) + ")"
		b.WriteString("<br>\n" + html.EscapeString(states(list)))
	}
	rows, more := worth(list, s)
	if len(rows) > 0 {
		b.WriteString("\n<table>\n")
		for _, l := range rows {
			fmt.Fprintf(&b, "<tr><td>%s</td><td><progress value=\"%d\" max=\"%d\"></progress></td><td>%s</td></tr>\n",
				html.EscapeString(l.Title), l.Steps, max(l.Goal, 1), html.EscapeString(row(l, s)))
		}
		b.WriteString("</table>")
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	f.html = strings.TrimSuffix(f.html, "</div>") + b.String() + "</div>"
	return f
}

// block is the terminal's view of many runs.
func block(p run.Progress, list []run.Live) []string {
	first := count(p)
	for _, more := range []string{pace(p), shares(p)} {
		if more != "" {
			first += ", " + more
		}
	}
	lines := []string{fmt.Sprintf("%s (%s)", p.Title, p.Backend), first}
	rows, more := worth(list, running)
	for _, l := range rows {
		lines = append(lines, fmt.Sprintf("  %s: %s", l.Title, row(l, running)))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return append(lines, p.Note)
}

// redraw writes lines over those of the last call, cut to the terminal's usual width so that none wraps.
func redraw(lines []string, before int) string {
	const width = 118
	var b strings.Builder
	if before > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", before)
	}
	for _, line := range lines {
		if r := []rune(line); len(r) > width {
			line = string(r[:width-1]) + "…"
		}
		b.WriteString("\r\x1b[2K" + line + "\n")
	}
	for range before - len(lines) {
		b.WriteString("\x1b[2K\n")
	}
	if n := before - len(lines); n > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", n)
	}
	return b.String()
}

// charts makes a figure for each world: a panel for each metric, a curve for each method with a band over its seeds, of
// the runs that have begun to log. The runs of earlier calls are among them.
func charts(list []run.Live, metrics []string, window int) []report.Chart {
	byWorld, worlds := map[string][]*run.Run{}, []string{}
	add := func(r *run.Run) {
		if !slices.Contains(worlds, r.World) {
			worlds = append(worlds, r.World)
		}
		byWorld[r.World] = append(byWorld[r.World], r)
	}
	inList := map[string]bool{}
	for _, l := range list {
		inList[l.Dir] = true
	}
	for _, r := range earlier("") {
		if !inList[r.Dir] {
			add(r)
		}
	}
	for _, l := range list {
		if r, err := run.Open(l.Dir); err == nil {
			add(r)
		}
	}
	var out []report.Chart
	for _, world := range worlds {
		var runs []*run.Run
		var panels []string
		for _, m := range metrics { // those that some run has; a run that has just begun waits for its first line
			if slices.ContainsFunc(byWorld[world], func(r *run.Run) bool { return len(common([]*run.Run{r}, []string{m})) > 0 }) {
				panels = append(panels, m)
			}
		}
		for _, r := range byWorld[world] {
			if len(common([]*run.Run{r}, panels)) == len(panels) {
				runs = append(runs, r)
			}
		}
		if len(panels) > 0 && len(runs) > 0 {
			c := report.Curves(run.Of(runs...), panels...).Smooth(window)
			if len(worlds) > 1 {
				c = c.By(func(r *run.Run) string { return r.Method + ", " + r.World })
			}
			out = append(out, c)
		}
	}
	return out
}

// curveID is the display of the figure of the k-th world.
func curveID(k int) string {
	if k == 0 {
		return "train/curve"
	}
	return fmt.Sprintf("train/curve%d", k+1)
}
