package report

import (
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Movie is an animation of recorded episodes, made by Replay and Play: the world plays them again and draws.
type Movie struct {
	clips []clip
	every int     // steps between frames; 0 = as few as fit
	until int     // last step that is shown; 0 = the end
	rate  float64 // frames a second
}

type clip struct {
	world   env.World
	episode run.Episode
	title   string
	matrix  func(t int) [][]float64
	heading string // of the matrix
	err     error
}

const mostFrames = 80 // of an animation, unless Every says otherwise

// Replay returns the last recorded episode of the first of some runs that was played on w: the world that they were
// trained on, or that of a cell of their evaluations. Where the method has groups, worlds such as battles show them.
func Replay(w env.World, runs run.Runs) Movie {
	name := ""
	if spec, err := env.Probe(w); err == nil {
		name = spec.Name
	}
	m := ReplayWhere(w, runs, func(e run.Episode) bool { return e.World == name })
	if m.clips[0].err != nil {
		return ReplayWhere(w, runs, func(run.Episode) bool { return true }) // which says what is wrong with the last
	}
	return m
}

// ReplayWhere returns the last recorded episode of the first run for which want is true.
func ReplayWhere(w env.World, runs run.Runs, want func(run.Episode) bool) Movie {
	c := clip{world: w}
	list, err := runs.List()
	if err != nil {
		return Movie{clips: []clip{{err: err}}}
	}
	episodes, err := list[0].Episodes()
	switch {
	case err != nil:
		c.err = err
	case len(episodes) == 0:
		c.err = fmt.Errorf("report: %s has no recorded episode: it was evaluated without (Eval.Episodes, Eval.Record)", list[0].Dir)
	default:
		c.err = fmt.Errorf("report: none of the %d recorded episodes of %s is the one that is looked for", len(episodes), list[0].Dir)
		for _, e := range slices.Backward(episodes) {
			if want(e) {
				c.episode, c.err = e, nil
				break
			}
		}
	}
	c.title = fmt.Sprintf("%s after %s", list[0].Method, plural(int(c.episode.Steps), "step"))
	return Movie{clips: []clip{c}}
}

// Play returns an episode at hand, such as one that a script has played.
func Play(w env.World, e run.Episode) Movie {
	return Movie{clips: []clip{{world: w, episode: e, title: e.World}}}
}

// Title returns the movie with another title.
func (m Movie) Title(title string) Movie {
	return m.each(func(c *clip) { c.title = title })
}

// Matrix returns the movie with numbers [row][column] beside the picture, such as who scores whom at step t.
func (m Movie) Matrix(at func(t int) [][]float64) Movie {
	return m.each(func(c *clip) { c.matrix, c.heading = at, "" })
}

// Every returns the movie with a frame at each n-th step, and one at the end.
func (m Movie) Every(n int) Movie { m.every = n; return m }

// Until returns the movie of the first t steps.
func (m Movie) Until(t int) Movie { m.until = t; return m }

// Rate returns the movie at so many frames a second; 8 is the default.
func (m Movie) Rate(frames float64) Movie { m.rate = frames; return m }

func (m Movie) each(f func(*clip)) Movie {
	m.clips = slices.Clone(m.clips)
	for i := range m.clips {
		f(&m.clips[i])
	}
	return m
}

// Together shows movies side by side, in step; one that is shorter stays at its end.
func Together(movies ...Movie) Movie {
	var all Movie
	for _, m := range movies {
		all.clips = append(all.clips, m.clips...)
		all.every, all.until, all.rate = max(all.every, m.every), max(all.until, m.until), max(all.rate, m.rate)
	}
	return all
}

// Density is the number of the picture's pixels per pixel of the screen; figures have two.
func (Movie) Density() float64 { return 1 }

// Formats lists "png" (animated) and "text". Frame has more.
func (Movie) Formats() []string { return []string{"png", "text"} }

// Render writes an animated PNG, or says in words what happens.
func (m Movie) Render(w io.Writer, format string) error {
	if err := known(format, m.Formats()); err != nil {
		return err
	}
	moments, err := m.moments()
	if err != nil {
		return err
	}
	if format == "text" {
		return m.text(w, moments)
	}
	shown := m.shown(moments)
	images := make([]*image.RGBA, len(shown))
	low, high := m.scale(shown)
	for i, t := range shown {
		if images[i], err = m.figure(moments, t, low, high).pixels(movieDPI); err != nil {
			return err
		}
	}
	rate := m.rate
	if rate <= 0 {
		rate = 8
	}
	return writeAnimation(w, images, rate)
}

// moments plays the episodes: [clip][step] what the world has drawn.
func (m Movie) moments() ([][]*env.Canvas, error) {
	if len(m.clips) == 0 {
		return nil, errors.New("report: no episode to play again, want at least one")
	}
	moments := make([][]*env.Canvas, len(m.clips))
	for i, c := range m.clips {
		if c.err != nil {
			return nil, c.err
		}
		spec, err := env.Probe(c.world)
		if err != nil {
			return nil, err
		}
		if spec.Name != c.episode.World {
			return nil, fmt.Errorf("report: the episode was played on %s, not on %s", c.episode.World, spec.Name)
		}
		if g := c.groups(0); g != nil && len(g) != spec.Agents {
			return nil, fmt.Errorf("report: the episode has groups of %d agents, %s has %d", len(g), spec.Name, spec.Agents)
		}
		err = env.Play(c.world, c.episode.Key, c.episode.Actions, c.episode.Continuous, func(t int, e env.Env, _ *env.Step) error {
			v, ok := e.(env.Viewer)
			if !ok {
				return fmt.Errorf("report: %s cannot be drawn: its environment has no View", spec.Name)
			}
			scene := &env.Canvas{Groups: c.groups(t)}
			v.View(scene)
			moments[i] = append(moments[i], scene)
			return checkScene(spec.Name, scene)
		})
		if err != nil {
			return nil, err
		}
		zoom(moments[i])
	}
	return moments, nil
}

func checkScene(world string, s *env.Canvas) error {
	if !(s.Right > s.Left) || !(s.Top > s.Bottom) {
		return fmt.Errorf("report: %s shows %v to %v by %v to %v, want a rectangle: View must call Show first", world, s.Left, s.Right, s.Bottom, s.Top)
	}
	return nil
}

// zoom shows at all moments what is in focus at any of them.
func zoom(moments []*env.Canvas) {
	all := moments[0].Focus
	for _, c := range moments {
		if f := c.Focus; f[0] >= f[2] || f[1] >= f[3] {
			return
		}
		all = [4]float64{min(all[0], c.Focus[0]), min(all[1], c.Focus[1]), max(all[2], c.Focus[2]), max(all[3], c.Focus[3])}
	}
	if low := (all[2]-all[0])/2 - (all[3] - all[1]); low > 0 { // not a strip
		all[1], all[3] = all[1]-low/2, all[3]+low/2
	}
	for _, c := range moments {
		c.Left, c.Bottom, c.Right, c.Top = max(c.Left, all[0]), max(c.Bottom, all[1]), min(c.Right, all[2]), min(c.Top, all[3])
	}
}

// shown are the steps that have a frame.
func (m Movie) shown(moments [][]*env.Canvas) []int {
	last := 0
	for _, list := range moments {
		last = max(last, len(list)-1)
	}
	if m.until > 0 {
		last = min(last, m.until)
	}
	every := m.every
	if every < 1 {
		every = max(1, (last+mostFrames-1)/mostFrames)
	}
	var steps []int
	for t := 0; t < last; t += every {
		steps = append(steps, t)
	}
	return append(steps, last)
}

// scale is the range of all matrices.
func (m Movie) scale(steps []int) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range m.clips {
		for _, t := range steps {
			if c.matrix == nil {
				break
			}
			for _, row := range c.matrix(min(t, c.episode.Length())) {
				for _, v := range row {
					if !math.IsNaN(v) && !math.IsInf(v, 0) {
						low, high = min(low, v), max(high, v)
					}
				}
			}
		}
	}
	return low, high
}

const (
	sceneWidth  = 2.4 * vg.Inch
	movieDPI    = 110 // a third of a figure's pixels: all frames together must be as small
	noteLine    = vg.Length(11)
	matrixWidth = 2.2 * vg.Inch
)

// figure draws the moment t of all clips beside one another.
func (m Movie) figure(moments [][]*env.Canvas, t int, low, high float64) *figure {
	width := sceneWidth
	if len(m.clips) > 1 {
		width = (pageWidth - 2*margin - vg.Length(len(m.clips)-1)*gap) / vg.Length(len(m.clips))
	}
	f := &figure{width: 2*margin - gap}
	for i, c := range m.clips {
		f.height = max(f.height, sceneHeight(moments[i][0], width)+titleLine+noteLine)
		f.width += width + gap
		if c.matrix != nil {
			f.width += matrixWidth
		}
	}
	f.body = func(c draw.Canvas) {
		x := c.Min.X
		for i, one := range m.clips {
			at := min(t, len(moments[i])-1)
			scene := moments[i][at]
			part := c
			part.Min.X, part.Max.X, part.Max.Y = x, x+width, c.Max.Y-titleLine
			part.Min.Y = part.Max.Y - sceneHeight(scene, width)
			drawScene(part, scene)
			c.FillText(textStyle(fontSize, ink, draw.XLeft, draw.YTop), vg.Point{X: x, Y: c.Max.Y + 1}, one.title)
			c.FillText(textStyle(smallSize, grey, draw.XLeft, draw.YTop), vg.Point{X: x, Y: part.Min.Y - 2}, scene.Note)
			x += width + gap
			if one.matrix != nil {
				part.Min.X, part.Max.X = x, x+matrixWidth-gap
				c.FillText(textStyle(smallSize, grey, draw.XLeft, draw.YTop), vg.Point{X: x, Y: c.Max.Y}, one.heading)
				drawNumbers(part, one.matrix(at), one.groups(at), low, high)
				x += matrixWidth
			}
		}
	}
	return f
}

func (m Movie) text(w io.Writer, moments [][]*env.Canvas) error {
	var b strings.Builder
	for i, c := range m.clips {
		fmt.Fprintf(&b, "%s: an episode of %s on %s, return %s", c.title, plural(c.episode.Length(), "step"), c.episode.World, number(c.episode.Return))
		if o := c.episode.Outcome; o != "" && o != env.Ended.String() {
			fmt.Fprintf(&b, ", %s", words(o))
		}
		if note := moments[i][len(moments[i])-1].Note; note != "" {
			fmt.Fprintf(&b, "; at the end: %s", note)
		}
		if n := len(c.episode.Groups); n > 0 {
			fmt.Fprintf(&b, "; groups at the end: %s", groupsInWords(c.episode.Groups[n-1]))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Frame returns the picture of one step, for papers.
func (m Movie) Frame(t int) Report { return still{m, t} }

type still struct {
	movie Movie
	t     int
}

// Formats lists "png", "pdf", "svg" and "text".
func (still) Formats() []string { return []string{"png", "pdf", "svg", "text"} }

// Render draws the step, or says in words what happens.
func (s still) Render(w io.Writer, format string) error {
	if err := known(format, s.Formats()); err != nil {
		return err
	}
	moments, err := s.movie.moments()
	if err != nil {
		return err
	}
	last := s.movie.shown(moments)
	if most := last[len(last)-1]; s.t < 0 || s.t > most {
		return fmt.Errorf("report: no frame of step %d, want 0 to %d", s.t, most)
	}
	if format == "text" {
		return s.movie.text(w, moments)
	}
	low, high := s.movie.scale([]int{s.t})
	return s.movie.figure(moments, s.t, low, high).write(w, format)
}
