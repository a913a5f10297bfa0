package game

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func table(t *testing.T, first, second [][]float64) Table {
	t.Helper()
	g, err := NewTable(first, second)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestTable: the order of payoffs, and index and joint action as inverses, for players with different choices.
func TestTable(t *testing.T) {
	g := table(t, [][]float64{{1, 2, 3}, {4, 5, 6}}, [][]float64{{-1, -2, -3}, {-4, -5, -6}})
	if g.Players() != 2 || g.Size() != 6 || fmt.Sprint(g.At(1, 0)) != "[4 -4]" || fmt.Sprint(g.At(0, 2)) != "[3 -3]" {
		t.Errorf("%+v: (1, 0) pays %v, (0, 2) pays %v", g, g.At(1, 0), g.At(0, 2))
	}
	three := Table{Actions: []int{2, 3, 4}, Payoff: make([]float64, 72)}
	if err := three.Validate(); err != nil {
		t.Fatal(err)
	}
	for i := range three.Size() {
		if three.Index(three.Joint(i)...) != i {
			t.Errorf("joint action %v is at %d, want %d", three.Joint(i), three.Index(three.Joint(i)...), i)
		}
	}
}

// TestSolutions: matching pennies has no equilibrium in pure strategies, and who leads in it loses; in the battle
// of the sexes who leads gets what it likes best; of choices that pay alike the first is taken.
func TestSolutions(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second [][]float64
		nash, a, b    string // equilibria; outcomes where player 0 and where player 1 leads
	}{
		{"pennies", [][]float64{{1, -1}, {-1, 1}}, [][]float64{{-1, 1}, {1, -1}}, "[]", "[0 1]", "[0 0]"},
		{"sexes", [][]float64{{2, 0}, {0, 1}}, [][]float64{{1, 0}, {0, 2}}, "[[0 0] [1 1]]", "[0 0]", "[1 1]"},
		{"ties", [][]float64{{0, 0}, {0, 0}}, [][]float64{{0, 0}, {0, 0}}, "[[0 0] [0 1] [1 0] [1 1]]", "[0 0]", "[0 0]"},
	} {
		g := table(t, c.first, c.second)
		a, err := g.Stackelberg(nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := g.Stackelberg([]int{1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(g.Nash()); got != c.nash || fmt.Sprint(a) != c.a || fmt.Sprint(b) != c.b {
			t.Errorf("%s: equilibria %v, outcomes %v and %v, want %s, %s and %s", c.name, got, a, b, c.nash, c.a, c.b)
		}
	}
}

// TestThreeLevels: three firms choose quantities 0, 1 or 2 of 4 that can be sold at all, each paid q·(4 − sum). By
// hand: after q₁+q₂ = 0, 1, 2, 3, 4 the last one chooses 2, 1, 1, 0, 0 (the first of those that pay alike).
func TestThreeLevels(t *testing.T) {
	g := Table{Actions: []int{3, 3, 3}}
	for i := range 27 {
		q := g.Joint(i)
		sum := q[0] + q[1] + q[2]
		for _, x := range q {
			g.Payoff = append(g.Payoff, float64(x*(4-sum)))
		}
	}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	for s, want := range []int{2, 1, 1, 0, 0} {
		got, err := g.Reply(nil, s/2, s-s/2)
		if err != nil || got[2] != want {
			t.Errorf("after %d and %d the last chooses %v (%v), want %d", s/2, s-s/2, got, err, want)
		}
	}
	// The second, after q₁: of (q₂, reply) it is paid 0, 1·(3−q₁−q₃), 2·(2−q₁−q₃). q₁ = 0: 0, 2, 2 (q₃ = 2, 1, 1)
	// so 1; q₁ = 1: 0, 1, 2·(1−0) = 2 so 2; q₁ = 2: 0, 1·(1−0) = 1, 0 so 1. The first is paid 0, 1·(4−3) = 1 and
	// 2·(4−3) = 2, so it takes 2.
	for q, want := range []string{"[0 1 1]", "[1 2 0]", "[2 1 0]"} {
		if got, err := g.Reply(nil, q); err != nil || fmt.Sprint(got) != want {
			t.Errorf("after %d: %v (%v), want %s", q, got, err, want)
		}
	}
	for _, c := range []struct {
		order []int
		want  string
	}{{nil, "[2 1 0]"}, {[]int{2, 0, 1}, "[1 0 2]"}, {[]int{1, 2, 0}, "[0 2 1]"}} {
		if got, err := g.Stackelberg(c.order); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("in the order %v: %v (%v), want %s", c.order, got, err, c.want)
		}
	}
	// Nobody gains by leaving (1, 1, 1): 1·1 against 0 and 2·0.
	if !strings.Contains(fmt.Sprint(g.Nash()), "[1 1 1]") {
		t.Errorf("equilibria %v, want (1, 1, 1) among them", g.Nash())
	}
}

func TestErrors(t *testing.T) {
	good := table(t, [][]float64{{1, 2}}, [][]float64{{3, 4}})
	reply := func(order []int, led ...int) error {
		_, err := good.Reply(order, led...)
		return err
	}
	build := func(first, second [][]float64) error {
		_, err := NewTable(first, second)
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{build(nil, nil), "game: an empty table, want at least 1 row and 1 column"},
		{build([][]float64{{1}}, nil), "game: tables of 1 and 0 rows, want as many"},
		{build([][]float64{{1}, {2}}, [][]float64{{1}, {2, 3}}), "game: rows 1 of 1 and 2 columns, want 1 as in row 0"},
		{build([][]float64{{1, math.NaN()}}, [][]float64{{1, 2}}), "game: player 0 is paid NaN at joint action [0 1], want a finite number"},
		{Table{}.Validate(), "game: a table without players, want at least 1"},
		{Table{Actions: []int{2, 0}}.Validate(), "game: player 1 has 0 choices, want at least 1"},
		{Table{Actions: []int{2, 2}}.Validate(), "game: 0 payoffs for [2 2] choices, want 8 (joint actions × players)"},
		{Table{Actions: []int{1 << 20, 1 << 20}}.Validate(), "game: a table of [1048576 1048576] choices, want at most 2^30 payoffs"},
		{reply([]int{0, 0}), "game: order [0 0] of 2 players, want a permutation of 0 to 1"},
		{reply([]int{0}), "game: order [0] of 2 players, want a permutation of 0 to 1"},
		{reply([]int{1, 2}), "game: order [1 2] of 2 players, want a permutation of 0 to 1"},
		{reply(nil, 1), "game: choice 1 of player 0, want 0 to 0"},
		{reply([]int{1, 0}, 2), "game: choice 2 of player 1, want 0 to 1"},
		{reply(nil, 0, 0, 0), "game: 3 choices were made by 2 players"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%v, want %s", c.err, c.want)
		}
	}
}
