package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

func TestCurvesOfOneSeed(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 1))
	c := Curves(run.All("dqn/toy/line/*"), "loss")
	if got, want := render(t, c, "csv"), "metric,group,steps,value,low,high,seeds\n"+
		"loss,dqn,100,4,,,1\nloss,dqn,200,2,,,1\nloss,dqn,300,1,,,1\n"; got != want {
		t.Errorf("csv:\n%swant:\n%s", got, want)
	}
	if got, want := render(t, c, "text"), "loss over joint steps; last values:\n  dqn: 1 at 300 steps\nOne seed, no band.\n"; got != want {
		t.Errorf("text:\n%swant:\n%s", got, want)
	}
}

// Two seeds: mean and range. The second ends earlier, and its middle value is interpolated.
func TestCurvesOfTwoSeeds(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 1))
	store(t, "dqn", "toy/line", 1, []string{`{"steps":100,"loss":6}`, `{"steps":150,"loss":5}`, `{"steps":250,"loss":1}`})
	c := Curves(run.All("dqn/toy/line/*"), "loss")
	wants(t, render(t, c, "csv"), "loss,dqn,100,5,4,6,2\n", "loss,dqn,150,4,3,5,2\n", "loss,dqn,200,2.5,2,3,2\n",
		"loss,dqn,250,1.25,1,1.5,2\n", "loss,dqn,300,1,1,1,1\n")
	wants(t, render(t, c, "text"), "dqn: 1 (1 to 1, 1 seed) at 300 steps",
		"Mean of 2 seeds, band from lowest to highest.", "Where runs differ in length, over those that have a value.")
}

// Of 1, 2, 3 and 100 the interquartile mean is (2 + 3)/2; other methods keep to captions of their own.
func TestCurvesOfFourSeeds(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for seed, v := range []float64{100, 1, 3, 2} {
		store(t, "vdn", "toy/line", uint64(seed), lines("return", v))
	}
	store(t, "dqn", "toy/line", 0, lines("return", 7))
	text := render(t, Curves(run.All("*/toy/line/*"), "return"), "text")
	wants(t, text, "vdn: 2.5 (", "4 seeds) at 100 steps",
		"dqn: one seed, no band. vdn: interquartile mean of 4 seeds, band: 95 % bootstrap interval.")
}

func TestCurvesBySettingAndWorld(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/a", 0, lines("loss", 1))
	store(t, "dqn", "toy/b", 0, lines("loss", 2))
	wants(t, render(t, Curves(run.All("*/toy/*/*"), "loss"), "text"), "dqn, toy/a: 1", "dqn, toy/b: 2")
	by := Curves(run.All("*/toy/*/*"), "loss").By(func(*run.Run) string { return "both" })
	wants(t, render(t, by, "text"), "both: 1.5 (1 to 2, 2 seeds)")
}

// Over three points around each: (4+2)/2, (4+2+0)/3, (2+0+1)/3, (0+1)/2.
func TestSmooth(t *testing.T) {
	s := series{[]float64{1, 2, 3, 4}, []float64{4, 2, 0, 1}}
	for k, want := range map[int][]float64{1: {4, 2, 0, 1}, 2: {4, 3, 1, 0.5}, 3: {3, 2, 1, 0.5}, 100: {1.75, 1.75, 1.75, 1.75}} {
		if got := s.smoothed(k).values; !slices.Equal(got, want) {
			t.Errorf("moving mean over %d: %v, want %v", k, got, want)
		}
	}
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 0, 1))
	c := Curves(run.All("dqn/toy/line/0"), "loss")
	wants(t, render(t, c.Smooth(3), "csv"), "loss,dqn,300,1,,,1")
	wants(t, render(t, c.Smooth(0), "csv"), "loss,dqn,300,0,,,1") // a fiftieth of 4 points: none to average
	wants(t, render(t, c.Smooth(3), "text"), "Moving mean over 3 logged points of each run; faint: as logged.")
	wants(t, render(t, c, "csv"), "loss,dqn,300,0,,,1") // the chart itself has not changed
}

func TestRepeatedStepsTakeTheLaterLine(t *testing.T) {
	s := newSeries([]run.Point{{Steps: 1, Value: 1}, {Steps: 3, Value: 3}, {Steps: 2, Value: 20}, {Steps: 2, Value: 21}, {Steps: 5, Value: 5}})
	if !slices.Equal(s.steps, []float64{1, 2, 5}) || !slices.Equal(s.values, []float64{1, 21, 5}) {
		t.Errorf("%v %v, want steps 1, 2, 5 with 1, 21, 5", s.steps, s.values)
	}
}

func TestCurvesDrawAtMost300Points(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", make([]float64, 5000)...))
	c := Curves(run.All("dqn/toy/line/*"), "loss")
	csv := render(t, c, "csv")
	if n := strings.Count(csv, "\n"); n != 301 {
		t.Errorf("%d lines of csv, want a header and 300 points", n)
	}
	wants(t, csv, "loss,dqn,100,0,", "loss,dqn,500000,0,") // the ends stay
	wants(t, render(t, c, "text"), "At most 300 of 5,000 points drawn.")
}

func TestCurvesRefuse(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	refuses(t, Curves(run.All("dqn/*"), "loss"), "png", "no runs match dqn/*")
	store(t, "dqn", "toy/line", 0, lines("loss", 1))
	runs := run.All("dqn/toy/line/0")
	refuses(t, Curves(runs, "loss"), "gif", `unknown format "gif", want png, pdf, svg, csv or text`)
	refuses(t, Curves(runs, "los"), "png", `no metric "los"`, "loss")
	refuses(t, Curves(runs), "png", "no metric to draw")
	refuses(t, Curves(runs, "loss").Smooth(-1), "text", "-1 points")
	refuses(t, Curves(run.Of(), "loss"), "text", "no runs")
	refuses(t, Chart{}, "text", "report.Curves")
}

// noisy stores five seeds of three methods, with bands and curves that cross.
func noisy(t testing.TB) run.Runs {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for m, method := range []string{"dqn", "vdn", "qmix"} {
		for seed := range uint64(5) {
			r := rand.New(rand.NewPCG(seed, uint64(m)))
			values := make([]float64, 300)
			for i := range values {
				values[i] = float64(m*i) + 30*r.NormFloat64()
			}
			store(t, method, "toy/line", seed, lines("return", values...))
		}
	}
	return run.All("*/toy/line/*")
}

func TestFiguresAreSmallAndRepeat(t *testing.T) {
	runs := noisy(t)
	for _, c := range []Chart{Curves(runs, "return"), Curves(runs, "return", "return", "return").Smooth(5)} {
		data := render(t, c, "png")
		img, err := png.Decode(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := img.(*image.Paletted); !ok || img.Bounds().Dx() != 1056 {
			t.Errorf("a %T of width %d, want a palette and 5.5 in at 192 dpi", img, img.Bounds().Dx())
		}
		if n := base64.StdEncoding.EncodedLen(len(data)); n > 80_000 {
			t.Errorf("%d bytes in base64, a notebook's output holds 80,000", n)
		}
		if data != render(t, c, "png") {
			t.Error("the same figure gives other bytes")
		}
		pdf := render(t, c, "pdf")
		wants(t, pdf[:5], "%PDF-")
		wants(t, pdf, "/FontFile2") // fonts are embedded
		if pdf != render(t, c, "pdf") {
			t.Error("the same figure gives another PDF")
		}
	}
}

// A blank picture would pass every test above: each method's colour must be on the canvas.
func TestCurvesHaveTheirColours(t *testing.T) {
	img, err := png.Decode(strings.NewReader(render(t, Curves(noisy(t), "return"), "png")))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range okabeIto[:3] {
		n := 0
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, g, b, _ := img.At(x, y).RGBA(); r>>8 == uint32(c.R) && g>>8 == uint32(c.G) && b>>8 == uint32(c.B) {
					n++
				}
			}
		}
		if n < 500 {
			t.Errorf("%d pixels in colour %d, want a curve's worth", n, i)
		}
	}
}

// BenchmarkRenderPNG draws a live figure: two panels of one run with 300 points, read from its directory.
func BenchmarkRenderPNG(b *testing.B) {
	b.Setenv("MUSTER_RUNS", b.TempDir())
	var rows []string
	for i := range 1000 {
		rows = append(rows, fmt.Sprintf(`{"steps":%d,"updates":%d,"seconds":%d,"loss":%g,"train_return":%g}`,
			100*i, i, i, 2*math.Exp(-float64(i)/200)+rand.Float64()/5, float64(i)*(1+rand.Float64()/5)))
	}
	store(b, "dqn", "toy/line", 0, rows)
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if err := Curves(run.All("dqn/toy/line/0"), "loss", "train_return").Smooth(20).Render(&out, "png"); err != nil {
			b.Fatal(err)
		}
	}
}
