package matrix

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/game"
)

// TestGameSolutions: replies, Stackelberg outcomes in both orders and equilibria, worked out by hand from the tables.
func TestGameSolutions(t *testing.T) {
	type solution struct {
		game        Game
		replies     string // of agent 1 to each row
		first       string // joint action and payoffs where agent 0 decides first
		second      string // and where agent 1 does
		equilibrium string // in pure strategies
	}
	table := []solution{
		{Mixing(), "0 1 2", "[0 0] [0 5]", "[0 2] [-8 4]", "[1 1] [-5 0]"},
		{DifferentOrder(), "0 1 2", "[0 0] [0 5]", "[0 2] [-8 4]", "[1 1] [-5 0]"},
		{MixingReverse(), "2 1 0", "[2 0] [4 -8]", "[0 0] [5 0]", "[1 1] [0 -5]"},
		{Climbing(), "0 1 2", "[0 0] [20 15]", "[2 2] [5 10]", "[1 1] [10 5] [2 2] [5 10]"},
		{Preference(), "0 1", "[0 0] [40 40]", "[1 1] [20 20]", "[1 1] [20 20]"},
		{Chicken(), "1 0", "[1 0] [4 2]", "[0 1] [2 4]", "[0 1] [2 4] [1 0] [4 2]"},
		{TeamGame(), "0 1 2", "[0 0] [8 8]", "[0 0] [8 8]", "[0 0] [8 8] [1 1] [6 6] [2 2] [6 6]"},
		{TeamClimbing(), "0 1 2", "[0 0] [11 11]", "[0 0] [11 11]", "[0 0] [11 11] [1 1] [7 7]"},
	}
	for _, k := range []float64{0, -25, -50, -75, -100, -1000} {
		table = append(table, solution{SkewedPenalty(k), "2 1 0", "[0 2] [10 10]", "[0 2] [10 10]", "[0 2] [10 10] [1 1] [2 2] [2 0] [8 8]"})
	}
	for _, c := range table {
		g := c.game.Table
		var replies []string
		for row := range g.Actions[0] {
			if best := g.Replies(1, row, 0); len(best) != 1 {
				t.Errorf("%s: %v are best replies to %d, want one", c.game.Name, best, row)
			}
			joint, err := g.Reply(nil, row)
			if err != nil {
				t.Fatal(err)
			}
			replies = append(replies, fmt.Sprint(joint[1]))
		}
		outcome := func(order []int) string {
			joint, err := g.Stackelberg(order)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(joint, g.At(joint...))
		}
		var stable []string
		for _, joint := range g.Nash() {
			stable = append(stable, fmt.Sprint(joint, g.At(joint...)))
		}
		got := solution{c.game, strings.Join(replies, " "), outcome(nil), outcome([]int{1, 0}), strings.Join(stable, " ")}
		if fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("%s: %v, want %v", c.game.Name, got, c)
		}
	}
	if a, b := Mixing().Table, MixingReverse().Table; !slices.Equal(a.At(0, 2), []float64{-8, 4}) || !slices.Equal(b.At(2, 0), []float64{4, -8}) {
		t.Errorf("Mixing pays %v at (0, 2), its reverse %v at (2, 0)", a.At(0, 2), b.At(2, 0))
	}
}

// TestGameStep: what is paid and counted, by the tables.
func TestGameStep(t *testing.T) {
	for _, c := range []struct {
		game Game
		act  []int32
		want string // rewards, metrics
	}{
		{Mixing(), []int32{0, 0}, "[0 5] [1 0]"},
		{Mixing(), []int32{1, 1}, "[-5 0] [0 1]"},
		{Mixing(), []int32{1, 2}, "[-15 -5] [0 0]"},
		{SkewedPenalty(-100), []int32{0, 2}, "[10 10] [1 1]"},
		{SkewedPenalty(-100), []int32{2, 2}, "[-100 -100] [0 0]"},
	} {
		e, err := c.game.New()
		if err != nil {
			t.Fatal(err)
		}
		out := env.NewBatch(e.Spec(), 1).At(0)
		e.Reset(env.Episode{}, out)
		e.Step(env.Actions{Discrete: c.act}, out)
		if got := fmt.Sprint(out.Reward, out.Metrics); got != c.want || !out.Terminated || out.Outcome != env.Ended {
			t.Errorf("%s: %v gives %s, want %s", c.game.Name, c.act, got, c.want)
		}
		if s := e.Spec(); s.ObsDim != 1 || s.StateDim != 2 || !slices.Equal(out.Obs, []float32{0, 0}) {
			t.Errorf("%s: shows %v of %+v, want one 0 each", c.game.Name, out.Obs, s)
		}
	}
}

// TestNStepValues: returns of whole episodes by backward induction. Coordination: 1 + 8·1 and (20, 15) with agent 0
// first; with agent 1 first the last step is (0, 2), 5 and 10. Cooperation: 1 + 8 + 4.
func TestNStepValues(t *testing.T) {
	legacy := Cooperation()
	legacy.LegacyBranch = true
	for _, c := range []struct {
		game  NStep
		order []int
		want  string
	}{
		{Coordination(), nil, "[29 24]"},
		{Coordination(), []int{1, 0}, "[14 19]"},
		{Cooperation(), nil, "[13 13]"},
		{Cooperation(), []int{1, 0}, "[13 13]"},
		{legacy, nil, "[13 13]"},
	} {
		if got, err := c.game.Stackelberg(c.order); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s in the order %v: %v (%v), want %s", c.game.Name, c.order, got, err, c.want)
		}
	}
	if _, err := Coordination().Stackelberg([]int{1}); err == nil {
		t.Error("an order that is no permutation is accepted")
	}
}

// TestNStepEpisodes plays by hand.
func TestNStepEpisodes(t *testing.T) {
	legacy := Cooperation()
	legacy.LegacyBranch = true
	for _, c := range []struct {
		game NStep
		act  string // joint actions, "00" to "22", the last but one of them repeated up to the last step if it ends in "…"
		want string // returns, steps, branch
	}{
		{Coordination(), "00 00 … 20", "29 24 after 10 in 0"},
		{Coordination(), "22 22 … 20", "29 24 after 10 in 1"},
		{Coordination(), "22 22 … 11", "19 14 after 10 in 1"},
		{Coordination(), "00 00 … 00", "9 9 after 10 in 0"},
		{Coordination(), "00 22", "1 1 after 2 in 0"},
		{Coordination(), "00 00 01", "2 2 after 3 in 0"},
		{Coordination(), "11", "0 0 after 1 in 2"},
		{Cooperation(), "00 00 … 11", "13 13 after 10 in 0"},
		{Cooperation(), "11 11 … 11", "10 10 after 10 in 1"},
		{Cooperation(), "11 00", "1 1 after 2 in 1"},
		{Cooperation(), "01", "0 0 after 1 in 2"},
		{legacy, "11", "1 1 after 1 in 2"},
		{legacy, "00 00 … 11", "13 13 after 10 in 0"},
	} {
		e, err := c.game.New()
		if err != nil {
			t.Fatal(err)
		}
		out, steps := env.NewBatch(e.Spec(), 1).At(0), 0
		acts := strings.Fields(strings.ReplaceAll(c.act, " …", strings.Repeat(" "+strings.Fields(c.act)[min(1, len(strings.Fields(c.act))-1)], 7)))
		e.Reset(env.Episode{}, out)
		if out.Obs[0] != 1 || out.Obs[11] != 1 {
			t.Errorf("%s begins with %v, want step 0 and branch 0", c.game.Name, out.Obs)
		}
		returns := [2]float32{}
		for _, a := range acts {
			if out.Over() {
				t.Errorf("%s: %s is over after %d steps", c.game.Name, c.act, steps)
				break
			}
			e.Step(env.Actions{Discrete: []int32{int32(a[0] - '0'), int32(a[1] - '0')}}, out)
			steps++
			returns[0], returns[1] = returns[0]+out.Reward[0], returns[1]+out.Reward[1]
		}
		branch := slices.Index(out.Obs[11:15], 1)
		got := fmt.Sprintf("%g %g after %d in %d", returns[0], returns[1], steps, branch)
		if got != c.want || !out.Terminated || out.Obs[steps] != 1 || !slices.Equal(out.State, out.Obs) {
			t.Errorf("%s: %s gives %s, want %s; observes %v", c.game.Name, c.act, got, c.want, out.Obs)
		}
	}
}

func TestGameErrors(t *testing.T) {
	uneven := Game{Name: "matrix/uneven", Table: game.Table{Actions: []int{1, 2}, Payoff: make([]float64, 4)}}
	huge := Mixing()
	huge.Table.Payoff = slices.Clone(huge.Table.Payoff)
	huge.Table.Payoff[3] = 1e39
	wide := Game{Name: "matrix/wide", Table: game.Table{Actions: []int{400, 400}, Payoff: make([]float64, 320_000)}}
	long, mixed, short := Coordination(), Coordination(), Coordination()
	long.Steps, short.Steps = 65, 1
	mixed.Final[1] = Cooperation().Final[1]
	for _, c := range []struct {
		world env.World
		want  string
	}{
		{Game{}, "matrix: Game.Name is empty, want one such as \"matrix/mixing\""},
		{Game{Name: "matrix/none"}, "matrix: matrix/none: game: a table without players, want at least 1"},
		{uneven, "matrix: matrix/uneven: players have [1 2] choices, want as many each"},
		{huge, "matrix: matrix/mixing: payoff 1e+39 of player 1 is too large"},
		{wide, "matrix: matrix/wide: a table of 160000 joint actions, want at most 100000"},
		{NStep{}, "matrix: NStep.Name is empty, want one such as \"matrix/coordination\""},
		{long, "matrix: matrix/coordination: Steps is 65, want 2 to 64"},
		{short, "matrix: matrix/coordination: Steps is 1, want 2 to 64"},
		{mixed, "matrix: matrix/coordination: Final[1] has [2 2] choices, want two players with as many in both branches, at least 2"},
		{NStep{Name: "matrix/none", Steps: 3}, "matrix: matrix/none: Final[0]: game: a table without players, want at least 1"},
	} {
		if _, err := c.world.New(); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestGameContract(t *testing.T) {
	three := Game{Name: "matrix/three", Table: game.Table{Actions: []int{2, 2, 2}, Payoff: make([]float64, 24)}}
	legacy := Cooperation()
	legacy.LegacyBranch = true
	for _, w := range []env.World{
		SkewedPenalty(-100), Mixing(), MixingReverse(), Climbing(), Preference(), Chicken(), TeamGame(), TeamClimbing(), three,
		Coordination(), Cooperation(), legacy,
	} {
		envtest.Check(t, w)
	}
}
