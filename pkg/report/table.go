package report

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is rows of typed cells under a header. It is a Report of "html", "text", "md", "csv", "json" and "tex".
type Table struct {
	Caption  string
	Groups   []Group // a header above the header; nil = none. Their columns sum to len(Header)
	Header   []string
	Rows     [][]any // [row][column]: strings, numbers, Estimates; nil and NaN are shown as a dash
	Decimals int     // of numbers that are not whole; 0 = four significant digits
}

// Group heads some neighbouring columns of a table.
type Group struct {
	Name    string
	Columns int
}

var tableFormats = []string{"html", "text", "md", "csv", "json", "tex"}

// Formats lists "html", "text", "md", "csv", "json" and "tex".
func (Table) Formats() []string { return tableFormats }

// Render writes the table; "tex" needs the package booktabs.
func (t Table) Render(w io.Writer, format string) error {
	if err := known(format, tableFormats); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	switch format {
	case "csv":
		return t.numbers().csv(w)
	case "json":
		return t.numbers().json(w, t.Caption)
	}
	cells := make([][]string, len(t.Rows))
	bold := make([][]bool, len(t.Rows))
	for i, row := range t.Rows {
		for _, v := range row {
			m, _ := v.(marked)
			text := t.show(v)
			if len(parts(plain(v))) > 0 && format == "html" {
				text = strings.ReplaceAll(text, " ", "\u00a0") // a narrow page must not break an interval
			}
			if m.bold && format == "text" {
				text += " *"
			}
			cells[i], bold[i] = append(cells[i], text), append(bold[i], m.bold)
		}
	}
	if format == "html" {
		return tableHTML.Execute(w, struct {
			Table
			Cells [][]string
			Bold  [][]bool
		}{t, cells, bold})
	}
	text := ""
	switch format {
	case "text":
		text = t.text(cells)
	case "md":
		text = t.markdown(cells, bold)
	case "tex":
		text = t.latex(cells, bold)
	}
	_, err := io.WriteString(w, text)
	return err
}

func (t Table) check() error {
	if len(t.Header) == 0 {
		return fmt.Errorf("report: table %q has no header", t.Caption)
	}
	for i, row := range t.Rows {
		if len(row) != len(t.Header) {
			return fmt.Errorf("report: row %d of table %q has %d cells, the header has %d", i, t.Caption, len(row), len(t.Header))
		}
	}
	sum := 0
	for _, g := range t.Groups {
		sum += g.Columns
	}
	if t.Groups != nil && sum != len(t.Header) {
		return fmt.Errorf("report: the groups of table %q have %d columns, the header has %d", t.Caption, sum, len(t.Header))
	}
	return nil
}

var tableHTML = template.Must(template.New("table").Parse(`<table>
{{- if .Caption}}
<caption>{{.Caption}}</caption>{{end}}
<thead>
{{- if .Groups}}
<tr>{{range .Groups}}<th colspan="{{.Columns}}">{{.Name}}</th>{{end}}</tr>{{end}}
<tr>{{range .Header}}<th>{{.}}</th>{{end}}</tr>
</thead>
<tbody>
{{- range $i, $row := .Cells}}
<tr>{{range $j, $cell := $row}}<td>{{if index $.Bold $i $j}}<b>{{$cell}}</b>{{else}}{{$cell}}{{end}}</td>{{end}}</tr>{{end}}
</tbody>
</table>
`))

// text aligns the columns with spaces.
func (t Table) text(cells [][]string) string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, cells...) {
		for j, s := range row {
			widths[j] = max(widths[j], utf8.RuneCountInString(s))
		}
	}
	at := 0
	for _, g := range t.Groups { // the last column of a group makes room for its name
		span := 2 * (g.Columns - 1)
		for _, n := range widths[at : at+g.Columns] {
			span += n
		}
		at += g.Columns
		if g.Columns > 0 {
			widths[at-1] += max(0, utf8.RuneCountInString(g.Name)-span)
		}
	}
	var b strings.Builder
	line := func(row []string) {
		out := ""
		for j, s := range row {
			pad := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(s))
			if t.numeric(j) {
				s = pad + s
			} else {
				s += pad
			}
			if j > 0 {
				out += "  "
			}
			out += s
		}
		b.WriteString(strings.TrimRight(out, " ") + "\n")
	}
	if t.Caption != "" {
		b.WriteString(t.Caption + "\n\n")
	}
	if t.Groups != nil {
		out, at := "", 0
		for _, g := range t.Groups {
			span := 2 * g.Columns
			for _, n := range widths[at : at+g.Columns] {
				span += n
			}
			at += g.Columns
			out += g.Name + strings.Repeat(" ", max(0, span-utf8.RuneCountInString(g.Name)))
		}
		b.WriteString(strings.TrimRight(out, " ") + "\n")
	}
	line(t.Header)
	rule := make([]string, len(widths))
	for j, n := range widths {
		rule[j] = strings.Repeat("-", n)
	}
	b.WriteString(strings.Join(rule, "  ") + "\n")
	for _, row := range cells {
		line(row)
	}
	return b.String()
}

// named returns the header with the group before each name, for formats with one header line only.
func (t Table) named() []string {
	names := make([]string, 0, len(t.Header))
	for _, g := range t.Groups {
		for _, h := range t.Header[len(names) : len(names)+g.Columns] {
			if g.Name != "" {
				h = g.Name + ": " + h
			}
			names = append(names, h)
		}
	}
	return append(names, t.Header[len(names):]...)
}

func (t Table) markdown(cells [][]string, bold [][]bool) string {
	var b strings.Builder
	line := func(row []string, bold []bool) {
		for j, s := range row {
			s = markdownEscape.Replace(s)
			if bold != nil && bold[j] {
				s = "**" + s + "**"
			}
			b.WriteString("| " + s + " ")
		}
		b.WriteString("|\n")
	}
	if t.Caption != "" {
		b.WriteString(markdownEscape.Replace(t.Caption) + "\n\n")
	}
	line(t.named(), nil)
	for j := range t.Header {
		if t.numeric(j) {
			b.WriteString("|--:")
		} else {
			b.WriteString("|---")
		}
	}
	b.WriteString("|\n")
	for i, row := range cells {
		line(row, bold[i])
	}
	return b.String()
}

var (
	markdownEscape = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`")
	latexEscape    = strings.NewReplacer(`\`, `\textbackslash{}`, "&", `\&`, "%", `\%`, "$", `\$`, "#", `\#`, "_", `\_`, "{", `\{`, "}", `\}`,
		"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "–", "--", "×", `$\times$`, "≥", `$\ge$`, "≤", `$\le$`, "†", `$^\dagger$`, "‡", `$^\ddagger$`, "±", `$\pm$`, "∞", `$\infty$`, "·", `$\cdot$`, "−", "$-$")
)

// latex writes a table environment with booktabs rules.
func (t Table) latex(cells [][]string, bold [][]bool) string {
	var b strings.Builder
	line := func(row []string, bold []bool) {
		escaped := make([]string, len(row))
		for j, s := range row {
			escaped[j] = latexEscape.Replace(s)
			if j == 0 && strings.HasPrefix(escaped[j], "[") {
				escaped[j] = "{}" + escaped[j] // after \\ a bracket would be an argument
			}
			if bold != nil && bold[j] {
				escaped[j] = `\textbf{` + escaped[j] + "}"
			}
		}
		b.WriteString(strings.Join(escaped, " & ") + ` \\` + "\n")
	}
	b.WriteString("\\begin{table}\n\\centering\n")
	if t.Caption != "" {
		b.WriteString(`\caption{` + latexEscape.Replace(t.Caption) + "}\n")
	}
	b.WriteString(`\begin{tabular}{`)
	for j := range t.Header {
		b.WriteString(map[bool]string{true: "r", false: "l"}[t.numeric(j)])
	}
	b.WriteString("}\n\\toprule\n")
	if t.Groups != nil {
		at, rules := 1, ""
		names := make([]string, len(t.Groups))
		for i, g := range t.Groups {
			names[i] = fmt.Sprintf(`\multicolumn{%d}{c}{%s}`, g.Columns, latexEscape.Replace(g.Name))
			if g.Name != "" {
				rules += fmt.Sprintf(`\cmidrule(lr){%d-%d}`, at, at+g.Columns-1)
			}
			at += g.Columns
		}
		b.WriteString(strings.Join(names, " & ") + " \\\\\n" + rules + "\n")
	}
	line(t.Header, nil)
	b.WriteString("\\midrule\n")
	for i, row := range cells {
		line(row, bold[i])
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
	return b.String()
}

// renderTable makes a table, once its format is known to exist, and writes it.
func renderTable(w io.Writer, format string, table func() (Table, error)) error {
	if err := known(format, tableFormats); err != nil {
		return err
	}
	t, err := table()
	if err != nil {
		return err
	}
	return t.Render(w, format)
}
