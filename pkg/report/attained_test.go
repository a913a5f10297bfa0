package report

import (
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/game"
	"github.com/muster-marl/muster/pkg/run"
)

// hits are evaluations at 10, 20, …, whose only episode attains what a value says, and the final one, like the last.
func hits(values ...float64) []run.Evaluation {
	var out []run.Evaluation
	for i, v := range append(values, values[len(values)-1]) {
		e := run.Evaluation{Steps: int64(10 * (i + 1)), Stream: "eval", Episodes: 1, Returns: []float64{26.5 * v}, Lengths: []int{1},
			Outcomes: map[string]int{"ended": 1}, Metrics: map[string][]float64{"stackelberg": {v}}}
		if i == len(values) {
			e.Steps, e.Stream = int64(10*i), "final"
		}
		out = append(out, e)
	}
	return out
}

// Of three seeds one holds 1 in the last fifth (steps 90 and 100 of 100), one only at the end, one never; what happened
// before the last fifth does not count. Wilson's interval of 1 of 3 goes from 6.1 to 79.2 %.
func TestAttained(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "steer", "toy/mixing", 0, nil, hits(0, 0, 0, 0, 0, 0, 0, 0, 1, 1)...)
	store(t, "steer", "toy/mixing", 1, nil, hits(1, 1, 1, 1, 1, 1, 1, 1, 0, 1)...)
	store(t, "steer", "toy/mixing", 2, nil, hits(1, 1, 1, 1, 1, 1, 1, 1, 1, 0)...)
	place := func(r *run.Run) (string, string) { return "ours: mixing", r.Method }
	a := Attained(run.All("steer/toy/*/*"), "stackelberg", place)
	wants(t, render(t, a, "csv"), "setting,steer\nours: mixing,1/3 (2/3) [6–79 %]\n")
	wants(t, render(t, a, "text"), "3 seeds an entry, 2 evaluations in the last fifth, 100 joint steps trained", "Wilson")

	other := Counts{Source: "others", What: "the solution", Over: "game", Rows: []string{"released: mixing", "ours: mixing"}, Columns: []string{"steer", "mat"},
		Seeds: [][][3]int{{{8, 10, 10}, {-1, 5, 5}}, {{9, -1, 10}, {0, 0, 0}}}, Note: "one machine"}
	wants(t, render(t, a.Beside(other), "md"), "| released: mixing | 8/10 (10/10) | – | (5/5) | – |", "| ours: mixing | 9/10 | 1/3 (2/3) [6–79 %] | – | – |")
	wants(t, render(t, a.Beside(other), "text"), "Reference: others. One machine.")

	if got := render(t, a.Beside(other).Shared(), "csv"); strings.Contains(got, "released") || !strings.Contains(got, "ours: mixing,9/10") {
		t.Errorf("want the row of our runs alone in:\n%s", got)
	}
	episodes := Attained(run.All("steer/toy/*/*"), "return", place)
	wants(t, render(t, episodes.Least(map[string]float64{"toy/mixing": 26.5}), "csv"), "1/3 (2/3)")
	wants(t, render(t, episodes.Least(map[string]float64{"toy/mixing": 26.6}), "csv"), "0/3 (0/3)")
	refuses(t, episodes.Least(map[string]float64{}), "nothing says what return has to attain on toy/mixing")
	refuses(t, Attained(run.All("steer/toy/*/*"), "nash", place), `has no "nash"`)
	other.Seeds = other.Seeds[:1]
	refuses(t, a.Beside(other), "others has 1 rows of counts and 2 names")
}

// Preference, by hand: (1, 1) is the only equilibrium and the outcome where player 1 leads, (0, 0) where player 0 does.
func TestPayoffs(t *testing.T) {
	g, err := game.NewTable([][]float64{{40, 0}, {80, 20}}, [][]float64{{40, 0}, {0, 20}})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, render(t, Payoffs("preference", g), "csv"), ",0,1\n0,\"40, 40 S0\",\"0, 0\"\n1,\"80, 0\",\"20, 20 S1 N\"\n")
	wants(t, render(t, Payoffs("preference", g), "md"), "**40, 40 S0**")
	team, err := game.NewTable([][]float64{{1, 2}}, [][]float64{{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, render(t, Payoffs("", team), "csv"), ",0,1\n0,1,2 S0 S1 N\n")
	refuses(t, Payoffs("", game.Table{Actions: []int{2, 2, 2}, Payoff: make([]float64, 24)}), "a payoff table of 3 players")
}
