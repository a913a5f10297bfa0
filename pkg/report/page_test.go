package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// page stores five seeds of eight methods with 400 evaluations of 20 episodes each.
func page(b *testing.B) run.Runs {
	b.Helper()
	b.Setenv("MUSTER_RUNS", b.TempDir())
	for m := range 8 {
		for seed := range uint64(5) {
			r := rand.New(rand.NewPCG(seed, uint64(m)))
			var evals []run.Evaluation
			for i := range 400 {
				p := float64(m+2) / 10 * (1 - math.Exp(-float64(i)/100))
				evals = append(evals, evaluation("eval", int64(1000*i), 20, p, r))
			}
			store(b, fmt.Sprintf("method%d", m), "toy/line", seed, nil, evals...)
		}
	}
	return run.All("*/toy/line/*")
}

// BenchmarkPage reads and renders eight curves over 5 seeds × 400 evaluations: in one panel, and as a page of eight panels.
func BenchmarkPage(b *testing.B) {
	runs := page(b)
	method := func(m int) run.Runs {
		return only(runs, func(r *run.Run) bool { return r.Method == fmt.Sprintf("method%d", m) })
	}
	for _, format := range []string{"png", "pdf"} {
		b.Run("panel/"+format, func(b *testing.B) {
			for b.Loop() {
				if err := Curves(runs, "return").Render(&bytes.Buffer{}, format); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("panels/"+format, func(b *testing.B) {
			for b.Loop() {
				var charts []Chart
				for m := range 8 {
					charts = append(charts, Curves(method(m), "return").Title(fmt.Sprintf("world %d", m)))
				}
				if err := Grid(2, charts...).Render(&bytes.Buffer{}, format); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("drawn/"+format, func(b *testing.B) { // read before
			c := Curves(runs, "return")
			if _, err := c.Caption(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := c.Render(&bytes.Buffer{}, format); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
