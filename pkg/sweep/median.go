package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// Median ends a run whose best value so far is worse than the median, over other runs on its world, of their means up to
// the last of its steps that enough of them have reached (the median stopping rule of Golovin et al., KDD 2017, section
// 3.2.2; there only runs that are complete count, and values up to that step). Which runs it ends depends on how fast the others are. What it ends is recorded
// in the run's log.txt, in the sweep's folder and in its status; without the rule the run goes on.
type Median struct {
	Metric string // such as "return", by its name in the run
	After  int64  // joint steps before which nothing is ended
	Runs   int    // how many others must have come as far; 0 = 3
	Lower  bool   // true = lower values are better
}

func (m *Median) check() error {
	switch {
	case m == nil:
		return nil
	case m.Metric == "":
		return fmt.Errorf(`sweep: the median rule has no Metric, want one such as "return"`)
	case m.After < 0 || m.Runs < 0:
		return fmt.Errorf("sweep: a median rule after %d steps and %d runs, want neither negative", m.After, m.Runs)
	}
	return nil
}

func (m *Median) runs() int {
	if m.Runs == 0 {
		return 3
	}
	return m.Runs
}

// watch judges the run of task i now and then, and calls end once when it is hopeless.
func (m *Median) watch(ctx context.Context, p *plan, i int, end func(why string)) {
	pause := time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		mine, world := m.curve(p.tasks[i])
		var others [][]run.Point
		for k, dir := range p.tasks {
			if k == i {
				continue
			}
			if curve, w := m.curve(dir); w == world {
				others = append(others, curve)
			}
		}
		if why := m.judge(mine, others); why != "" {
			end(why)
			return
		}
		pause = max(time.Second, 50*time.Since(began)) // many runs take long to read
	}
}

// curve reads the points of a run; none before it has any.
func (m *Median) curve(dir string) ([]run.Point, string) {
	r, err := run.Open(dir)
	if err != nil {
		return nil, ""
	}
	points, err := r.Metrics(m.Metric)
	if err != nil {
		return nil, r.World
	}
	return points, r.World
}

// judge says why a run with such points is hopeless beside the others, or "".
func (m *Median) judge(mine []run.Point, others [][]run.Point) string {
	at := m.furthest(mine, others)
	if at < 0 || at < m.After {
		return ""
	}
	sign := 1.0
	if m.Lower {
		sign = -1
	}
	best := sign * mine[0].Value
	for _, p := range mine {
		best = max(best, sign*p.Value)
	}
	var means []float64
	for _, curve := range others {
		if !reaches(curve, at) {
			continue
		}
		sum, n := 0.0, 0.0
		for _, p := range curve {
			if p.Steps <= at {
				sum, n = sum+sign*p.Value, n+1
			}
		}
		if n > 0 {
			means = append(means, sum/n)
		}
	}
	if len(means) < m.runs() {
		return ""
	}
	slices.Sort(means)
	median := (means[(len(means)-1)/2] + means[len(means)/2]) / 2
	if best >= median {
		return ""
	}
	return fmt.Sprintf("median rule: its best %s so far is %.4g, the median of the means of %d other runs up to step %d is %.4g",
		strings.ReplaceAll(m.Metric, "_", " "), sign*best, len(means), at, sign*median)
}

// furthest is the last step of a run that enough others have reached, too; −1 = none.
func (m *Median) furthest(mine []run.Point, others [][]run.Point) int64 {
	for _, p := range slices.Backward(mine) {
		n := 0
		for _, curve := range others {
			if reaches(curve, p.Steps) {
				n++
			}
		}
		if n >= m.runs() {
			return p.Steps
		}
	}
	return -1
}

func reaches(curve []run.Point, step int64) bool {
	return len(curve) > 0 && curve[len(curve)-1].Steps >= step
}
