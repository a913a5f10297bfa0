// Package game holds games in plain Go, without environments and tensors: payoff tables (normal form) with
// brute-force solutions in pure strategies. Mixed equilibria and games with a tree are missing.
//
// The solution for players who decide one after another is that of Zhang et al., "Sequential Asynchronous
// Action Coordination in Multi-Agent Systems: A Stackelberg Decision Transformer Approach", ICML 2024: each
// sees what those before it have chosen, and all foresee what those after them will reply.
package game

import (
	"fmt"
	"math"
)

// Table is a game in normal form: what each player receives at each joint action.
type Table struct {
	Actions []int     // choices of each player
	Payoff  []float64 // [joint action][player]; the last player's choice varies fastest
}

// NewTable returns the game of two players with these payoffs [row][column]: the row is player 0's choice.
// The error names what does not fit.
func NewTable(first, second [][]float64) (Table, error) {
	if len(first) == 0 || len(first[0]) == 0 {
		return Table{}, fmt.Errorf("game: an empty table, want at least 1 row and 1 column")
	}
	t := Table{Actions: []int{len(first), len(first[0])}}
	if len(second) != len(first) {
		return Table{}, fmt.Errorf("game: tables of %d and %d rows, want as many", len(first), len(second))
	}
	for i, row := range first {
		if len(row) != t.Actions[1] || len(second[i]) != t.Actions[1] {
			return Table{}, fmt.Errorf("game: rows %d of %d and %d columns, want %d as in row 0", i, len(row), len(second[i]), t.Actions[1])
		}
		for j := range row {
			t.Payoff = append(t.Payoff, row[j], second[i][j])
		}
	}
	return t, t.Validate()
}

// Validate returns an error naming the first size or payoff that cannot be.
func (t Table) Validate() error {
	if len(t.Actions) == 0 {
		return fmt.Errorf("game: a table without players, want at least 1")
	}
	n := len(t.Actions)
	for p, k := range t.Actions {
		if k < 1 {
			return fmt.Errorf("game: player %d has %d choices, want at least 1", p, k)
		}
		if n > (1<<30)/k {
			return fmt.Errorf("game: a table of %v choices, want at most 2^30 payoffs", t.Actions)
		}
		n *= k
	}
	if len(t.Payoff) != n {
		return fmt.Errorf("game: %d payoffs for %v choices, want %d (joint actions × players)", len(t.Payoff), t.Actions, n)
	}
	for i, x := range t.Payoff {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("game: player %d is paid %v at joint action %v, want a finite number", i%t.Players(), x, t.Joint(i/t.Players()))
		}
	}
	return nil
}

// Players is the number of players.
func (t Table) Players() int { return len(t.Actions) }

// Size is the number of joint actions.
func (t Table) Size() int { return len(t.Payoff) / len(t.Actions) }

// At returns what each player receives at a joint action, one choice per player: a view of Payoff.
func (t Table) At(joint ...int) []float64 {
	n, i := t.Players(), t.Index(joint...)
	return t.Payoff[i*n : (i+1)*n : (i+1)*n]
}

// Index is the place of a joint action in the table.
func (t Table) Index(joint ...int) int {
	i := 0
	for p, k := range t.Actions {
		i = i*k + joint[p]
	}
	return i
}

// Joint is the joint action at place i of the table.
func (t Table) Joint(i int) []int {
	joint := make([]int, len(t.Actions))
	for p := len(joint) - 1; p >= 0; p-- {
		joint[p], i = i%t.Actions[p], i/t.Actions[p]
	}
	return joint
}
