package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Width is that of a figure, in inches.
type Width float64

// Widths of papers: a column of two (ICML 3.25 inches, IEEE 3.5), the text of one-column papers (NeurIPS, ICLR), which is
// the default, and both columns.
const (
	OneColumn Width = 3.25
	Page      Width = 5.5
	FullWidth Width = 6.75
)

// look is what all figures let their user choose.
type look struct {
	width Width
	bare  bool // true = without caption
}

func (l look) check() error {
	if l.width != 0 && !(l.width >= 2 && l.width <= 20) {
		return fmt.Errorf("report: a figure %v inches wide, want 2 to 20, as report.OneColumn or report.FullWidth", float64(l.width))
	}
	return nil
}

// figure begins a figure.
func (l look) figure(caption string) *figure {
	f := &figure{width: pageWidth, caption: caption}
	if l.width != 0 {
		f.width = vg.Length(l.width) * vg.Inch
	}
	if l.bare {
		f.caption = ""
	}
	return f
}

const (
	pageWidth = vg.Length(Page) * vg.Inch
	fontSize  = vg.Length(9)
	tickSize  = vg.Length(8)
	smallSize = vg.Length(7.5) // captions
	margin    = vg.Length(4)
	dpi       = 192
)

// okabeIto is the palette of Okabe and Ito (2008) without its yellow, which is too light for lines on white.
var okabeIto = []color.NRGBA{
	{0, 114, 178, 255},   // blue
	{213, 94, 0, 255},    // vermillion
	{0, 158, 115, 255},   // bluish green
	{204, 121, 167, 255}, // reddish purple
	{230, 159, 0, 255},   // orange
	{86, 180, 233, 255},  // sky blue
	{60, 60, 60, 255},    // nearly black
}

var (
	ink  = color.Gray{40}
	grey = color.Gray{110}
	hues = len(okabeIto)
)

// lineOf is the line of the i-th group: a hue and dashes, so that groups differ on a printer without colours, too. There
// are 28 different ones.
func lineOf(i int) draw.LineStyle {
	dashes := [][]vg.Length{nil, {5, 2}, {1.5, 1.5}, {6, 1.5, 1.5, 1.5}}
	return draw.LineStyle{Color: okabeIto[i%hues], Width: 1.2, Dashes: dashes[i%len(dashes)]}
}

func withAlpha(c color.NRGBA, a uint8) color.NRGBA {
	c.A = a
	return c
}

// sans is the font of all text, Liberation Sans: the widths of Helvetica, free, embedded by gonum/plot.
func sans(size vg.Length) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size)
}

func textStyle(size vg.Length, c color.Color, x draw.XAlignment, y draw.YAlignment) draw.TextStyle {
	return draw.TextStyle{Color: c, Font: sans(size), XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
}

// newPlot returns an empty plot in the theme.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.Title.TextStyle.Font, p.Title.TextStyle.Color, p.Title.Padding = sans(fontSize), ink, 3
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Label.TextStyle.Color = sans(fontSize), ink
		a.Label.Padding = 2
		a.Tick.Label.Font, a.Tick.Label.Color = sans(tickSize), ink
		a.Tick.Length, a.Tick.Color, a.Color = 3, grey, grey
		a.Tick.Width, a.Width = 0.6, 0.6
		a.Padding = 0
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{most: 6}, ticks{most: 5}
	return p
}

// ticks puts at most about `most` labelled ticks at 1, 2, 2.5 or 5 times a power of ten.
type ticks struct{ most int }

// Ticks fulfils plot.Ticker.
func (t ticks) Ticks(low, high float64) []plot.Tick {
	step := niceStep((high - low) / float64(t.most))
	if step <= 0 || math.IsInf(step, 0) || math.IsNaN(step) {
		return []plot.Tick{{Value: low, Label: short(low, 0, low)}}
	}
	var list []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		list = append(list, plot.Tick{Value: i * step, Label: short(i*step, step, math.Max(math.Abs(low), math.Abs(high)))})
	}
	return list
}

func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// short labels a tick: 0, 250, 2,500; with one SI prefix for the whole axis where that reaches 10,000: 2.5k, 10k,
// 0.5M. step sets the decimals, most is the largest absolute value of the axis.
func short(v, step, most float64) string {
	if math.Abs(v) < step*1e-6 {
		return "0"
	}
	unit, suffix := 1.0, ""
	for _, u := range []struct {
		size   float64
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if most >= u.size && most >= 1e4 {
			unit, suffix = u.size, u.suffix
			break
		}
	}
	v, step = v/unit, step/unit
	s := ""
	switch decimals := 0; {
	case math.Abs(v) < 1e-3:
		s = strconv.FormatFloat(v, 'g', 3, 64)
	default:
		for step > 0 && decimals < 6 && math.Abs(step-math.Round(step)) > 1e-9*step {
			step, decimals = step*10, decimals+1
		}
		s = strconv.FormatFloat(v, 'f', decimals, 64)
		if suffix != "" {
			s = trimZeros(s)
		} else if decimals == 0 {
			s = Thousands(int64(math.Round(v)))
		}
	}
	return strings.Replace(s, "-", "–", 1) + suffix // a dash as long as a minus; PDF fonts have no U+2212
}
