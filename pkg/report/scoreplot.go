package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/muster-marl/muster/pkg/stats"
	"gonum.org/v1/plot/vg/draw"
)

const (
	aggregateResamples = 10_000 // of one number, for figures
	curvesResamples    = 2000   // of a curve or of pairs
)

// ScorePlot is a figure of final scores: one of Profiles, Aggregates, Improvements, Bars and Boxes.
type ScorePlot struct {
	look
	board Board
	make  func(*boardData) (scoreFigure, error)
	once  func() (scoreFigure, error)
}

// scoreFigure is what a ScorePlot shows.
type scoreFigure struct {
	draw    func(f *figure) // sets height, body and legend for the width of f
	numbers numbers
	said    []string // lines of text
	caption string
}

func newScorePlot(b Board, f func(*boardData) (scoreFigure, error)) ScorePlot {
	return ScorePlot{board: b, make: f}.fresh()
}

func (p ScorePlot) fresh() ScorePlot {
	settings := p
	p.once = sync.OnceValues(func() (scoreFigure, error) {
		if err := settings.look.check(); err != nil {
			return scoreFigure{}, err
		}
		d, err := settings.board.data()
		if err != nil {
			return scoreFigure{}, err
		}
		return settings.make(d)
	})
	return p
}

// Width returns the figure in another width: OneColumn, Page or FullWidth.
func (p ScorePlot) Width(w Width) ScorePlot { p.width = w; return p.fresh() }

// NoCaption returns the figure without the lines below it, for a paper that prints Caption itself.
func (p ScorePlot) NoCaption() ScorePlot { p.bare = true; return p.fresh() }

// Formats lists "png", "pdf", "svg", "csv", "json" and "text".
func (ScorePlot) Formats() []string { return figureFormats }

// Caption says what is shown, of how many seeds, episodes and steps, and the kind of interval.
func (p ScorePlot) Caption() (string, error) {
	f, err := p.data()
	return f.caption, err
}

func (p ScorePlot) data() (scoreFigure, error) {
	if p.once == nil {
		return scoreFigure{}, fmt.Errorf("report: an empty figure, want one such as from report.Profiles")
	}
	return p.once()
}

// Render draws the figure, writes its numbers as "csv" or "json", or says them as "text".
func (p ScorePlot) Render(w io.Writer, format string) error {
	if err := known(format, figureFormats); err != nil {
		return err
	}
	s, err := p.data()
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		return s.numbers.csv(w)
	case "json":
		return s.numbers.json(w, s.caption)
	case "text":
		_, err := io.WriteString(w, strings.Join(append(s.said, s.caption), "\n")+"\n")
		return err
	}
	f := p.look.figure(s.caption)
	s.draw(f)
	return f.write(w, format)
}

// orNaN is an interval, or NaN where there is none.
func orNaN(in stats.Interval, ok bool) stats.Interval {
	if !ok {
		return stats.Interval{Low: math.NaN(), High: math.NaN()}
	}
	return in
}

// estimated says a value with its interval, if it has one: "0.52 [0.41, 0.6]".
func estimated(v float64, in stats.Interval) string {
	if math.IsNaN(in.Low) {
		return number(v)
	}
	return fmt.Sprintf("%s [%s, %s]", number(v), number(in.Low), number(in.High))
}

// legendOf names methods by their lines.
func legendOf(methods []string) (list []entry) {
	for i, m := range methods {
		list = append(list, entry{m, lineOf(i)})
	}
	return list
}

// Profiles returns the performance profiles of a board: for each score τ, the share of runs, over all worlds, that score more
// (Agarwal et al. 2021, section 4.2). A curve above another everywhere is the better method, whatever is asked of it.
func Profiles(b Board) ScorePlot {
	return newScorePlot(b, func(d *boardData) (scoreFigure, error) {
		var e extent
		for _, s := range d.scores {
			for _, row := range s.Values {
				e.add(row...)
			}
		}
		const points = 200
		low, high := e.low-(e.high-e.low)/50, e.high+(e.high-e.low)/50
		taus := make([]float64, points+1)
		for i := range taus {
			taus[i] = low + (high-low)*float64(i)/points
		}
		s := scoreFigure{numbers: numbers{header: []string{"method", "tau", "share", "low", "high"}}}
		s.caption = d.caption("Performance profiles: the share of runs that score more; bands: pointwise 95 % stratified bootstrap intervals.")
		s.said = append(s.said, fmt.Sprintf("Share of runs whose %s is more than half of all scores:", d.axis()))
		var all []float64
		for _, sc := range d.scores {
			for _, row := range sc.Values {
				all = append(all, row...)
			}
		}
		middle := stats.Median(all)
		profiles := make([]stats.Profile, len(d.methods))
		for m, name := range d.methods {
			var err error
			if profiles[m], err = d.scores[m].Profile(taus, curvesResamples, 0.95, again()); err != nil {
				return s, err
			}
			for i, tau := range taus {
				in := stats.Interval{Low: math.NaN(), High: math.NaN()}
				if profiles[m].Low != nil {
					in = stats.Interval{Low: profiles[m].Low[i], High: profiles[m].High[i]}
				}
				s.numbers.add(name, tau, profiles[m].Share[i], in.Low, in.High)
			}
			s.said = append(s.said, fmt.Sprintf("  %s: %s (above %s)", name, number(stats.ShareAbove(middle).Of(d.scores[m].Values)), number(middle)))
		}
		s.draw = func(f *figure) {
			p := newPlot(d.axis(), "share of runs above it")
			for i, of := range profiles {
				if of.Low != nil {
					p.Add(band(of.Tau, of.Low, of.High, i))
				}
			}
			for i, of := range profiles {
				l := line(of.Tau, of.Share)
				l.LineStyle = lineOf(i)
				p.Add(l)
			}
			p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, high, 0, 1.02
			f.legend, f.height = legendOf(d.methods), panelHeight(f.width)
			f.body = func(c draw.Canvas) { p.Draw(c) }
		}
		return s, nil
	})
}

// Aggregates returns the interquartile mean, the median and the mean of a board, each with its 95 % stratified bootstrap
// interval, and the optimality gap where scores are normalised (Agarwal et al. 2021, section 4.3).
func Aggregates(b Board) ScorePlot {
	return newScorePlot(b, func(d *boardData) (scoreFigure, error) {
		list := []stats.Statistic{stats.AggregateIQM(), stats.AggregateMedian(), stats.AggregateMean()}
		if d.scaled != "" {
			list = append(list, stats.OptimalityGap(1))
		}
		s := scoreFigure{numbers: numbers{header: []string{"statistic", "method", "value", "low", "high"}}}
		s.caption = d.caption("Aggregates over seeds and worlds; bars: 95 % stratified bootstrap intervals.")
		panels := make([]dots, len(list))
		for i, f := range list {
			panels[i] = dots{title: f.Name, names: d.methods}
			s.said = append(s.said, f.Name+" of "+d.axis()+":")
			for m, name := range d.methods {
				in, ok, err := d.interval(m, f, aggregateResamples)
				if err != nil {
					return s, err
				}
				in = orNaN(in, ok)
				v := f.Of(d.scores[m].Values)
				panels[i].add(v, in)
				s.numbers.add(f.Name, name, v, in.Low, in.High)
				s.said = append(s.said, "  "+name+": "+estimated(v, in))
			}
		}
		s.draw = func(f *figure) { drawDots(f, panels, d.axis()) }
		return s, nil
	})
}

// Improvements returns, for each method, the probability that one of its runs beats a run of the method `over` on a world drawn
// at random (Agarwal et al. 2021, section 4.3), with its 95 % stratified bootstrap interval; "" takes all pairs.
func Improvements(b Board, over string) ScorePlot {
	return newScorePlot(b, func(d *boardData) (scoreFigure, error) {
		s := scoreFigure{numbers: numbers{header: []string{"method", "over", "probability", "low", "high"}}}
		s.caption = d.caption("Probability that a run of the first method scores more than one of the second; bars: 95 % stratified bootstrap intervals.")
		known := over == ""
		panel := dots{reference: 0.5}
		for i, y := range d.methods {
			known = known || y == over
			for j, x := range d.methods {
				if i == j || over != "" && y != over || over == "" && j < i {
					continue
				}
				v, err := stats.Improvement(d.scores[j], d.scores[i])
				if err != nil {
					return s, err
				}
				in := orNaN(stats.Interval{}, false)
				if len(d.scores[i].Values) > 1 && len(d.scores[j].Values) > 1 {
					if in, err = stats.ImprovementInterval(d.scores[j], d.scores[i], curvesResamples, 0.95, again()); err != nil {
						return s, err
					}
				}
				panel.names = append(panel.names, x+" over "+y)
				panel.add(v, in)
				s.numbers.add(x, y, v, in.Low, in.High)
				s.said = append(s.said, fmt.Sprintf("P(%s > %s): %s", x, y, estimated(v, in)))
			}
		}
		if !known {
			return s, fmt.Errorf("report: improvements over %q, which no run is; there are %s", over, strings.Join(d.methods, ", "))
		}
		if len(panel.names) == 0 {
			return s, fmt.Errorf("report: improvements of a single method, %s, want at least two", d.methods[0])
		}
		s.draw = func(f *figure) { drawDots(f, []dots{panel}, "probability of improvement") }
		return s, nil
	})
}
