package game

import (
	"fmt"
	"slices"
)

// Replies are player's best choices where the others do as in joint, whose own entry for player is not looked at;
// several where they pay alike, in rising order.
func (t Table) Replies(player int, joint ...int) []int {
	var best []int
	try, most := slices.Clone(joint), 0.0
	for a := range t.Actions[player] {
		try[player] = a
		switch x := t.At(try...)[player]; {
		case best == nil || x > most:
			best, most = append(best[:0], a), x
		case x == most:
			best = append(best, a)
		}
	}
	return best
}

// Nash are all equilibria in pure strategies, from which nobody gains by leaving alone, in the table's order.
func (t Table) Nash() [][]int {
	var found [][]int
	for i := range t.Size() {
		joint := t.Joint(i)
		stays := true
		for p := range joint {
			stays = stays && slices.Contains(t.Replies(p, joint...), joint[p])
		}
		if stays {
			found = append(found, joint)
		}
	}
	return found
}

// Stackelberg is the joint action of players who decide in this order, order[0] the top leader, each seeing the
// choices before it and foreseeing those after it: the subgame-perfect outcome, by backward induction. Of choices
// that pay alike the first is taken. With nil the order is 0, 1, 2, …; the error says that it is no permutation.
func (t Table) Stackelberg(order []int) ([]int, error) { return t.Reply(order) }

// Reply is Stackelberg where the first players of order have made the choices led already: what the others then do.
func (t Table) Reply(order []int, led ...int) ([]int, error) {
	if order == nil {
		for p := range t.Actions {
			order = append(order, p)
		}
	}
	if err := permutation(order, t.Players()); err != nil {
		return nil, err
	}
	if len(led) > t.Players() {
		return nil, fmt.Errorf("game: %d choices were made by %d players", len(led), t.Players())
	}
	joint := make([]int, t.Players())
	for i, a := range led {
		if a < 0 || a >= t.Actions[order[i]] {
			return nil, fmt.Errorf("game: choice %d of player %d, want 0 to %d", a, order[i], t.Actions[order[i]]-1)
		}
		joint[order[i]] = a
	}
	return t.follow(order[len(led):], joint), nil
}

// follow lets the players that are left choose, the last of them first in thought.
func (t Table) follow(left, joint []int) []int {
	if len(left) == 0 {
		return joint
	}
	me := left[0]
	var best []int
	for a := range t.Actions[me] {
		try := slices.Clone(joint)
		try[me] = a
		try = t.follow(left[1:], try)
		if best == nil || t.At(try...)[me] > t.At(best...)[me] {
			best = try
		}
	}
	return best
}

func permutation(order []int, n int) error {
	sorted := slices.Sorted(slices.Values(order))
	for i := range n {
		if len(sorted) != n || sorted[i] != i {
			return fmt.Errorf("game: order %v of %d players, want a permutation of 0 to %d", order, n, n-1)
		}
	}
	return nil
}
