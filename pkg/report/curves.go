package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// Chart is a figure of learning curves, made by Curves.
type Chart struct {
	look
	runs    run.Runs
	metrics []string
	title   string
	window  int
	over    Axis
	by      func(*run.Run) string
	once    func() (*chartData, error)
}

// Curves returns the learning curves of metrics over joint steps, one panel per metric. Runs of one method
// (and of one world, where there are several) form a group that is shown by one curve: a single run as it is,
// two or three by their mean and range, four or more by their interquartile mean and its 95 % bootstrap interval.
func Curves(runs run.Runs, metrics ...string) Chart {
	return Chart{runs: runs, metrics: metrics, window: 1, over: Steps}.fresh()
}

// Axis is what a curve is drawn over: Steps, Updates or Seconds.
type Axis struct {
	label string
	of    func(run.Point) float64
}

// The axes of curves: joint steps of training; updates of the parameters; seconds of acting, stepping and updating.
var (
	Steps   = Axis{"joint steps", func(p run.Point) float64 { return float64(p.Steps) }}
	Updates = Axis{"updates", func(p run.Point) float64 { return float64(p.Updates) }}
	Seconds = Axis{"seconds of training", func(p run.Point) float64 { return p.Seconds }}
)

// Over returns the chart with another axis than joint steps.
func (c Chart) Over(x Axis) Chart { c.over = x; return c.fresh() }

// Smooth returns the chart with each run replaced by its moving mean over k logged points around each; 0 takes a
// fiftieth of the longest run's points. A group of one run also shows, faintly, what was logged.
func (c Chart) Smooth(k int) Chart { c.window = k; return c.fresh() }

// By returns the chart with runs grouped by label instead of by method and world.
func (c Chart) By(label func(*run.Run) string) Chart { c.by = label; return c.fresh() }

// Width returns the chart in another width: OneColumn, Page or FullWidth.
func (c Chart) Width(w Width) Chart { c.width = w; return c.fresh() }

// NoCaption returns the chart without the lines below it, for a paper that prints Caption itself.
func (c Chart) NoCaption() Chart { c.bare = true; return c.fresh() }

// Title returns the chart with a line above each panel: the world's name, where charts stand in a Grid.
func (c Chart) Title(text string) Chart { c.title = text; return c.fresh() }

// fresh forgets what another setting has read.
func (c Chart) fresh() Chart {
	settings := c
	c.once = sync.OnceValues(func() (*chartData, error) { return settings.read() })
	return c
}

// Formats lists "png", "pdf", "svg", "csv", "json" and "text".
func (Chart) Formats() []string { return figureFormats }

// Caption says aggregate, band, seeds, episodes and steps, and whatever else was done to the numbers.
func (c Chart) Caption() (string, error) {
	d, err := c.data()
	if err != nil {
		return "", err
	}
	return d.caption(), nil
}

func (c Chart) data() (*chartData, error) {
	if c.once == nil {
		return nil, fmt.Errorf("report: an empty chart, want one from report.Curves")
	}
	return c.once()
}

// Render draws the chart, writes its numbers as "csv" or "json", or says its last values as "text".
func (c Chart) Render(w io.Writer, format string) error {
	if err := known(format, figureFormats); err != nil {
		return err
	}
	d, err := c.data()
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		return d.numbers().csv(w)
	case "json":
		return d.numbers().json(w, d.caption())
	case "text":
		return d.text(w)
	}
	return d.figure(c.look).write(w, format)
}

// chartData is what a chart shows.
type chartData struct {
	title   string
	metrics []string
	over    Axis
	groups  []group
	window  int
	logged  int // points of the longest run
}

// group are the runs under one label.
type group struct {
	label    string
	style    int // of its line: its place among the groups of the figure
	runs     []*run.Run
	logged   [][]stats.Series // [metric][run]
	curves   []stats.Band     // [metric]
	raw      []stats.Series   // [metric], of a single run that is smoothed
	episodes []int64          // of each evaluation that is shown; none where training logged the metric
	steps    []int64          // trained by each run
}

func (c Chart) read() (*chartData, error) {
	list, err := c.runs.List()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("report: no runs to draw, want at least one")
	}
	if len(c.metrics) == 0 {
		return nil, fmt.Errorf(`report: no metric to draw, want some such as "loss" or "return"`)
	}
	if c.window < 0 {
		return nil, fmt.Errorf("report: moving mean over %d points, want at least 1, or 0 for a fiftieth of all", c.window)
	}
	if c.over.of == nil {
		return nil, fmt.Errorf("report: curves over nothing, want report.Steps, report.Updates or report.Seconds")
	}
	if err := c.look.check(); err != nil {
		return nil, err
	}
	d := &chartData{title: c.title, metrics: c.metrics, over: c.over, window: c.window, groups: grouped(list, c.by)}
	if err := d.each(func(g *group) error { return g.read(c.metrics, c.over) }); err != nil {
		return nil, err
	}
	for _, g := range d.groups {
		for _, s := range slices.Concat(g.logged...) {
			d.logged = max(d.logged, len(s.X))
		}
	}
	if d.window == 0 {
		d.window = max(1, d.logged/50)
	}
	return d, d.each(func(g *group) error { return g.draw(d.window) })
}

// each calls f for all groups at the same time and returns the first error in their order.
func (d *chartData) each(f func(*group) error) error {
	return together(len(d.groups), func(i int) error { return f(&d.groups[i]) })
}

// together calls f(0), …, f(n−1) at the same time and returns the first error in their order.
func together(n int, f func(int) error) error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { errs[i] = f(i) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// grouped puts runs under labels, in the order in which labels first appear.
func grouped(list []*run.Run, by func(*run.Run) string) []group {
	if by == nil {
		by = func(r *run.Run) string { return r.Method }
		for _, r := range list {
			if r.World != list[0].World {
				by = func(r *run.Run) string { return r.Method + ", " + r.World }
				break
			}
		}
	}
	var groups []group
	for _, r := range list {
		label := by(r)
		i := slices.IndexFunc(groups, func(g group) bool { return g.label == label })
		if i < 0 {
			i, groups = len(groups), append(groups, group{label: label, style: len(groups)})
		}
		groups[i].runs = append(groups[i].runs, r)
	}
	return groups
}

// read fetches what the runs of a group logged, side by side.
func (g *group) read(metrics []string, over Axis) error {
	g.logged = make([][]stats.Series, len(metrics))
	for m := range metrics {
		g.logged[m] = make([]stats.Series, len(g.runs))
	}
	points := make([]map[string][]run.Point, len(g.runs))
	err := together(len(g.runs), func(i int) error {
		var err error
		points[i], err = g.runs[i].Curves(metrics...)
		return err
	})
	if err != nil {
		return err
	}
	for i, curves := range points {
		last := int64(0)
		for m, metric := range metrics {
			var x, y []float64
			for _, p := range curves[metric] {
				x, y = append(x, over.of(p)), append(y, p.Value)
				last = max(last, p.Steps)
				if p.Episodes > 0 {
					g.episodes = append(g.episodes, int64(p.Episodes))
				}
			}
			g.logged[m][i] = stats.NewSeries(x, y)
		}
		g.steps = append(g.steps, last)
	}
	return nil
}

// draw turns what was logged into curves.
func (g *group) draw(window int) error {
	g.raw, g.curves = make([]stats.Series, len(g.logged)), make([]stats.Band, len(g.logged))
	return together(len(g.logged), func(m int) error {
		shown := slices.Clone(g.logged[m])
		if window > 1 {
			if len(shown) == 1 {
				g.raw[m] = shown[0]
			}
			for i := range shown {
				shown[i] = shown[i].Smoothed(window)
			}
		}
		var err error
		g.curves[m], err = aggregate(shown)
		return err
	})
}

func (d *chartData) caption() string {
	var parts []string
	kinds := map[string][]string{}
	var order []string
	var episodes, steps []int64
	for _, g := range d.groups {
		kind := describe(len(g.runs))
		if kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[kind] = append(kinds[kind], g.label)
		episodes, steps = append(episodes, g.episodes...), append(steps, g.steps...)
	}
	for _, kind := range order {
		if len(order) > 1 {
			kind = strings.Join(kinds[kind], "; ") + ": " + strings.ToLower(kind[:1]) + kind[1:]
		}
		parts = append(parts, kind+".")
	}
	trained := "Trained for " + between(steps, "joint step")
	if len(episodes) > 0 {
		trained += ", evaluated on " + between(episodes, "episode") + " per point"
	}
	parts = append(parts, trained+".")
	faint, uneven, apart := false, false, false
	for _, g := range d.groups {
		for i, c := range g.curves {
			faint = faint || len(g.raw[i].X) > 0
			apart = apart || !sameX(g.logged[i])
			for _, n := range c.Series {
				uneven = uneven || n < len(g.runs)
			}
		}
	}
	if d.window > 1 {
		s := fmt.Sprintf("Moving mean over %s logged points of each run", Thousands(int64(d.window)))
		if faint {
			s += "; faint: as logged"
		}
		parts = append(parts, s+".")
	}
	if apart {
		parts = append(parts, "Between a run's own points: linear.")
	}
	if uneven {
		parts = append(parts, "Where runs differ in length, over those that have a value.")
	}
	if d.logged > mostPoints {
		parts = append(parts, fmt.Sprintf("At most %d of %s points drawn.", mostPoints, Thousands(int64(d.logged))))
	}
	return strings.Join(parts, " ")
}

func describe(seeds int) string {
	switch {
	case seeds == 1:
		return "One seed, no band"
	case seeds < enoughSeeds:
		return fmt.Sprintf("Mean of %d seeds, band from lowest to highest", seeds)
	}
	return fmt.Sprintf("Interquartile mean of %d seeds, band: 95 %% bootstrap interval", seeds)
}

// numbers are those behind the figure.
func (d *chartData) numbers() numbers {
	name, _, _ := strings.Cut(strings.TrimPrefix(d.over.label, "joint "), " ")
	n := numbers{header: []string{"metric", "group", name, "value", "low", "high", "seeds"}}
	for m, metric := range d.metrics {
		for _, g := range d.groups {
			c := g.curves[m]
			for i, x := range c.X {
				low, high := c.Low[i], c.High[i]
				if len(g.runs) == 1 {
					low, high = math.NaN(), math.NaN()
				}
				n.add(metric, g.label, x, c.Y[i], low, high, c.Series[i])
			}
		}
	}
	return n
}

// text says what the figure shows, with the last values.
func (d *chartData) text(w io.Writer) error {
	var b strings.Builder
	name, _, _ := strings.Cut(strings.TrimPrefix(d.over.label, "joint "), " ")
	for m, metric := range d.metrics {
		fmt.Fprintf(&b, "%s over %s; last values:\n", words(metric), d.over.label)
		for _, g := range d.groups {
			c := g.curves[m]
			last := len(c.X) - 1
			fmt.Fprintf(&b, "  %s: %s", g.label, number(c.Y[last]))
			switch {
			case len(g.runs) > 1 && !math.IsNaN(c.Low[last]):
				fmt.Fprintf(&b, " (%s to %s, %s)", number(c.Low[last]), number(c.High[last]), plural(c.Series[last], "seed"))
			case len(g.runs) > 1:
				fmt.Fprintf(&b, " (%s)", plural(c.Series[last], "seed"))
			}
			fmt.Fprintf(&b, " at %s %s\n", number(c.X[last]), name)
		}
	}
	b.WriteString(d.caption() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}
