package sweep

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/muster-marl/muster/pkg/run"
)

// Status is a table of where the experiments of a sweep stand, with the last lines that failed tasks printed. It is a
// report: nb.Show displays it, nb.Save writes it.
type Status struct {
	Name  string
	Tasks []Task
	err   error
}

// Task is where one experiment of a sweep stands.
type Task struct {
	run.Live
	Attempts int      // processes so far
	Log      []string // the last lines that it printed, if it failed
}

// Status reads where the sweep stands, whoever runs it.
func (s *Sweep) Status() Status {
	p, err := s.prepare()
	if err != nil {
		return Status{Name: s.Name, err: err}
	}
	out := Status{Name: s.Name}
	s.askQueue(p)
	for i, l := range s.read(p) {
		t := Task{Live: l, Attempts: p.ending(i).Attempts}
		if l.State == run.HasFailed || l.State == run.Lost {
			t.Log = run.LastLines(p.taskFile(i, ".log"), 5)
		}
		out.Tasks = append(out.Tasks, t)
	}
	return out
}

var statusFormats = []string{"html", "text", "csv"}

// Formats lists "html", "text" and "csv".
func (Status) Formats() []string { return statusFormats }

// Render writes the table.
func (s Status) Render(w io.Writer, format string) error {
	if s.err != nil {
		return s.err
	}
	switch format {
	case "html":
		return statusHTML.Execute(w, s)
	case "text":
		_, err := io.WriteString(w, s.text())
		return err
	case "csv":
		out := csv.NewWriter(w)
		out.WriteAll(append([][]string{header}, s.Rows()...))
		return out.Error()
	}
	return fmt.Errorf("sweep: unknown format %q, want %s", format, strings.Join(statusFormats, ", "))
}

var header = []string{"experiment", "state", "steps", "of", "attempts", "note"}

// Rows are the cells of the table, as text.
func (s Status) Rows() [][]string {
	var rows [][]string
	for _, t := range s.Tasks {
		note := cmp.Or(t.Error, t.Note)
		if t.State == run.Finished {
			note = ""
		}
		rows = append(rows, []string{t.Title, string(t.State), fmt.Sprint(t.Steps), fmt.Sprint(t.Goal), fmt.Sprint(t.Attempts), note})
	}
	return rows
}

// Caption counts the states.
func (s Status) Caption() string {
	counts := map[run.State]int{}
	for _, t := range s.Tasks {
		counts[t.State]++
	}
	return fmt.Sprintf("Sweep %s: %d experiments, %s", s.Name, len(s.Tasks), run.Counts(counts))
}

// Header names the columns.
func (Status) Header() []string { return header }

func (s Status) text() string {
	rows := append([][]string{header}, s.Rows()...)
	widths := make([]int, len(header))
	for _, row := range rows {
		for j, cell := range row {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(s.Caption() + "\n\n")
	for k, row := range rows {
		line := ""
		for j, cell := range row {
			pad := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2)
			if j >= 2 && j <= 4 {
				line += pad[2:] + cell + pad[:2]
			} else {
				line += cell + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if k > 0 {
			for _, text := range s.Tasks[k-1].Log {
				b.WriteString("    | " + text + "\n")
			}
		}
	}
	return b.String()
}

var statusHTML = template.Must(template.New("status").Parse(`<table>
<caption>{{.Caption}}</caption>
<thead>
<tr>{{range .Header}}<th>{{.}}</th>{{end}}</tr>
</thead>
<tbody>
{{- range .Rows}}
<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}
</tbody>
</table>
{{- range .Tasks}}{{if .Log}}
<p>{{.Title}} printed last:</p>
<pre>{{range .Log}}{{.}}
{{end}}</pre>{{end}}{{end}}
`))

// Cancel stops a sweep that runs in another process or on a cluster: tasks save and end, and can go on later. A sweep
// that is not running is no error.
func (s *Sweep) Cancel() error {
	dir, err := s.Where()
	if err != nil {
		return err
	}
	jobs := cancelJobs(dir)
	return cmp.Or(run.Stop(dir, grace), jobs)
}
