package report

import (
	"math"
	"slices"
	"sort"

	"github.com/muster-marl/muster/pkg/stats"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// figure draws one panel per metric. A single panel names its curves at their ends, several share a legend.
func (d *chartData) figure(l look) *figure {
	f := l.figure(d.caption())
	plots := make([]*plot.Plot, len(d.metrics))
	for m := range d.metrics {
		plots[m] = d.panel(m)
	}
	if labels := d.labels(); len(plots) == 1 && len(labels) > 0 && fits(labels, f.width) {
		f.height = panelHeight(f.width)
		f.body = func(c draw.Canvas) { labelled(c, plots[0], labels) }
		return f
	}
	for _, g := range d.groups {
		f.legend = append(f.legend, entry{g.label, lineOf(g.style)})
	}
	columns, height := 1, panelHeight(f.width)
	if len(plots) > 1 && l.width != OneColumn {
		columns, height = 2, f.width*0.364
	}
	rows := (len(plots) + columns - 1) / columns
	f.height = vg.Length(rows)*height + vg.Length(rows-1)*10
	f.body = tiled(plots, columns)
	return f
}

// panelHeight is that of a panel across the figure; a narrow one is less flat.
func panelHeight(width vg.Length) vg.Length { return width*0.36 + 0.7*vg.Inch }

// label names a curve at its end.
type label struct {
	name string
	x, y float64
	line draw.LineStyle
}

// labels are those of the first panel.
func (d *chartData) labels() []label {
	var list []label
	for _, g := range d.groups {
		c := g.curves[0]
		if last := len(c.X) - 1; !math.IsNaN(c.Y[last]) && !math.IsInf(c.Y[last], 0) {
			list = append(list, label{g.label, c.X[last], c.Y[last], lineOf(g.style)})
		}
	}
	return list
}

const mostLabels = 10 // beside one panel

// fits says whether labels may stand beside the panel: few, and not wider than a third of the figure.
func fits(labels []label, width vg.Length) bool {
	return len(labels) <= mostLabels && labelWidth(labels) <= width/3
}

func labelWidth(labels []label) vg.Length {
	var w vg.Length
	for _, l := range labels {
		w = max(w, legendText.Width(l.name))
	}
	return w
}

// labelled draws a plot with labels right of it, each at the height of its curve's end as far as they leave each other room.
func labelled(c draw.Canvas, p *plot.Plot, labels []label) {
	const lead = vg.Length(18)
	inner := draw.Crop(c, 0, -labelWidth(labels)-lead-2, 0, 0)
	p.Draw(inner)
	data := p.DataCanvas(inner)
	sort.SliceStable(labels, func(i, j int) bool { return labels[i].y < labels[j].y })
	at := make([]vg.Length, len(labels))
	for i, l := range labels {
		at[i] = data.Y(p.Y.Norm(l.y))
	}
	apart(at, legendLine-1.5, data.Min.Y, data.Max.Y)
	for i, l := range labels {
		style := l.line
		style.Width, style.Dashes = 0.7, nil
		end := vg.Point{X: data.X(p.X.Norm(l.x)), Y: data.Y(p.Y.Norm(l.y))}
		edge := vg.Point{X: data.Max.X + 6, Y: at[i]}
		c.StrokeLines(style, []vg.Point{end, edge})
		l.line.Width = 2
		c.StrokeLine2(l.line, edge.X, edge.Y, edge.X+lead-8, edge.Y)
		c.FillText(legendText, vg.Point{X: edge.X + lead - 5, Y: at[i]}, l.name)
	}
}

// apart moves rising heights so that neighbours are `gap` apart, each as little as that allows, and none is below low or
// above high if there is room.
func apart(at []vg.Length, gap, low, high vg.Length) {
	type block struct{ sum, n vg.Length } // of neighbours that touch: the sum of where their first would stand
	var blocks []block
	start := func(b block) vg.Length {
		return max(low+gap/2, min(b.sum/b.n, high-gap/2-(b.n-1)*gap))
	}
	for _, y := range at {
		blocks = append(blocks, block{y, 1})
		for n := len(blocks); n > 1 && start(blocks[n-2])+blocks[n-2].n*gap > start(blocks[n-1]); n = len(blocks) {
			a, b := blocks[n-2], blocks[n-1]
			blocks = append(blocks[:n-2], block{a.sum + b.sum - b.n*a.n*gap, a.n + b.n})
		}
	}
	i := 0
	for _, b := range blocks {
		for k := range int(b.n) {
			at[i] = start(b) + vg.Length(k)*gap
			i++
		}
	}
}

// panel draws one metric: bands below, what was logged above them, curves on top.
func (d *chartData) panel(m int) *plot.Plot {
	p := newPlot(d.over.label, words(d.metrics[m]))
	p.Title.Text = d.title
	var x, y extent
	for _, g := range d.groups {
		c, i := g.curves[m], g.style
		x.add(c.X...)
		y.add(c.Y...)
		if len(g.runs) > 1 {
			y.add(c.Low...)
			y.add(c.High...)
			p.Add(band(c.X, c.Low, c.High, i))
		}
		if raw := g.raw[m]; len(raw.X) > 0 {
			sorted := slices.Sorted(slices.Values(raw.Y))
			y.add(stats.Quantile(0.01, sorted), stats.Quantile(0.99, sorted))
			at := thinned(raw.X)
			values := make([]float64, len(at))
			for j, s := range at {
				values[j], _ = raw.At(s)
			}
			l := line(at, values)
			l.LineStyle = draw.LineStyle{Color: withAlpha(okabeIto[i%hues], 70), Width: 0.5}
			p.Add(l)
		}
	}
	for _, g := range d.groups {
		l := line(g.curves[m].X, g.curves[m].Y)
		l.LineStyle = lineOf(g.style)
		p.Add(l)
		if len(l.XYs) == 1 { // a line of one point cannot be seen
			p.Add(&plotter.Scatter{XYs: l.XYs, GlyphStyle: draw.GlyphStyle{Color: l.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
		}
	}
	if x.low < x.high/10 && x.low > 0 {
		x.low = 0
	}
	p.X.Min, p.X.Max = x.low, x.high
	p.Y.Min, p.Y.Max = y.padded()
	return p
}

// extent is the range of values that an axis must show.
type extent struct {
	low, high float64
	any       bool
}

// padded leaves room above and below. What is zero throughout, as a win rate may be for long, is shown at the bottom of 0
// to 1, not in the middle of an axis that begins below zero.
func (e extent) padded() (low, high float64) {
	if e.low == 0 && e.high == 0 {
		e.high = 1
	}
	pad := (e.high - e.low) / 25
	return e.low - pad, e.high + pad
}

func (e *extent) add(values ...float64) {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if !e.any {
			e.low, e.high, e.any = v, v, true
		}
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

// line and band leave out what is not finite, so the constructors of plotter have nothing to refuse.
func line(x, y []float64) *plotter.Line {
	l := &plotter.Line{}
	for i := range x {
		if !math.IsNaN(y[i]) && !math.IsInf(y[i], 0) {
			l.XYs = append(l.XYs, plotter.XY{X: x[i], Y: y[i]})
		}
	}
	return l
}

func band(x, low, high []float64, i int) *plotter.Polygon {
	edge := line(x, high).XYs
	back := line(x, low).XYs
	slices.Reverse(back)
	return &plotter.Polygon{XYs: []plotter.XYs{append(edge, back...)}, Color: withAlpha(okabeIto[i%hues], 50)}
}
