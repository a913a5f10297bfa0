package env

// Viewer is an Env that draws its present moment.
type Viewer interface{ View(c *Canvas) }

// Canvas is a drawing in the world's own units, x to the right and y upwards; later shapes lie on top.
// Package report turns it into pictures and animations.
type Canvas struct {
	Left, Bottom, Right, Top float64    // the part of the world that is shown; shapes at its edge are cut
	Focus                    [4]float64 // left, bottom, right, top of where something happens; zeros = everywhere
	Note                     string     // a line under the picture: "step 12 of 60: 3 of 5 alive"
	Groups                   []int32    // given to View: [agent] number of its group, −1 = in none; nil = nothing is known of groups
	Shapes                   []Shape
}

// Shape is one thing drawn.
type Shape struct {
	Form       Form
	Paint      Paint
	X, Y       float64 // middle of a Disc, Ring or Label; left bottom corner of a Box; beginning of a Line
	X2, Y2     float64 // right top corner of a Box; end of a Line
	R          float64 // radius of a Disc or Ring
	Width      float64 // of a Line or Ring
	Text       string  // of a Label
	TextHeight float64 // of a Label's capital letters, in the world's units
}

// Form says what a Shape is.
type Form uint8

const (
	Disc Form = iota
	Ring
	Box
	Line
	Label
)

// Paint names a colour of the theme of package report, in which teams and kinds can be told apart by colour-blind readers.
type Paint uint8

const (
	Ink  Paint = iota // nearly black
	Grey              // lines and frames
	Pale              // areas behind everything
	White
	hues // hues follow
)

// Hue is the i-th of the theme's seven hues, over and over again.
func Hue(i int) Paint { return hues + Paint(i%7) }

// Index returns i for Hue(i), i < 7, and −1 for the other paints.
func (p Paint) Index() int { return max(-1, int(p)-int(hues)) }

// groupHues are those that tell groups apart; the second, in which worlds draw opponents, is none of them.
var groupHues = []Paint{hues, hues + 3, hues + 2, hues + 5, hues + 6, hues + 4}

// GroupHue is the hue of group g, over and over again six of them; of no group (g < 0) it is Grey.
func GroupHue(g int32) Paint {
	if g < 0 {
		return Grey
	}
	return groupHues[int(g)%len(groupHues)]
}

// Show sets the part of the world that is shown and removes all shapes and the note.
func (c *Canvas) Show(left, bottom, right, top float64) {
	*c = Canvas{Left: left, Bottom: bottom, Right: right, Top: top, Shapes: c.Shapes[:0], Groups: c.Groups}
}

// Look sets the focus. A picture shows what is in focus at any moment of its episode.
func (c *Canvas) Look(left, bottom, right, top float64) {
	c.Focus = [4]float64{left, bottom, right, top}
}

// Disc fills a circle.
func (c *Canvas) Disc(x, y, r float64, p Paint) {
	c.Shapes = append(c.Shapes, Shape{Form: Disc, Paint: p, X: x, Y: y, R: r})
}

// Ring draws a circle's line.
func (c *Canvas) Ring(x, y, r, width float64, p Paint) {
	c.Shapes = append(c.Shapes, Shape{Form: Ring, Paint: p, X: x, Y: y, R: r, Width: width})
}

// Box fills a rectangle between two corners.
func (c *Canvas) Box(left, bottom, right, top float64, p Paint) {
	c.Shapes = append(c.Shapes, Shape{Form: Box, Paint: p, X: left, Y: bottom, X2: right, Y2: top})
}

// Line draws a straight line.
func (c *Canvas) Line(x, y, x2, y2, width float64, p Paint) {
	c.Shapes = append(c.Shapes, Shape{Form: Line, Paint: p, X: x, Y: y, X2: x2, Y2: y2, Width: width})
}

// Label writes text around its middle.
func (c *Canvas) Label(x, y, height float64, p Paint, text string) {
	c.Shapes = append(c.Shapes, Shape{Form: Label, Paint: p, X: x, Y: y, TextHeight: height, Text: text})
}
