package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Map is a figure of one value per cell of a grid, made by HeatMap.
type Map struct {
	values [][]float64
	title  string
	unit   string
	marks  []mark
}

type mark struct {
	row, column int
	label       string
}

// HeatMap returns a heat map of values [row][column], row 0 at the top; NaN stays empty.
func HeatMap(values [][]float64, title string) Map { return Map{values: values, title: title} }

// Mark returns the map with a labelled marker on a cell.
func (m Map) Mark(row, column int, label string) Map {
	m.marks = append(m.marks[:len(m.marks):len(m.marks)], mark{row, column, label})
	return m
}

// Unit returns the map with a name for what its colours count, shown beside the colour bar.
func (m Map) Unit(name string) Map { m.unit = name; return m }

// Formats lists "png", "pdf", "svg", "csv", "json" and "text".
func (Map) Formats() []string { return figureFormats }

// Render draws the map, writes its numbers as "csv" or "json", or says its extremes as "text".
func (m Map) Render(w io.Writer, format string) error { return Beside(1, m).Render(w, format) }

// Maps are heat maps in one figure with one colour scale, made by Beside.
type Maps struct {
	columns int
	maps    []Map
}

// Beside returns one figure of several maps in rows of `columns`, all on the same colour scale.
func Beside(columns int, maps ...Map) Maps { return Maps{columns, maps} }

// Formats lists "png", "pdf", "svg", "csv", "json" and "text".
func (Maps) Formats() []string { return figureFormats }

// Render draws the maps, writes their numbers as "csv", or says their extremes as "text".
func (m Maps) Render(w io.Writer, format string) error {
	if err := known(format, figureFormats); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	switch format {
	case "csv":
		return m.numbers().csv(w)
	case "json":
		return m.numbers().json(w, "")
	case "text":
		return m.text(w)
	}
	return m.figure().write(w, format)
}

func (m Maps) check() error {
	if len(m.maps) == 0 || m.columns < 1 {
		return fmt.Errorf("report: %d heat maps in rows of %d, want at least 1 of each", len(m.maps), m.columns)
	}
	for _, one := range m.maps {
		if len(one.values) == 0 || len(one.values[0]) == 0 {
			return fmt.Errorf("report: heat map %q has no cells", one.title)
		}
		for i, row := range one.values {
			if len(row) != len(one.values[0]) {
				return fmt.Errorf("report: heat map %q has %d values in row %d and %d in row 0", one.title, len(row), i, len(one.values[0]))
			}
		}
		for _, k := range one.marks {
			if k.row < 0 || k.row >= len(one.values) || k.column < 0 || k.column >= len(one.values[0]) {
				return fmt.Errorf("report: heat map %q has %d × %d cells, none at row %d, column %d for mark %q",
					one.title, len(one.values), len(one.values[0]), k.row, k.column, k.label)
			}
		}
	}
	return nil
}

// scale is the common range of values; a constant map gets a range of one.
func (m Maps) scale() (low, high float64) {
	var e extent
	for _, one := range m.maps {
		for _, row := range one.values {
			e.add(row...)
		}
	}
	if e.low == e.high {
		return e.low, e.low + 1
	}
	return e.low, e.high
}

const shades = 64

// heat is the colour of a share of the scale: one hue whose lightness falls evenly, so it reads in grey, too.
func heat() []color.Color {
	m, err := moreland.NewLuminance([]color.Color{
		color.NRGBA{8, 29, 70, 255}, color.NRGBA{0, 114, 178, 255}, color.NRGBA{120, 190, 225, 255}, color.NRGBA{247, 250, 252, 255},
	})
	if err != nil {
		panic("report: " + err.Error()) // the colours above are in order
	}
	m.SetMax(shades - 1)
	list := make([]color.Color, shades)
	for i := range list {
		list[i], _ = m.At(float64(shades - 1 - i))
	}
	return list
}

const (
	pixel     = vg.Inch / dpi // edges of cells lie on whole pixels, or they blur
	titleLine = vg.Length(13)
	barWidth  = vg.Length(9)
	barSpace  = vg.Length(52) // right of the maps, for the bar and its numbers
	gap       = vg.Length(10)
)

// cells returns the edge of a cell and the size of one panel.
func (m Maps) cells() (edge, w, h vg.Length) {
	rows, columns := 1, 1
	for _, one := range m.maps {
		rows, columns = max(rows, len(one.values)), max(columns, len(one.values[0]))
	}
	n := min(m.columns, len(m.maps))
	space := (pageWidth - 2*margin - barSpace - vg.Length(n-1)*gap) / vg.Length(n)
	space = min(space, 3.2*vg.Inch) // one map need not fill the page
	edge = max(1, vg.Length(math.Floor(float64(space/pixel)/float64(max(columns, rows))))) * pixel
	return edge, edge * vg.Length(columns), edge * vg.Length(rows)
}

func (m Maps) figure() *figure {
	edge, w, h := m.cells()
	rows := (len(m.maps) + m.columns - 1) / m.columns
	n := min(m.columns, len(m.maps))
	f := &figure{width: vg.Length(n)*(w+gap) + barSpace - gap + 2*margin, height: vg.Length(rows)*(h+titleLine) + vg.Length(rows-1)*gap}
	colours := heat()
	low, high := m.scale()
	f.body = func(c draw.Canvas) {
		top := vg.Length(math.Round(float64(c.Max.Y/pixel))) * pixel
		left := vg.Length(math.Round(float64(c.Min.X/pixel))) * pixel
		step := func(space vg.Length) vg.Length { return vg.Length(math.Round(float64(space/pixel))) * pixel }
		for i, one := range m.maps {
			x := left + vg.Length(i%m.columns)*step(w+gap)
			y := top - vg.Length(i/m.columns)*step(h+titleLine+gap)
			c.FillText(textStyle(fontSize, ink, draw.XLeft, draw.YTop), vg.Point{X: x, Y: y + 1}, one.title)
			one.draw(c, x, y-step(titleLine), edge, colours, low, high)
		}
		x := left + vg.Length(n)*step(w+gap)
		m.bar(c, x, top-step(titleLine), min(h+vg.Length(rows-1)*step(h+titleLine+gap), max(h, 3*vg.Inch)), colours, low, high)
	}
	return f
}

// draw fills the cells of one map below and right of (x, y), frames them, and puts the marks on top.
func (m Map) draw(c draw.Canvas, x, y, edge vg.Length, colours []color.Color, low, high float64) {
	for i, row := range m.values {
		for j, v := range row {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				shade := colours[int((v-low)/(high-low)*(shades-1)+0.5)]
				fill(c, shade, x+vg.Length(j)*edge, y-vg.Length(i+1)*edge, edge, edge)
			}
		}
	}
	frame(c, x, y, vg.Length(len(m.values[0]))*edge, vg.Length(len(m.values))*edge)
	for _, k := range m.marks {
		at := vg.Point{X: x + (vg.Length(k.column)+0.5)*edge, Y: y - (vg.Length(k.row)+0.5)*edge}
		text := textStyle(6.5, ink, draw.XCenter, draw.YCenter)
		radius := max(4.2, text.Width(k.label)/2+1.8)
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: okabeIto[1], Radius: radius + 0.8, Shape: draw.CircleGlyph{}}, at)
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: color.White, Radius: radius, Shape: draw.CircleGlyph{}}, at)
		c.FillText(text, vg.Point{X: at.X, Y: at.Y + 0.8}, k.label)
	}
}

// bar draws the colour bar with its numbers and unit.
func (m Maps) bar(c draw.Canvas, x, top, height vg.Length, colours []color.Color, low, high float64) {
	part := height / shades
	for i, shade := range colours { // each reaches up to the top: what follows covers the rest, without seams
		fill(c, shade, x, top-height+vg.Length(i)*part, barWidth, vg.Length(shades-i)*part)
	}
	frame(c, x, top, barWidth, height)
	label := textStyle(tickSize, ink, draw.XLeft, draw.YCenter)
	for _, t := range (ticks{most: 5}).Ticks(low, high) {
		y := top - height + height*vg.Length((t.Value-low)/(high-low))
		c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.6}, x+barWidth, y, x+barWidth+2.5, y)
		c.FillText(label, vg.Point{X: x + barWidth + 4.5, Y: y}, t.Label)
	}
	unit := ""
	for _, one := range m.maps {
		unit = one.unit
	}
	c.FillText(textStyle(tickSize, ink, draw.XLeft, draw.YTop), vg.Point{X: x, Y: top + titleLine}, unit)
}

func fill(c draw.Canvas, colour color.Color, x, y, w, h vg.Length) {
	c.FillPolygon(colour, []vg.Point{{X: x, Y: y}, {X: x + w, Y: y}, {X: x + w, Y: y + h}, {X: x, Y: y + h}})
}

func frame(c draw.Canvas, x, top, w, h vg.Length) {
	c.StrokeLines(draw.LineStyle{Color: grey, Width: 0.6},
		[]vg.Point{{X: x, Y: top}, {X: x + w, Y: top}, {X: x + w, Y: top - h}, {X: x, Y: top - h}, {X: x, Y: top}, {X: x + w, Y: top}})
}

func (m Maps) numbers() numbers {
	n := numbers{header: []string{"map", "row", "column", "value"}}
	for _, one := range m.maps {
		for i, row := range one.values {
			for j, v := range row {
				n.add(one.title, i, j, v)
			}
		}
	}
	return n
}

// text says size, extremes and marks of each map.
func (m Maps) text(w io.Writer) error {
	var b strings.Builder
	for _, one := range m.maps {
		lowest, highest := [2]int{}, [2]int{}
		at := func(p [2]int) float64 { return one.values[p[0]][p[1]] }
		for i, row := range one.values {
			for j, v := range row {
				if v < at(lowest) || math.IsNaN(at(lowest)) {
					lowest = [2]int{i, j}
				}
				if v > at(highest) || math.IsNaN(at(highest)) {
					highest = [2]int{i, j}
				}
			}
		}
		fmt.Fprintf(&b, "%s: %d rows × %d columns", one.title, len(one.values), len(one.values[0]))
		if one.unit != "" {
			fmt.Fprintf(&b, " of %s", one.unit)
		}
		fmt.Fprintf(&b, "; highest %s at row %d, column %d; lowest %s at row %d, column %d",
			number(at(highest)), highest[0], highest[1], number(at(lowest)), lowest[0], lowest[1])
		for i, k := range one.marks {
			sep := ", "
			if i == 0 {
				sep = "; marked "
			}
			fmt.Fprintf(&b, "%s%s (%d, %d)", sep, k.label, k.row, k.column)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
