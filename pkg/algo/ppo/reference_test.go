package ppo

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// The tables of others go into reports as they are, and say what can be: no more seeds than there were, and quantities
// nearer to the solution of their order of decisions than to the other one.
func TestReference(t *testing.T) {
	one, err := run.Given("steer", "matrix/mixing", 0, []run.Evaluation{{Steps: 1, Stream: "final", Episodes: 1, Returns: []float64{0}, Lengths: []int{1},
		Outcomes: map[string]int{"ended": 1}, Metrics: map[string][]float64{"stackelberg": {1}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Counts{ReferenceGames(), ReferenceNStep()} {
		for i, row := range c.Seeds {
			for j, s := range row {
				if s[0] > s[2] || s[1] > s[2] {
					t.Errorf("%s, %s: %v of %d seeds", c.Rows[i], c.Columns[j], s[:2], s[2])
				}
			}
		}
		place := func(*run.Run) (string, string) { return c.Rows[0], c.Columns[0] }
		var text bytes.Buffer
		if err := report.Attained(run.Of(one), "stackelberg", place).Beside(report.Counts(c)).Render(&text, "text"); err != nil {
			t.Error(err)
		}
		if !strings.Contains(text.String(), "(1/1)") || !strings.Contains(text.String(), "PyTorch") {
			t.Errorf("our run, or the source, is missing in:\n%s", &text)
		}
	}
	for _, p := range []Published{ReferenceMarket(), ReferenceMarket3(), ReferenceSpread()} {
		place := func(*run.Run) string { return p.Columns[0] }
		if _, err := report.Against(report.Published(p), run.Of(one), place, report.MeanOf(p.Rows[0], "return")).Table(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []Published{ReferenceMarket(), ReferenceMarket3()} {
		w := oligopoly.Market{Firms: len(p.Rows)}
		for j, column := range p.Columns {
			var quantities []float64
			for i := range p.Rows {
				quantities = append(quantities, p.Values[i][j])
			}
			if math.IsNaN(quantities[0]) {
				continue
			}
			near, far := distance(quantities, w.Stackelberg()), distance(quantities, w.Nash())
			if column == "ippo" {
				near, far = far, near
			}
			if near > 0.05 || near > far {
				t.Errorf("%s with %d sellers: %v is %v from its solution and %v from the other", column, w.Firms, quantities, near, far)
			}
		}
	}
}

func distance(a, b []float64) float64 {
	gaps := make([]float64, len(a))
	for i := range a {
		gaps[i] = max(a[i]-b[i], b[i]-a[i])
	}
	return stats.Mean(gaps)
}
