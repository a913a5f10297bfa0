package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// rliable is what testdata/published.py found with rliable 1.2.0.
type rliable struct {
	Resamples int
	Cases     []struct {
		Name        string
		X, Y        [][]float64
		Atom        *float64
		Statistics  map[string]estimate
		Improvement estimate
		Profile     struct{ Tau, Share, Low, High []float64 }
	}
	Efficiency struct {
		Scores         [][][]float64 // [run][task][evaluation]
		IQM, Low, High []float64
	}
}

type estimate struct {
	Value    float64
	Interval [2]float64
}

func readRliable(t *testing.T, data []byte) (r rliable) {
	t.Helper()
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) == 0 {
		t.Fatal("no cases")
	}
	return r
}

func stored(t *testing.T) rliable {
	t.Helper()
	data, err := os.ReadFile("testdata/rliable.json")
	if err != nil {
		t.Fatal(err)
	}
	return readRliable(t, data)
}

func aggregates() []Statistic {
	return []Statistic{AggregateIQM(), AggregateMedian(), AggregateMean(), OptimalityGap(1)}
}

// Point estimates are those of rliable to 1e-12.
func TestPointsAgainstRliable(t *testing.T) {
	for _, c := range stored(t).Cases {
		t.Run(c.Name, func(t *testing.T) {
			equal := func(what string, got, want float64) {
				if !near(got, want, 1e-12*max(1, math.Abs(want))) {
					t.Errorf("%s is %.17g, rliable's %.17g", what, got, want)
				}
			}
			for _, f := range aggregates() {
				equal(f.Name, f.Of(c.X), c.Statistics[f.Name].Value)
			}
			p, err := Improvement(Scores{Values: c.X}, Scores{Values: c.Y})
			if err != nil {
				t.Fatal(err)
			}
			equal("probability of improvement", p, c.Improvement.Value)
			profile, err := Scores{Values: c.X}.Profile(c.Profile.Tau, 1, 0.95, rand.New(rand.NewPCG(1, 1)))
			if err != nil {
				t.Fatal(err)
			}
			for i, tau := range profile.Tau {
				equal(ShareAbove(tau).Name, profile.Share[i], c.Profile.Share[i])
				equal(ShareAbove(tau).Name, ShareAbove(tau).Of(c.X), c.Profile.Share[i])
			}
		})
	}
}

// An end of a 95 % interval from n resamples of a normal statistic has the standard error √(0.025·0.975/n) / φ(1.96)
// standard deviations, and the interval is 3.92 of them wide. Two such errors, of ours and of rliable's, are allowed five of their own.
// Where values are tied, ends lie on a grid, and may also fall one step apart.
func closeEnds(t *testing.T, what string, got Interval, want [2]float64, n, m int, atom float64) {
	t.Helper()
	const density = 0.05845 // φ(1.96)
	width := max(got.High-got.Low, want[1]-want[0])
	one := func(n int) float64 { return 0.025 * 0.975 / float64(n) }
	tolerance := 5*math.Sqrt(one(n)+one(m))/density*width/3.92 + atom + 1e-12
	if !near(got.Low, want[0], tolerance) || !near(got.High, want[1], tolerance) {
		t.Errorf("%s: interval %v, rliable's %v, tolerance %.2g", what, got, want, tolerance)
	}
}

func TestIntervalsAgainstRliable(t *testing.T) {
	all := stored(t)
	compared := 0
	for i, c := range all.Cases {
		if c.Atom == nil { // lumps with gaps between, in which percentiles jump
			continue
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			x, y := Scores{Values: c.X}, Scores{Values: c.Y}
			size := float64(len(c.X) * len(c.X[0]))
			for _, f := range aggregates() {
				got, err := x.Bootstrap(f, all.Resamples, 0.95, r)
				if err != nil {
					t.Fatal(err)
				}
				step := *c.Atom * 2 / size // of a mean over half of the scores
				if f.Name == "Median" {
					step = *c.Atom / float64(2*len(c.X)) // of the mean of two tasks' means
				}
				closeEnds(t, f.Name, got, c.Statistics[f.Name].Interval, all.Resamples, all.Resamples, step)
			}
			const few = 2000
			got, err := ImprovementInterval(x, y, few, 0.95, r)
			if err != nil {
				t.Fatal(err)
			}
			pairs := 2 * len(c.X) * len(c.Y) * len(c.X[0]) // halves of pairs
			closeEnds(t, "probability of improvement", got, c.Improvement.Interval, few, few, 4/float64(pairs))
			p, err := x.Profile(c.Profile.Tau, all.Resamples, 0.95, r)
			if err != nil {
				t.Fatal(err)
			}
			for i := range p.Tau {
				closeEnds(t, ShareAbove(p.Tau[i]).Name, Interval{p.Low[i], p.High[i]}, [2]float64{c.Profile.Low[i], c.Profile.High[i]}, all.Resamples, all.Resamples, 1/size)
			}
		})
	}
	if compared < 4 {
		t.Errorf("%d cases compared, want at least 4", compared)
	}
}

func TestEfficiencyAgainstRliable(t *testing.T) {
	e := stored(t).Efficiency
	tasks := make([][]Series, len(e.Scores[0]))
	var x []float64
	for i := range e.IQM {
		x = append(x, float64(i))
	}
	for _, run := range e.Scores {
		for t, y := range run {
			tasks[t] = append(tasks[t], Series{x, y})
		}
	}
	got, err := Efficiency(tasks, x, AggregateIQM(), 5000, 0.95, rand.New(rand.NewPCG(1, 3)))
	if err != nil || len(got.X) != len(x) {
		t.Fatalf("%d points (%v), want %d", len(got.X), err, len(x))
	}
	for i := range x {
		if !near(got.Y[i], e.IQM[i], 1e-12) || got.Series[i] != len(e.Scores)*len(tasks) {
			t.Errorf("point %d: %v of %d series, rliable's %v", i, got.Y[i], got.Series[i], e.IQM[i])
		}
		closeEnds(t, "curve", Interval{got.Low[i], got.High[i]}, [2]float64{e.Low[i], e.High[i]}, 5000, 5000, 0)
	}
}

// TestRliableAgain runs the script anew where a Python with rliable is there: MUSTER_RLIABLE names it, or MUSTER_LONG=1 makes
// one. What it finds must be what is stored.
func TestRliableAgain(t *testing.T) {
	python := os.Getenv("MUSTER_RLIABLE")
	if python == "" && os.Getenv("MUSTER_LONG") == "" {
		t.Skip("needs a Python with rliable: MUSTER_RLIABLE=path, or MUSTER_LONG=1")
	}
	if python == "" {
		dir := t.TempDir()
		python = filepath.Join(dir, "bin", "python")
		for _, c := range [][]string{{"python3", "-m", "venv", dir}, {python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "testdata/requirements.txt"}} {
			if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", c, err, out)
			}
		}
	}
	out, err := exec.Command(python, "testdata/published.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	again, want := readRliable(t, out), stored(t)
	for i, c := range want.Cases {
		for name, e := range c.Statistics {
			if got := again.Cases[i].Statistics[name].Value; !near(got, e.Value, 1e-12) {
				t.Errorf("%s of %s is %v, stored is %v", name, c.Name, got, e.Value)
			}
		}
		if got := again.Cases[i].Improvement.Value; !near(got, c.Improvement.Value, 1e-12) {
			t.Errorf("improvement of %s is %v, stored is %v", c.Name, got, c.Improvement.Value)
		}
	}
}
