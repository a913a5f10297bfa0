package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

// Sheet is a page of charts with one legend, made by Grid.
type Sheet struct {
	look
	columns int
	charts  []Chart
}

// Grid returns one figure of several charts, as one per world, in rows of `columns` panels; a method has the same line in all
// of them. Chart.Title names the panels.
func Grid(columns int, charts ...Chart) Sheet { return Sheet{columns: columns, charts: charts} }

// Width returns the sheet in another width: OneColumn, Page or FullWidth.
func (s Sheet) Width(w Width) Sheet { s.width = w; return s }

// NoCaption returns the sheet without the lines below it, for a paper that prints Caption itself.
func (s Sheet) NoCaption() Sheet { s.bare = true; return s }

// Formats lists "png", "pdf", "svg", "csv", "json" and "text".
func (Sheet) Formats() []string { return figureFormats }

// Caption says what the captions of the charts say, each thing once.
func (s Sheet) Caption() (string, error) {
	list, err := s.data()
	if err != nil {
		return "", err
	}
	return s.caption(list), nil
}

func (s Sheet) caption(list []*chartData) string {
	var said []string
	for _, d := range list {
		text := d.caption()
		if !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	if len(said) == 1 {
		return said[0]
	}
	var parts []string
	for i, d := range list {
		title := d.title
		if title == "" {
			title = fmt.Sprintf("Panel %d", i+1)
		}
		parts = append(parts, title+": "+d.caption())
	}
	return strings.Join(parts, " ")
}

// data reads all charts and gives equal labels equal lines.
func (s Sheet) data() ([]*chartData, error) {
	if len(s.charts) == 0 || s.columns < 1 {
		return nil, fmt.Errorf("report: %d charts in rows of %d, want at least 1 of each", len(s.charts), s.columns)
	}
	if err := s.look.check(); err != nil {
		return nil, err
	}
	list := make([]*chartData, len(s.charts))
	err := together(len(list), func(i int) error {
		d, err := s.charts[i].data()
		if err == nil {
			own := *d // the chart itself keeps its lines
			own.groups = slices.Clone(d.groups)
			list[i] = &own
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var labels []string
	for _, d := range list {
		for i, g := range d.groups {
			at := slices.Index(labels, g.label)
			if at < 0 {
				at, labels = len(labels), append(labels, g.label)
			}
			d.groups[i].style = at
		}
	}
	return list, nil
}

// Render draws the sheet, writes its numbers as "csv" or "json", or says its last values as "text".
func (s Sheet) Render(w io.Writer, format string) error {
	if err := known(format, figureFormats); err != nil {
		return err
	}
	list, err := s.data()
	if err != nil {
		return err
	}
	switch format {
	case "csv", "json":
		all := numbers{header: append([]string{"panel"}, list[0].numbers().header...)}
		for _, d := range list {
			for _, row := range d.numbers().rows {
				all.rows = append(all.rows, append([]any{d.title}, row...))
			}
		}
		if format == "csv" {
			return all.csv(w)
		}
		return all.json(w, s.caption(list))
	case "text":
		for _, d := range list {
			if d.title != "" {
				fmt.Fprintln(w, d.title)
			}
			if err := d.text(w); err != nil {
				return err
			}
		}
		return nil
	}
	f := s.look.figure(s.caption(list))
	var plots []*plot.Plot
	named := map[string]bool{}
	for _, d := range list {
		for m := range d.metrics {
			plots = append(plots, d.panel(m))
		}
		for _, g := range d.groups {
			if !named[g.label] {
				named[g.label] = true
				f.legend = append(f.legend, entry{g.label, lineOf(g.style)})
			}
		}
	}
	columns := min(s.columns, len(plots))
	for i := len(plots) - 1; i >= 0; i-- { // say once what the axes of a row or column share
		if i%columns > 0 && plots[i].Y.Label.Text == plots[i-1].Y.Label.Text {
			plots[i].Y.Label.Text = ""
		}
	}
	for i := range plots {
		if i+columns < len(plots) && plots[i].X.Label.Text == plots[i+columns].X.Label.Text {
			plots[i].X.Label.Text = ""
		}
	}
	rows := (len(plots) + columns - 1) / columns
	each := panelHeight(f.width/vg.Length(columns)) * 1.05
	f.height = vg.Length(rows)*each + vg.Length(rows-1)*10
	f.body = tiled(plots, columns)
	return f.write(w, format)
}
