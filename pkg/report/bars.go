package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/muster-marl/muster/pkg/stats"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars returns the mean score of each method on each world as bars from zero, with 95 % bootstrap intervals of the mean over
// seeds (none of one seed), and a dot for each seed.
func Bars(b Board) ScorePlot {
	return newScorePlot(b, func(d *boardData) (scoreFigure, error) {
		s := scoreFigure{numbers: numbers{header: []string{"world", "method", "mean", "low", "high", "seeds"}}}
		s.caption = d.caption("Mean over seeds; lines: 95 % bootstrap intervals; dots: single seeds.")
		in := make([][]stats.Interval, len(d.methods))
		for t, world := range d.worlds {
			s.said = append(s.said, "Mean "+d.axis()+" on "+world+":")
			for m, name := range d.methods {
				one := stats.Column(d.column(m, t))
				i := orNaN(stats.Interval{}, false)
				if len(one.Values) > 1 {
					var err error
					if i, err = one.Bootstrap(stats.AggregateMean(), aggregateResamples, 0.95, again()); err != nil {
						return s, err
					}
				}
				in[m] = append(in[m], i)
				mean := stats.Mean(d.column(m, t))
				s.numbers.add(world, name, mean, i.Low, i.High, len(one.Values))
				s.said = append(s.said, "  "+name+": "+estimated(mean, i))
			}
		}
		s.draw = func(f *figure) {
			d.slots(f, true, func(c draw.Canvas, y func(float64) vg.Length, m, t int, left, width vg.Length) {
				values := d.column(m, t)
				mean := stats.Mean(values)
				fill(c, tint(m), left, y(0), width, y(mean)-y(0))
				middle := left + width/2
				if i := in[m][t]; !math.IsNaN(i.Low) {
					c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1}, middle, y(i.Low), middle, y(i.High))
				}
				seedDots(c, y, values, middle, width)
			})
		}
		return s, nil
	})
}

// Boxes returns the scores of each method on each world as box plots (Tukey 1977): the box from the lower to the upper
// quartile, a line at the median, whiskers to the last score within 1.5 box lengths, and a dot for each seed.
func Boxes(b Board) ScorePlot {
	return newScorePlot(b, func(d *boardData) (scoreFigure, error) {
		s := scoreFigure{numbers: numbers{header: []string{"world", "method", "lowest", "lower quartile", "median", "upper quartile", "highest", "seeds"}}}
		s.caption = d.caption("Boxes: quartiles and median over seeds; whiskers: to the last score within 1.5 box lengths; dots: single seeds.")
		for t, world := range d.worlds {
			s.said = append(s.said, "Median "+d.axis()+" on "+world+", with quartiles:")
			for m, name := range d.methods {
				v := slices.Sorted(slices.Values(d.column(m, t)))
				q := func(p float64) float64 { return stats.Quantile(p, v) }
				s.numbers.add(world, name, v[0], q(0.25), q(0.5), q(0.75), v[len(v)-1], len(v))
				s.said = append(s.said, fmt.Sprintf("  %s: %s (%s to %s)", name, number(q(0.5)), number(q(0.25)), number(q(0.75))))
			}
		}
		s.draw = func(f *figure) {
			d.slots(f, false, func(c draw.Canvas, y func(float64) vg.Length, m, t int, left, width vg.Length) {
				v := slices.Sorted(slices.Values(d.column(m, t)))
				lower, median, upper := stats.Quantile(0.25, v), stats.Quantile(0.5, v), stats.Quantile(0.75, v)
				reach := 1.5 * (upper - lower)
				low, high := lower, upper
				for _, one := range v {
					if one >= lower-reach {
						low = min(low, one)
					}
					if one <= upper+reach {
						high = max(high, one)
					}
				}
				hue, middle := okabeIto[m%hues], left+width/2
				edge := draw.LineStyle{Color: hue, Width: 1}
				c.StrokeLine2(edge, middle, y(low), middle, y(lower))
				c.StrokeLine2(edge, middle, y(upper), middle, y(high))
				fill(c, tint(m), left, y(lower), width, y(upper)-y(lower))
				c.StrokeLines(edge, []vg.Point{{X: left, Y: y(lower)}, {X: left + width, Y: y(lower)}, {X: left + width, Y: y(upper)}, {X: left, Y: y(upper)}, {X: left, Y: y(lower)}})
				c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1.4}, left, y(median), left+width, y(median))
				seedDots(c, y, v, middle, width)
			})
		}
		return s, nil
	})
}

// column is a method's scores on one world.
func (d *boardData) column(m, t int) (values []float64) {
	for _, row := range d.scores[m].Values {
		values = append(values, row[t])
	}
	return values
}

// tint is the colour of a method's bars: a hue, and a lightness that tells neighbours apart without it.
func tint(m int) color.Color { return withAlpha(okabeIto[m%hues], []uint8{220, 140, 70}[m%3]) }

// seedDots puts a dot per value, side by side within 60 % of the width.
func seedDots(c draw.Canvas, y func(float64) vg.Length, values []float64, middle, width vg.Length) {
	for i, v := range values {
		x := middle
		if n := len(values); n > 1 {
			x += width * 0.6 * (vg.Length(i)/vg.Length(n-1) - 0.5)
		}
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: ink, Radius: 1.4, Shape: draw.CircleGlyph{}}, vg.Point{X: x, Y: y(v)})
	}
}

// slots draws an axis of scores, a group of slots per world, and calls one for each method within each.
func (d *boardData) slots(f *figure, zero bool, one func(c draw.Canvas, y func(float64) vg.Length, m, t int, left, width vg.Length)) {
	f.legend, f.height = nil, panelHeight(f.width)*0.92
	for i, m := range d.methods {
		f.legend = append(f.legend, entry{m, draw.LineStyle{Color: tint(i), Width: 6}})
	}
	var e extent
	for _, s := range d.scores {
		for _, row := range s.Values {
			e.add(row...)
		}
	}
	if zero {
		e.add(0)
	}
	pad := (e.high - e.low) / 25
	if pad == 0 {
		pad = 1
	}
	p := newPlot("", d.axis())
	p.Y.Min, p.Y.Max = e.low-pad, e.high+pad
	if zero && e.low == 0 {
		p.Y.Min = 0
	}
	p.X.Min, p.X.Max = 0, float64(len(d.worlds))
	names, lines := worldNames(d.worlds, (f.width-50)/vg.Length(len(d.worlds)))
	var marks []plot.Tick
	for t := range d.worlds {
		marks = append(marks, plot.Tick{Value: float64(t) + 0.5, Label: names[t]})
	}
	p.X.Tick.Marker = plot.ConstantTicks(marks)
	p.X.Tick.Color = color.Transparent
	if lines == 0 { // too narrow for names side by side
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/6, draw.XRight, draw.YTop
	}
	f.body = func(c draw.Canvas) {
		p.Draw(c)
		area := p.DataCanvas(c)
		y := func(v float64) vg.Length { return area.Y(p.Y.Norm(v)) }
		group := (area.Max.X - area.Min.X) / vg.Length(len(d.worlds))
		slot := group * 0.8 / vg.Length(len(d.methods))
		slot = min(slot, 40)
		if zero {
			c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.6}, area.Min.X, y(0), area.Max.X, y(0))
		}
		for t := range d.worlds {
			left := area.Min.X + (vg.Length(t)+0.5)*group - slot*vg.Length(len(d.methods))/2
			for m := range d.methods {
				one(c, y, m, t, left+vg.Length(m)*slot+slot*0.1, slot*0.8)
			}
		}
	}
}

// worldNames shortens names by what they all begin with, up to a slash, where they would not stand side by side; lines is 1
// if they do then, else 0.
func worldNames(worlds []string, space vg.Length) (names []string, lines int) {
	text := textStyle(tickSize, ink, draw.XCenter, draw.YTop)
	fit := func(names []string) bool {
		for _, n := range names {
			if text.Width(n) > space-4 {
				return false
			}
		}
		return true
	}
	names = slices.Clone(worlds)
	if fit(names) || len(names) == 1 {
		return names, 1
	}
	for cut := len(names[0]) - 1; cut >= 0; cut-- {
		head := names[0][:cut+1]
		if head[cut] != '/' {
			continue
		}
		if !slices.ContainsFunc(names, func(n string) bool { return len(n) <= len(head) || n[:len(head)] != head }) {
			for i := range names {
				names[i] = names[i][len(head):]
			}
			break
		}
	}
	if fit(names) {
		return names, 1
	}
	return names, 0
}
