package nb

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// state says how an experiment ended, "" while it runs.
type state string

const (
	running  state = ""
	finished state = "finished"
	stopped  state = "stopped"
	failed   state = "failed"
)

// bar shows progress. The last one has steps and no times, so that what is stored does not change from run to run.
func bar(p run.Progress, s state) frame {
	steps := count(p)
	text, more := steps, ""
	if s != running {
		text += ", " + string(s)
	} else if speed := pace(p); speed != "" {
		more = ", " + speed
	}
	if p.Title != "" {
		text = p.Title + ": " + text
	}
	head := "<b>" + html.EscapeString(p.Title) + "</b>"
	if p.Backend != "" {
		head += " (" + html.EscapeString(p.Backend) + ")"
	}
	progress := "<progress></progress>"
	if p.Goal > 0 {
		progress = fmt.Sprintf(`<progress value="%d" max="%d"></progress>`, p.Steps, p.Goal)
	}
	if s != running {
		more = ", " + string(s)
	}
	rows := []string{head, progress + " " + steps + more}
	if s == running {
		for _, row := range []string{shares(p), p.Note} {
			if row != "" {
				rows = append(rows, html.EscapeString(row))
			}
		}
	}
	// Without the frame, JupyterLab would lift the bar above its text as the last element of the output.
	return frame{text: text, html: "<div>" + strings.Join(rows, "<br>\n") + "</div>"}
}

// count says how far it is: "179 / 3000 steps".
func count(p run.Progress) string {
	if p.Goal <= 0 {
		return fmt.Sprintf("%d steps", p.Steps)
	}
	return fmt.Sprintf("%d / %d steps", p.Steps, p.Goal)
}

// pace says speed and time left, as far as they are known.
func pace(p run.Progress) string {
	var parts []string
	switch v := p.StepsPerSecond; {
	case v >= 10:
		parts = append(parts, report.Thousands(int64(v))+" steps/s")
	case v > 0:
		parts = append(parts, fmt.Sprintf("%.2g steps/s", v))
	}
	if p.Left > 0 {
		parts = append(parts, left(p.Left)+" left")
	}
	return strings.Join(parts, ", ")
}

func left(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(1, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// shares says where the time goes: "env 31 %, act 20 %, update 49 %"; what takes less than one per cent is left out.
func shares(p run.Progress) string {
	known := []string{"env", "act", "update", "evaluate", "compile", "save"}
	for _, name := range slices.Sorted(maps.Keys(p.Shares)) {
		if !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	var parts []string
	for _, name := range known {
		if share := p.Shares[name]; share >= 0.01 {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", name, 100*share))
		}
	}
	return strings.Join(parts, ", ")
}
