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
	"gonum.org/v1/plot/vg"
)

func TestCurvesOfOneSeed(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 1))
	c := Curves(run.All("dqn/toy/line/*"), "loss")
	if got, want := render(t, c, "csv"), "metric,group,steps,value,low,high,seeds\n"+
		"loss,dqn,100,4,,,1\nloss,dqn,200,2,,,1\nloss,dqn,300,1,,,1\n"; got != want {
		t.Errorf("csv:\n%swant:\n%s", got, want)
	}
	if got, want := render(t, c, "text"), "loss over joint steps; last values:\n  dqn: 1 at 300 steps\nOne seed, no band. Trained for 300 joint steps.\n"; got != want {
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
		"Mean of 2 seeds, band from lowest to highest. Trained for 250 to 300 joint steps. Between a run's own points: linear.", "Where runs differ in length, over those that have a value.")
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

func TestSmooth(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 0, 1))
	c := Curves(run.All("dqn/toy/line/0"), "loss")
	wants(t, render(t, c.Smooth(3), "csv"), "loss,dqn,300,1,,,1")
	wants(t, render(t, c.Smooth(0), "csv"), "loss,dqn,300,0,,,1") // a fiftieth of 4 points: none to average
	wants(t, render(t, c.Smooth(3), "text"), "Moving mean over 3 logged points of each run; faint: as logged.")
	wants(t, render(t, c, "csv"), "loss,dqn,300,0,,,1") // the chart itself has not changed
}

func TestCurvesOverUpdatesAndSeconds(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "dqn", "toy/line", 0, lines("loss", 4, 2, 1))
	c := Curves(run.All("dqn/toy/line/*"), "loss")
	wants(t, render(t, c.Over(Updates), "csv"), "metric,group,updates,value", "loss,dqn,1,4,,,1\nloss,dqn,2,2,,,1\nloss,dqn,3,1,,,1\n")
	wants(t, render(t, c.Over(Seconds), "csv"), "metric,group,seconds,value", "loss,dqn,0,4,,,1\nloss,dqn,1,2,,,1\nloss,dqn,2,1,,,1\n")
	wants(t, render(t, c.Over(Seconds), "text"), "loss over seconds of training", "at 2 seconds", "Trained for 300 joint steps.")
	wants(t, render(t, c, "json"), `{"caption":"One seed, no band. Trained for 300 joint steps.","columns":["metric","group","steps",`, `["loss","dqn",100,4,null,null,1]`)
	refuses(t, c.Over(Axis{}), "png", "curves over nothing")
	refuses(t, c.Width(100), "png", "100 inches wide")
}

func TestCurvesOfEvaluations(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	at := func(steps int64, returns ...float64) run.Evaluation {
		return run.Evaluation{Steps: steps, Stream: "eval", Episodes: len(returns), Returns: returns}
	}
	store(t, "dqn", "toy/line", 0, nil, at(0, 1, 3), at(50, 5, 7))
	caption, err := Curves(run.All("dqn/toy/line/*"), "return").Caption()
	if want := "One seed, no band. Trained for 50 joint steps, evaluated on 2 episodes per point."; caption != want || err != nil {
		t.Errorf("caption %q (%v), want %q", caption, err, want)
	}
}

func TestLabelsStandApart(t *testing.T) {
	at := []vg.Length{1, 2, 3, 50, 99, 99.5}
	apart(at, 10, 0, 100)
	// The three lowest begin at 5, the highest two end at 95, and who stands alone stays.
	if want := []vg.Length{5, 15, 25, 50, 85, 95}; !slices.Equal(at, want) {
		t.Errorf("labels at %v, want %v", at, want)
	}
	at = []vg.Length{40, 41, 52}
	apart(at, 10, 0, 100) // as little as possible: 34.33, 44.33, 54.33 move by 5.67, 3.33 and 2.33 up and down
	for i, want := range []float64{34.3333, 44.3333, 54.3333} {
		if math.Abs(float64(at[i])-want) > 0.001 {
			t.Errorf("labels at %v, want %v at %d", at, want, i)
		}
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
	refuses(t, Curves(runs, "loss"), "gif", `unknown format "gif", want png, pdf, svg, csv, json or text`)
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

// An axis shows its values with a little room; a curve of zeros lies at its bottom.
func TestAxis(t *testing.T) {
	for _, c := range []struct{ values, want [2]float64 }{{[2]float64{0, 0}, [2]float64{-0.04, 1.04}}, {[2]float64{2, 27}, [2]float64{1, 28}}} {
		var e extent
		e.add(c.values[:]...)
		if low, high := e.padded(); low != c.want[0] || high != c.want[1] {
			t.Errorf("%v is shown from %v to %v, want %v", c.values, low, high, c.want)
		}
	}
}
