package report

import (
	"image/color"
	"math"
	"strconv"

	"github.com/muster-marl/muster/pkg/env"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// capital is the height of Liberation Sans's capital letters in units of its size.
const capital = 0.73

// paint is a colour of the theme.
func paint(p env.Paint) color.Color {
	if i := p.Index(); i >= 0 {
		return okabeIto[i%hues]
	}
	switch p {
	case env.Grey:
		return color.Gray{150}
	case env.Pale:
		return color.Gray{232}
	case env.White:
		return color.White
	}
	return ink
}

// sceneHeight is the height of a scene that is w wide, at most twice that; its shapes are then as large as fit.
func sceneHeight(s *env.Canvas, w vg.Length) vg.Length {
	share := (s.Top - s.Bottom) / (s.Right - s.Left)
	if !(share > 0) || math.IsInf(share, 0) {
		return w
	}
	return w * vg.Length(math.Min(share, 2))
}

// drawScene draws what a world has put on its canvas into c, and frames it.
func drawScene(c draw.Canvas, s *env.Canvas) {
	w, h := c.Max.X-c.Min.X, c.Max.Y-c.Min.Y
	scale := min(w/vg.Length(s.Right-s.Left), h/vg.Length(s.Top-s.Bottom))
	at := func(x, y float64) vg.Point {
		return vg.Point{X: c.Min.X + vg.Length(x-s.Left)*scale, Y: c.Min.Y + vg.Length(y-s.Bottom)*scale}
	}
	for _, shape := range s.Shapes {
		if cut(&shape, s) {
			drawShape(c, &shape, at, scale)
		}
	}
	for _, side := range [][4]vg.Length{ // nothing of a shape at the edge may show outside
		{c.Min.X - margin, c.Min.Y - margin, margin, h + 2*margin}, {c.Max.X, c.Min.Y - margin, margin, h + 2*margin},
		{c.Min.X, c.Min.Y - margin, w, margin}, {c.Min.X, c.Max.Y, w, margin},
	} {
		fill(c, color.White, side[0], side[1], side[2], side[3])
	}
	frame(c, c.Min.X, c.Max.Y, w, h)
}

// cut cuts a box to the scene and reports whether there is anything to draw; what else lies outside is left out.
func cut(s *env.Shape, c *env.Canvas) bool {
	inside := func(x, y float64) bool { return x >= c.Left && x <= c.Right && y >= c.Bottom && y <= c.Top }
	switch s.Form {
	case env.Box:
		s.X, s.Y, s.X2, s.Y2 = max(s.X, c.Left), max(s.Y, c.Bottom), min(s.X2, c.Right), min(s.Y2, c.Top)
		return s.X < s.X2 && s.Y < s.Y2
	case env.Line:
		return inside(s.X, s.Y) && inside(s.X2, s.Y2)
	}
	return inside(s.X, s.Y)
}

func drawShape(c draw.Canvas, s *env.Shape, at func(x, y float64) vg.Point, scale vg.Length) {
	colour, p := paint(s.Paint), at(s.X, s.Y)
	switch s.Form {
	case env.Disc, env.Ring:
		r := vg.Length(s.R) * scale
		var path vg.Path
		path.Move(vg.Point{X: p.X + r, Y: p.Y})
		path.Arc(p, r, 0, 2*math.Pi)
		path.Close()
		c.SetColor(colour)
		if s.Form == env.Disc {
			c.Fill(path)
			return
		}
		c.SetLineWidth(vg.Length(s.Width) * scale)
		c.SetLineDash(nil, 0)
		c.Stroke(path)
	case env.Box:
		q := at(s.X2, s.Y2)
		fill(c, colour, p.X, p.Y, q.X-p.X, q.Y-p.Y)
	case env.Line:
		q := at(s.X2, s.Y2)
		c.StrokeLine2(draw.LineStyle{Color: colour, Width: vg.Length(s.Width) * scale}, p.X, p.Y, q.X, q.Y)
	case env.Label:
		size := vg.Length(s.TextHeight) * scale / capital
		p.Y -= size * capital / 2
		c.FillText(textStyle(size, colour, draw.XCenter, draw.YBottom), p, s.Text)
	}
}

// drawNumbers draws a matrix of numbers as shaded cells below and right of c's left upper corner, on the scale from
// low to high. Where there are groups, the numbers of rows and columns are agents, in the hues of theirs.
func drawNumbers(c draw.Canvas, values [][]float64, groups []int32, low, high float64) {
	colours := heat()
	rows, columns := len(values), 0
	for _, row := range values {
		columns = max(columns, len(row))
	}
	if columns == 0 {
		return
	}
	edge := min((c.Max.X-c.Min.X-numberSpace)/vg.Length(columns), (c.Max.Y-c.Min.Y-numberSpace)/vg.Length(rows), 0.35*vg.Inch)
	left, top := c.Min.X+numberSpace, c.Max.Y-numberSpace
	written := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	longest := vg.Length(max(len(written(low)), len(written(high))))
	size := min(tickSize, edge*min(0.42, 1.7/longest)) // a digit is 0.56 of its size wide
	named := func(i int) color.Color {
		if i < len(groups) {
			return paint(env.GroupHue(groups[i]))
		}
		return grey
	}
	for i, row := range values {
		y := top - vg.Length(i+1)*edge
		c.FillText(textStyle(size, named(i), draw.XRight, draw.YCenter), vg.Point{X: left - 3, Y: y + edge/2}, strconv.Itoa(i))
		for j, v := range row {
			x := left + vg.Length(j)*edge
			if i == 0 {
				c.FillText(textStyle(size, named(j), draw.XCenter, draw.YBottom), vg.Point{X: x + edge/2, Y: top + 2}, strconv.Itoa(j))
			}
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			share := 0.0
			if high > low {
				share = (v - low) / (high - low)
			}
			fill(c, colours[int(share*(shades-1)+0.5)], x, y, edge, edge)
			text := color.Color(ink)
			if share > 0.5 {
				text = color.White
			}
			c.FillText(textStyle(size, text, draw.XCenter, draw.YCenter), vg.Point{X: x + edge/2, Y: y + edge/2}, written(v))
		}
	}
	frame(c, left, top, vg.Length(columns)*edge, vg.Length(rows)*edge)
}

const numberSpace = vg.Length(12) // left of and above a matrix, for its rows' and columns' numbers
