package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Chart is a figure of learning curves, made by Curves.
type Chart struct {
	runs    run.Runs
	metrics []string
	window  int
	by      func(*run.Run) string
	once    func() (*chartData, error)
}

// Curves returns the learning curves of metrics over joint steps, one panel per metric. Runs of one method
// (and of one world, where there are several) form a group that is shown by one curve: a single run as it is,
// two or three by their mean and range, four or more by their interquartile mean and its 95 % bootstrap interval.
func Curves(runs run.Runs, metrics ...string) Chart {
	return Chart{runs: runs, metrics: metrics, window: 1}.fresh()
}

// Smooth returns the chart with each run replaced by its moving mean over k logged points around each; 0 takes a
// fiftieth of the longest run's points. A group of one run also shows, faintly, what was logged.
func (c Chart) Smooth(k int) Chart { c.window = k; return c.fresh() }

// By returns the chart with runs grouped by label instead of by method and world.
func (c Chart) By(label func(*run.Run) string) Chart { c.by = label; return c.fresh() }

// fresh forgets what another setting has read.
func (c Chart) fresh() Chart {
	settings := c
	c.once = sync.OnceValues(func() (*chartData, error) { return settings.read() })
	return c
}

// Formats lists "png", "pdf", "svg", "csv" and "text".
func (Chart) Formats() []string { return figureFormats }

// Render draws the chart, writes its numbers as "csv", or says its last values as "text".
func (c Chart) Render(w io.Writer, format string) error {
	if err := known(format, figureFormats); err != nil {
		return err
	}
	if c.once == nil {
		return fmt.Errorf("report: an empty chart, want one from report.Curves")
	}
	d, err := c.once()
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		return d.csv(w)
	case "text":
		return d.text(w)
	}
	return d.figure().write(w, format)
}

// chartData is what a chart shows.
type chartData struct {
	metrics []string
	groups  []group
	window  int
	logged  int // points of the longest run
}

// group are the runs under one label.
type group struct {
	label  string
	runs   []*run.Run
	logged [][]series // [metric][run]
	curves []curve    // [metric]
	raw    []series   // [metric], of a single run that is smoothed
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
	d := &chartData{metrics: c.metrics, window: c.window, groups: grouped(list, c.by)}
	if err := d.each(func(g *group) error { return g.read(c.metrics) }); err != nil {
		return nil, err
	}
	for _, g := range d.groups {
		for _, s := range slices.Concat(g.logged...) {
			d.logged = max(d.logged, len(s.steps))
		}
	}
	if d.window == 0 {
		d.window = max(1, d.logged/50)
	}
	return d, d.each(func(g *group) error { g.draw(d.window); return nil })
}

// each calls f for all groups at the same time and returns the first error in their order.
func (d *chartData) each(f func(*group) error) error {
	errs := make([]error, len(d.groups))
	var wait sync.WaitGroup
	for i := range d.groups {
		wait.Go(func() { errs[i] = f(&d.groups[i]) })
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
			i, groups = len(groups), append(groups, group{label: label})
		}
		groups[i].runs = append(groups[i].runs, r)
	}
	return groups
}

// read fetches what the runs of a group logged, side by side.
func (g *group) read(metrics []string) error {
	g.logged = make([][]series, len(metrics))
	errs := make([]error, len(g.runs))
	var wait sync.WaitGroup
	for m := range metrics {
		g.logged[m] = make([]series, len(g.runs))
	}
	for i, r := range g.runs {
		wait.Go(func() {
			curves, err := r.Curves(metrics...)
			if errs[i] = err; err != nil {
				return
			}
			for m, metric := range metrics {
				g.logged[m][i] = newSeries(curves[metric])
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// draw turns what was logged into curves.
func (g *group) draw(window int) {
	for _, logged := range g.logged {
		var raw series
		shown := slices.Clone(logged)
		if window > 1 {
			if len(logged) == 1 {
				raw = logged[0]
			}
			for i := range shown {
				shown[i] = shown[i].smoothed(window)
			}
		}
		g.raw = append(g.raw, raw)
		g.curves = append(g.curves, aggregate(shown))
	}
}

// caption names aggregate, band and seeds, and whatever else was done to the numbers.
func (d *chartData) caption() string {
	var parts []string
	kinds := map[string][]string{}
	var order []string
	for _, g := range d.groups {
		kind := describe(len(g.runs))
		if kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[kind] = append(kinds[kind], g.label)
	}
	for _, kind := range order {
		if len(order) > 1 {
			kind = strings.Join(kinds[kind], "; ") + ": " + strings.ToLower(kind[:1]) + kind[1:]
		}
		parts = append(parts, kind+".")
	}
	faint := false
	uneven := false
	for _, g := range d.groups {
		for i, c := range g.curves {
			faint = faint || len(g.raw[i].steps) > 0
			for _, n := range c.seeds {
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

func (d *chartData) figure() *figure {
	f := &figure{width: pageWidth, caption: d.caption()}
	for i, g := range d.groups {
		f.legend = append(f.legend, entry{g.label, lineOf(i)})
	}
	plots := make([]*plot.Plot, len(d.metrics))
	for m := range d.metrics {
		plots[m] = d.panel(m)
	}
	columns, height := 1, 2.7*vg.Inch
	if len(plots) > 1 {
		columns, height = 2, 2.0*vg.Inch
	}
	rows := (len(plots) + columns - 1) / columns
	f.height = vg.Length(rows)*height + vg.Length(rows-1)*10
	f.body = tiled(plots, columns)
	return f
}

// panel draws one metric: bands below, what was logged above them, curves on top.
func (d *chartData) panel(m int) *plot.Plot {
	p := newPlot("joint steps", words(d.metrics[m]))
	var x, y extent
	for i, g := range d.groups {
		c := g.curves[m]
		x.add(c.steps...)
		y.add(c.values...)
		if len(g.runs) > 1 {
			y.add(c.low...)
			y.add(c.high...)
			p.Add(band(c, i))
		}
		if raw := g.raw[m]; len(raw.steps) > 0 {
			sorted := slices.Sorted(slices.Values(raw.values))
			y.add(stats.Quantile(0.01, sorted), stats.Quantile(0.99, sorted))
			steps := thinned(raw.steps)
			values := make([]float64, len(steps))
			for j, s := range steps {
				values[j], _ = raw.at(s)
			}
			l := line(steps, values)
			l.LineStyle = lineOf(i)
			l.Width, l.Color = 0.5, withAlpha(okabeIto[i%hues], 70)
			p.Add(l)
		}
	}
	for i, g := range d.groups {
		l := line(g.curves[m].steps, g.curves[m].values)
		l.LineStyle = lineOf(i)
		p.Add(l)
		if len(l.XYs) == 1 { // a line of one point cannot be seen
			p.Add(&plotter.Scatter{XYs: l.XYs, GlyphStyle: draw.GlyphStyle{Color: l.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
		}
	}
	if x.low < x.high/10 && x.low > 0 {
		x.low = 0
	}
	p.X.Min, p.X.Max = x.low, x.high
	pad := (y.high - y.low) / 25
	p.Y.Min, p.Y.Max = y.low-pad, y.high+pad
	return p
}

// extent is the range of values that an axis must show.
type extent struct {
	low, high float64
	any       bool
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

func band(c curve, i int) *plotter.Polygon {
	edge := line(c.steps, c.high).XYs
	back := line(c.steps, c.low).XYs
	slices.Reverse(back)
	return &plotter.Polygon{XYs: []plotter.XYs{append(edge, back...)}, Color: withAlpha(okabeIto[i%hues], 50)}
}

// csv writes the numbers behind the figure.
func (d *chartData) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write([]string{"metric", "group", "steps", "value", "low", "high", "seeds"})
	full := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for m, metric := range d.metrics {
		for _, g := range d.groups {
			c := g.curves[m]
			for i, x := range c.steps {
				low, high := full(c.low[i]), full(c.high[i])
				if len(g.runs) == 1 {
					low, high = "", ""
				}
				out.Write([]string{metric, g.label, full(x), full(c.values[i]), low, high, strconv.Itoa(c.seeds[i])})
			}
		}
	}
	out.Flush()
	return out.Error()
}

// text says what the figure shows, with the last values.
func (d *chartData) text(w io.Writer) error {
	var b strings.Builder
	for m, metric := range d.metrics {
		fmt.Fprintf(&b, "%s over joint steps; last values:\n", words(metric))
		for _, g := range d.groups {
			c := g.curves[m]
			last := len(c.steps) - 1
			fmt.Fprintf(&b, "  %s: %s", g.label, number(c.values[last]))
			if len(g.runs) > 1 {
				fmt.Fprintf(&b, " (%s to %s, %s)", number(c.low[last]), number(c.high[last]), plural(c.seeds[last], "seed"))
			}
			fmt.Fprintf(&b, " at %s steps\n", Thousands(int64(c.steps[last])))
		}
	}
	b.WriteString(d.caption() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}
