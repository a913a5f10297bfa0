// Package matching holds the group-matching game of Iqbal et al., "Randomized Entity-wise Factorization for
// Multi-Agent Reinforcement Learning", ICML 2021 (REFIL): agents on a ring have to meet those of their own group, so
// what an agent does concerns its group alone, whatever the others do.
//
// The rules are those of the released code, file src/envs/group_matching/group_matching.py, with two groups; its option
// of a fixed partition is missing.
package matching

import (
	"fmt"
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/env"
)

// What an agent can do.
const (
	Left = iota // to the cell before, from the first to the last
	Stay
	Right
	moves
)

const (
	groups   = 2
	perStep  = -0.1 // paid at every step
	perMatch = 2.5  // paid for every group that is together now and was not before; lost again where one parts
)

// Groups is the game. An episode begins with a random order of the agents, of which the first k form group 0 and the
// others group 1, k uniform from 0 to Agents−1, and with each agent on a random cell. It is won when the members of
// each group share a cell (an empty group does; so does one agent alone), and lost by time-out.
//
// Entities are the agents: one-hot cell, one-hot group, one-hot number. Everybody sees all. The state is all entities
// behind one another; an agent observes its own entity first, then the others in order.
type Groups struct {
	Agents int
	Cells  int     // of the ring
	Slip   float64 // probability with which an agent's action is replaced by a random one, which may be the same
	Limit  int     // steps of an episode
}

// NewGroups returns the game with the code's constants: slips of 0.1 and 50 steps. The experiments of the code have 8
// agents on 6 cells (src/config/envs/group_matching.yaml).
func NewGroups(agents, cells int) Groups {
	return Groups{Agents: agents, Cells: cells, Slip: 0.1, Limit: 50}
}

// New returns the game, or an error naming the constant that cannot be.
func (w Groups) New() (env.Env, error) {
	switch {
	case w.Agents < 1 || w.Agents > 256:
		return nil, fmt.Errorf("matching: Groups.Agents is %d, want 1 to 256", w.Agents)
	case w.Cells < 2 || w.Cells > 1024:
		return nil, fmt.Errorf("matching: Groups.Cells is %d, want 2 to 1024", w.Cells)
	case !(w.Slip >= 0 && w.Slip <= 1):
		return nil, fmt.Errorf("matching: Groups.Slip is %v, want a probability", w.Slip)
	case w.Limit < 1:
		return nil, fmt.Errorf("matching: Groups.Limit is %d, want at least 1 step", w.Limit)
	}
	n := w.Agents
	return &game{w: w, order: make([]int, n), group: make([]int, n), cell: make([]int, n)}, nil
}

type game struct {
	w       Groups
	rand    *rand.Rand
	order   []int // scratch of Reset
	group   []int // [agent] 0 or 1
	cell    []int // [agent]
	matched int   // groups that are together
	t       int
}

func (e *game) Spec() env.Spec {
	n, d := e.w.Agents, e.width()
	return env.Spec{
		Name:   fmt.Sprintf("matching/groups-%dx%d", n, e.w.Cells),
		Agents: n, Entities: n, Actions: []int{moves}, ObsDim: n * d, StateDim: n * d, EntityDim: d, MaxSteps: e.w.Limit,
	}
}

func (e *game) width() int { return e.w.Cells + groups + e.w.Agents }

func (e *game) Reset(ep env.Episode, out *env.Step) {
	e.rand, e.t = ep.Rand, 0
	for a := range e.order {
		e.order[a] = a
	}
	for i := len(e.order) - 1; i > 0; i-- {
		j := e.rand.IntN(i + 1)
		e.order[i], e.order[j] = e.order[j], e.order[i]
	}
	first := e.rand.IntN(e.w.Agents)
	for i, a := range e.order {
		e.group[a] = 1
		if i < first {
			e.group[a] = 0
		}
	}
	for a := range e.cell {
		e.cell[a] = e.rand.IntN(e.w.Cells)
	}
	e.matched = e.together()
	e.show(out)
}

// Step moves the agents and pays all of them −0.1, and 2.5 for each group more that is together than before.
func (e *game) Step(act env.Actions, out *env.Step) {
	for a, move := range act.Discrete {
		if e.rand.Float64() < e.w.Slip {
			move = int32(e.rand.IntN(moves))
		}
		e.cell[a] = (e.cell[a] + int(move) - Stay + e.w.Cells) % e.w.Cells
	}
	e.t++
	before := e.matched
	e.matched = e.together()
	reward := float32(perStep + perMatch*float64(e.matched-before))
	for a := range out.Reward {
		out.Reward[a] = reward
	}
	switch {
	case e.matched == groups:
		out.Terminated, out.Outcome = true, env.Win
	case e.t == e.w.Limit:
		out.Truncated, out.Outcome = true, env.TimeOut
	}
	e.show(out)
}

// together counts the groups whose members share a cell.
func (e *game) together() int {
	n := 0
	for g := range groups {
		at, same := -1, true
		for a, c := range e.cell {
			if e.group[a] == g {
				same = same && (at < 0 || at == c)
				at = c
			}
		}
		if same {
			n++
		}
	}
	return n
}

func (e *game) show(out *env.Step) {
	d := e.width()
	clear(out.Entities)
	for a := range e.cell {
		row := out.Entities[a*d : (a+1)*d]
		row[e.cell[a]], row[e.w.Cells+e.group[a]], row[e.w.Cells+groups+a] = 1, 1, 1
	}
	copy(out.State, out.Entities)
	for a := range e.cell {
		obs := out.Obs[a*len(out.State) : (a+1)*len(out.State)]
		copy(obs, out.Entities[a*d:(a+1)*d])
		copy(obs[d:], out.Entities[:a*d])
		copy(obs[(a+1)*d:], out.Entities[(a+1)*d:])
	}
	clear(out.Hidden)
	for a := range out.Alive {
		out.Alive[a], out.Present[a] = true, true
	}
	for i := range out.Avail {
		out.Avail[i] = true
	}
}
