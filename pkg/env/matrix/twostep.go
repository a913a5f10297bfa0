package matrix

import "github.com/muster-marl/muster/pkg/env"

// TwoStep is the two-step game of Rashid et al., "QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent
// Reinforcement Learning", ICML 2018, §5: nothing is paid in the first step, in which agent 0's choice alone decides
// which table the second step pays both agents by, 7 throughout after action 0 and {{0, 1}, {1, 8}} after action 1.
// A sum of one value per agent cannot express the second table, so additive learners expect less than 7 of it and
// play the first; a monotonic one can.
//
// Both agents observe the state: one of three, the first step and the two tables. The moment after the last step shows
// the table that was played. An episode counts as won with the most that can be had, 8.
type TwoStep struct{}

var secondStep = [2][2][2]float32{{{7, 7}, {7, 7}}, {{0, 1}, {1, 8}}} // [agent 0's first action]

// New returns the game.
func (TwoStep) New() (env.Env, error) { return &twoStep{}, nil }

type twoStep struct{ state int } // 0 = first step, 1 and 2 = the tables

func (*twoStep) Spec() env.Spec {
	return env.Spec{Name: "matrix/two-step", Agents: 2, Actions: []int{2}, ObsDim: 3, StateDim: 3, MaxSteps: 2}
}

func (e *twoStep) Reset(_ env.Episode, out *env.Step) {
	e.state = 0
	e.show(out)
}

func (e *twoStep) Step(act env.Actions, out *env.Step) {
	if e.state == 0 {
		e.state = 1 + int(act.Discrete[0])
		e.show(out)
		return
	}
	r := secondStep[e.state-1][act.Discrete[0]][act.Discrete[1]]
	e.show(out)
	out.Reward[0], out.Reward[1] = r, r
	out.Terminated, out.Outcome = true, env.Loss
	if r == 8 {
		out.Outcome = env.Win
	}
}

func (e *twoStep) show(out *env.Step) {
	clear(out.Obs)
	clear(out.State)
	out.Obs[e.state], out.Obs[3+e.state], out.State[e.state] = 1, 1, 1
	for i := range out.Avail {
		out.Avail[i] = true
	}
}
