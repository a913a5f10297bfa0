package report

import (
	"fmt"
	"slices"
)

// Bimatrix is a game of two players, as game.Table holds it.
type Bimatrix interface {
	Players() int
	Size() int                 // joint actions
	Joint(i int) []int         // the i-th of them
	At(joint ...int) []float64 // what each player is paid
	Nash() [][]int
	Stackelberg(order []int) ([]int, error)
}

// Payoffs returns the table of a game of two players: a row for each choice of player 0, a column for each of player 1,
// and in it what the two are paid, one number where that is the same everywhere. Behind it stand the game's solutions in
// pure strategies: N, an equilibrium of simultaneous choices; S0, what comes out where player 0 decides first and player
// 1 sees its choice; S1, the other way round. S0 is bold.
func Payoffs(title string, g Bimatrix) ScoreTable {
	return ScoreTable{func() (Table, error) { return payoffs(title, g) }}
}

func payoffs(title string, g Bimatrix) (Table, error) {
	if g.Players() != 2 || g.Size() == 0 {
		return Table{}, fmt.Errorf("report: a payoff table of %d players and %d joint actions, want 2 players and at least 1", g.Players(), g.Size())
	}
	last := g.Joint(g.Size() - 1)
	var solved [2][]int
	for leader := range solved {
		var err error
		if solved[leader], err = g.Stackelberg([]int{leader, 1 - leader}); err != nil {
			return Table{}, err
		}
	}
	alike := true
	for i := range g.Size() {
		pay := g.At(g.Joint(i)...)
		alike = alike && pay[0] == pay[1]
	}
	t := Table{Caption: sentence(title) + " Rows: choices of player 0; columns: of player 1; entries: what both are paid"}
	if !alike {
		t.Caption += ", player 0 first"
	}
	t.Caption += ". S0 (bold): player 0 decides first, player 1 sees it; S1: the other way round; N: equilibria of simultaneous choices, in pure strategies."
	t.Header = []string{""}
	for b := range last[1] + 1 {
		t.Header = append(t.Header, fmt.Sprint(b))
	}
	nash := g.Nash()
	for a := range last[0] + 1 {
		row := []any{fmt.Sprint(a)}
		for b := range last[1] + 1 {
			pay := g.At(a, b)
			text, bold := number(pay[0])+", "+number(pay[1]), false
			if alike {
				text = number(pay[0])
			}
			for leader, s := range solved {
				if s[0] == a && s[1] == b {
					text += fmt.Sprintf(" S%d", leader)
					bold = bold || leader == 0
				}
			}
			if slices.ContainsFunc(nash, func(n []int) bool { return n[0] == a && n[1] == b }) {
				text += " N"
			}
			row = append(row, marked{cell: text, bold: bold})
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}
