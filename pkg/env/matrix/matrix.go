// Package matrix shows payoff tables as environments: any table of package game (Game, with those of the Stackelberg
// Decision Transformer as presets), games of several steps with a table at each (NStep), the two-step game of QMIX
// (TwoStep), and the two team games of C. Claus and C. Boutilier, "The Dynamics of Reinforcement Learning in
// Cooperative Multiagent Systems", AAAI 1998 (Climb, Penalty).
package matrix

import (
	"fmt"
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// table is what both agents receive: rows are agent 0's actions, columns agent 1's.
type table [3][3]float32

// Climb is the climbing game: (0, 0) pays most, 11, but one agent alone at its part of it costs 30, so
// agents who do not know each other's choice settle for less.
type Climb struct{}

var climb = table{{11, -30, 0}, {-30, 7, 6}, {0, 0, 5}}

// Spec has a constant observation: there is nothing to see.
func (Climb) Spec() env.Spec { return spec("matrix/climb") }

// New returns the game; it has no state.
func (c Climb) New() (env.Env, error) { return c, nil }

// Reset shows the moment before the choice.
func (Climb) Reset(_ env.Episode, out *env.Step) { show(out) }

// Step pays the table's entry to both agents. An episode counts as won at (0, 0).
func (Climb) Step(act env.Actions, out *env.Step) { pay(&climb, 11, act, out) }

// Penalty is the penalty game: (0, 0) and (2, 2) both pay most, 10, but missing each other there costs K, so
// (1, 1), which pays 2 and risks nothing, attracts.
type Penalty struct {
	K float32 // paid at (0, 2) and (2, 0); at most 0
}

// NewPenalty returns the game with K = −100, the steepest of the paper.
func NewPenalty() Penalty { return Penalty{K: -100} }

// Spec has a constant observation, and K in its name: "matrix/penalty-100".
func (p Penalty) Spec() env.Spec { return spec(fmt.Sprintf("matrix/penalty%g", p.K)) }

// New returns the game, or an error if K is not a penalty.
func (p Penalty) New() (env.Env, error) {
	if !(p.K <= 0) || math.IsInf(float64(p.K), 0) {
		return nil, fmt.Errorf("matrix: Penalty.K is %v, want a finite number of at most 0", p.K)
	}
	return p, nil
}

// Reset shows the moment before the choice.
func (Penalty) Reset(_ env.Episode, out *env.Step) { show(out) }

// Step pays the table's entry to both agents. An episode counts as won at (0, 0) and at (2, 2).
func (p Penalty) Step(act env.Actions, out *env.Step) {
	pay(&table{{10, 0, p.K}, {0, 2, 0}, {p.K, 0, 10}}, 10, act, out)
}

func spec(name string) env.Spec {
	return env.Spec{Name: name, Agents: 2, Actions: []int{3}, ObsDim: 1, MaxSteps: 1}
}

func show(out *env.Step) {
	for i := range out.Obs {
		out.Obs[i] = 1
	}
	for i := range out.Avail {
		out.Avail[i] = true
	}
}

func pay(t *table, best float32, act env.Actions, out *env.Step) {
	show(out)
	r := t[act.Discrete[0]][act.Discrete[1]]
	out.Reward[0], out.Reward[1] = r, r
	out.Terminated, out.Outcome = true, env.Loss
	if r == best {
		out.Outcome = env.Win
	}
}
