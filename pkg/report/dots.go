package report

import (
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/stats"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// dots are values with intervals in rows, one panel.
type dots struct {
	title     string
	names     []string
	values    []float64
	intervals []stats.Interval
	reference float64 // a thin line there; 0 = none
}

func (d *dots) add(v float64, in stats.Interval) {
	d.values, d.intervals = append(d.values, v), append(d.intervals, in)
}

// drawDots draws panels beside each other with the names once, at the left.
func drawDots(f *figure, panels []dots, axis string) {
	const foot = vg.Length(27)
	row := vg.Length(15)
	head := vg.Length(14)
	if panels[0].title == "" {
		head = 2
	}
	names := panels[0].names
	if widest(names) > f.width*0.4 { // two lines leave room for the bars
		row, names = 24, slices.Clone(names)
		for i, n := range names {
			names[i] = strings.Replace(n, " over ", "\nover ", 1)
		}
	}
	columns := len(panels)
	if f.width < 4*vg.Inch && columns > 2 {
		columns = 2
	}
	rows := (len(panels) + columns - 1) / columns
	tall := head + vg.Length(len(names))*row + 6
	f.height = vg.Length(rows)*(tall+foot) - vg.Length(rows-1)*11
	f.body = func(c draw.Canvas) {
		wide := widest(names)
		for i, p := range panels {
			space := (c.Max.X - c.Min.X - wide - 8) / vg.Length(columns)
			x := c.Min.X + wide + 8 + vg.Length(i%columns)*space
			y := c.Max.Y - vg.Length(i/columns)*(tall+foot-11)
			if i%columns == 0 {
				for k, n := range names {
					c.FillText(legendText, vg.Point{X: c.Min.X, Y: y - head - (vg.Length(k)+0.5)*row + 1.2}, n)
				}
			}
			p.draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: x + 4, Y: y - tall}, Max: vg.Point{X: x + space - 8, Y: y}}}, head, row)
		}
		text := textStyle(fontSize, ink, draw.XCenter, draw.YBottom)
		middle := min((c.Min.X+wide+8+c.Max.X)/2, c.Max.X-text.Width(axis)/2)
		c.FillText(text, vg.Point{X: middle, Y: c.Min.Y + 1}, axis)
	}
}

// widest is the width of the longest line of names.
func widest(names []string) (w vg.Length) {
	for _, n := range names {
		for line := range strings.Lines(n) {
			w = max(w, legendText.Width(strings.TrimSuffix(line, "\n")))
		}
	}
	return w
}

// draw fills one panel: title, a row per value, and an axis below.
func (d dots) draw(c draw.Canvas, head, row vg.Length) {
	var e extent
	e.add(d.values...)
	for _, in := range d.intervals {
		e.add(in.Low, in.High)
	}
	if d.reference != 0 {
		e.add(d.reference)
	}
	pad := (e.high - e.low) / 12
	if pad == 0 {
		pad = max(math.Abs(e.high)/10, 0.1)
	}
	low, high := e.low-pad, e.high+pad
	at := func(v float64) vg.Length { return c.Min.X + (c.Max.X-c.Min.X)*vg.Length((v-low)/(high-low)) }
	c.FillText(textStyle(fontSize, ink, draw.XCenter, draw.YTop), vg.Point{X: (c.Min.X + c.Max.X) / 2, Y: c.Max.Y}, d.title)
	thin := draw.LineStyle{Color: grey, Width: 0.6}
	c.StrokeLine2(thin, c.Min.X, c.Min.Y, c.Max.X, c.Min.Y)
	marks := ticks{most: max(2, int((c.Max.X-c.Min.X)/32))}
	for len(marks.Ticks(low, high)) < 2 && marks.most < 8 { // one number on an axis says nothing of its scale
		marks.most++
	}
	for _, t := range marks.Ticks(low, high) {
		c.StrokeLine2(thin, at(t.Value), c.Min.Y, at(t.Value), c.Min.Y-3)
		text := textStyle(tickSize, ink, draw.XCenter, draw.YTop)
		if half := text.Width(t.Label) / 2; at(t.Value)-half > c.Min.X-4 && at(t.Value)+half < c.Max.X+8 { // else it meets a neighbour's
			c.FillText(text, vg.Point{X: at(t.Value), Y: c.Min.Y - 4}, t.Label)
		}
	}
	if d.reference != 0 {
		c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.6, Dashes: []vg.Length{2, 2}}, at(d.reference), c.Min.Y, at(d.reference), c.Max.Y-head)
	}
	for i, v := range d.values {
		y := c.Max.Y - head - (vg.Length(i)+0.5)*row
		hue := okabeIto[i%hues]
		if in := d.intervals[i]; !math.IsNaN(in.Low) {
			fill(c, withAlpha(hue, 130), at(in.Low), y-3.5, at(in.High)-at(in.Low), 7)
		}
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1.4}, at(v), y-5, at(v), y+5)
	}
}
