package report

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a drawing of known height: a legend, the body and a caption, from top to bottom.
type figure struct {
	legend  []entry
	width   vg.Length // of the figure
	height  vg.Length // of the body
	body    func(draw.Canvas)
	caption string
}

type entry struct {
	name string
	line draw.LineStyle
}

var figureFormats = []string{"png", "pdf", "svg", "csv", "json", "text"}

func init() { // the same figure gives the same bytes, whenever it is written
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	fpdf.SetDefaultCreationDate(day)
	fpdf.SetDefaultModificationDate(day)
	fpdf.SetDefaultCatalogSort(true)
}

// write draws the figure as "png", "pdf" or "svg".
func (f *figure) write(w io.Writer, format string) error {
	h := f.total()
	switch format {
	case "pdf":
		c := vgpdf.New(f.width, h)
		f.draw(draw.New(opaque{c}), h)
		_, err := c.WriteTo(w)
		return err
	case "svg":
		c := vgsvg.New(f.width, h)
		f.draw(draw.New(c), h)
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return err
		}
		// The font itself would be 400 KB. Where it is missing, these have letters of the same widths.
		_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")))
		return err
	}
	img, err := f.pixels(dpi)
	if err != nil {
		return err
	}
	return writePNG(w, img)
}

// pixels draws the figure with so many dots per inch.
func (f *figure) pixels(dpi int) (*image.RGBA, error) {
	h := f.total()
	c := vgimg.NewWith(vgimg.UseWH(f.width, h), vgimg.UseDPI(dpi))
	f.draw(draw.New(c), h)
	img, ok := c.Image().(*image.RGBA)
	if !ok {
		return nil, fmt.Errorf("report: gonum/plot drew on a %T, want *image.RGBA", c.Image())
	}
	return img, nil
}

// opaque corrects vgpdf, which reads the colour of a translucent fill as if it were not multiplied by its alpha.
type opaque struct{ *vgpdf.Canvas }

// SetColor fulfils vg.Canvas.
func (c opaque) SetColor(clr color.Color) {
	if n, ok := clr.(color.NRGBA); ok {
		clr = straight(n)
	}
	c.Canvas.SetColor(clr)
}

// FillString fulfils vg.Canvas.
func (c opaque) FillString(f font.Face, at vg.Point, text string) {
	c.Canvas.FillString(f, at, latin(text))
}

// latin spells what the fonts of a PDF cannot write, which have the 256 characters of Windows-1252: Greek letters by their
// names, a minus as a dash, and anything else as a question mark.
func latin(text string) string {
	var b strings.Builder
	for _, r := range text {
		name, known := greek[unicode.ToLower(r)]
		switch {
		case r <= 0xff && r != '\u00ad' || strings.ContainsRune("–—‘’‚“”„†‡•…‰‹›€™ŒœŠšŽžŸƒˆ˜", r):
			b.WriteRune(r)
		case known && unicode.IsUpper(r):
			b.WriteString(strings.ToUpper(name[:1]) + name[1:])
		case known:
			b.WriteString(name)
		case r == '−':
			b.WriteRune('–')
		case r == '∞':
			b.WriteString("inf")
		default:
			b.WriteRune('?')
		}
	}
	return b.String()
}

var greek = map[rune]string{
	'α': "alpha", 'β': "beta", 'γ': "gamma", 'δ': "delta", 'ε': "epsilon", 'ζ': "zeta", 'η': "eta", 'θ': "theta", 'ι': "iota", 'κ': "kappa",
	'λ': "lambda", 'μ': "mu", 'ν': "nu", 'ξ': "xi", 'ο': "omicron", 'π': "pi", 'ρ': "rho", 'σ': "sigma", 'ς': "sigma", 'τ': "tau", 'υ': "upsilon",
	'φ': "phi", 'χ': "chi", 'ψ': "psi", 'ω': "omega",
}

// straight is a colour whose RGBA is not multiplied by its alpha.
type straight color.NRGBA

// RGBA fulfils color.Color, all but its contract.
func (s straight) RGBA() (r, g, b, a uint32) {
	return uint32(s.R) * 0x101, uint32(s.G) * 0x101, uint32(s.B) * 0x101, uint32(s.A) * 0x101
}

var (
	legendText  = textStyle(fontSize, ink, draw.XLeft, draw.YCenter)
	captionText = textStyle(smallSize, grey, draw.XLeft, draw.YTop)
)

const (
	legendLine  = vg.Length(13)
	captionLine = vg.Length(10)
)

func (f *figure) total() vg.Length {
	h := f.height + 2*margin
	if n := len(f.legendRows()); n > 0 {
		h += vg.Length(n)*legendLine + 5
	}
	if n := len(f.captionLines()); n > 0 {
		h += vg.Length(n)*captionLine + margin
	}
	return h
}

func (f *figure) draw(c draw.Canvas, height vg.Length) {
	c.Max.Y = c.Min.Y + height
	c = draw.Crop(c, margin, -margin, margin, -margin)
	for _, row := range f.legendRows() {
		x := c.Min.X
		for _, e := range row {
			y := c.Max.Y - legendLine/2
			line := e.line
			line.Width = max(2, line.Width)
			c.StrokeLine2(line, x, y, x+sample, y)
			c.FillText(legendText, vg.Point{X: x + sample + 4, Y: y}, e.name)
			x += e.width()
		}
		c.Max.Y -= legendLine
	}
	if len(f.legend) > 0 {
		c.Max.Y -= 5
	}
	lines := f.captionLines()
	for i, line := range lines {
		y := c.Min.Y + vg.Length(len(lines)-i)*captionLine
		c.FillText(captionText, vg.Point{X: c.Min.X, Y: y}, line)
	}
	if n := len(lines); n > 0 {
		c.Min.Y += vg.Length(n)*captionLine + margin
	}
	f.body(c)
}

const sample = vg.Length(16) // length of a legend's line

func (e entry) width() vg.Length { return sample + 4 + legendText.Width(e.name) + 14 }

// legendRows breaks the legend into rows that fit.
func (f *figure) legendRows() [][]entry {
	var rows [][]entry
	var used vg.Length
	for _, e := range f.legend {
		if len(rows) == 0 || used+e.width() > f.width-2*margin+14 {
			rows, used = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		used += e.width()
	}
	return rows
}

// captionLines breaks the caption into lines that fit.
func (f *figure) captionLines() []string {
	var lines []string
	for _, word := range strings.Fields(f.caption) {
		if n := len(lines); n > 0 && captionText.Width(lines[n-1]+" "+word) <= f.width-2*margin {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// tiled draws plots in rows of equal panels whose axes are aligned.
func tiled(plots []*plot.Plot, columns int) func(draw.Canvas) {
	return func(c draw.Canvas) {
		titles := make([]string, len(plots))
		for i, p := range plots { // the plot keeps room for a title, but aligned panels would not align it
			if titles[i] = p.Title.Text; titles[i] != "" {
				p.Title.Text = " "
			}
		}
		rows := (len(plots) + columns - 1) / columns
		grid := make([][]*plot.Plot, rows)
		for i := range grid {
			grid[i] = make([]*plot.Plot, columns)
			copy(grid[i], plots[i*columns:min((i+1)*columns, len(plots))])
		}
		tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 12, PadY: 10}
		for i, row := range plot.Align(grid, tiles, c) {
			for j, cell := range row {
				p := grid[i][j]
				if p == nil {
					continue
				}
				p.Draw(cell)
				area := p.DataCanvas(cell)
				at := vg.Point{X: (area.Min.X + area.Max.X) / 2, Y: area.Max.Y + 5}
				cell.FillText(textStyle(fontSize, ink, draw.XCenter, draw.YBottom), at, titles[i*columns+j])
			}
		}
	}
}
