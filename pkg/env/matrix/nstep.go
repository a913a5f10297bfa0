package matrix

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/game"
)

const (
	branches = 4  // that an observation tells apart: two good ones, the failed one, and one that never comes
	failed   = 2  // the branch of an episode whose first step went wrong
	mostStep = 64 // steps
)

// NStep is a game of several steps between two agents, of the released code of the Stackelberg Decision Transformer,
// file envs/matrix_game/nstep_matrix.py. The first step pays 1 to both and leads to branch 0 if both choose their first
// action, to branch 1 if both choose their last one. Then, until the last step but one, branch 0 pays 1 if both choose
// their first action, and branch 1 if both choose their last. The last step pays by the branch's Final table. An
// episode ends early where anybody receives nothing or less.
//
// Both agents observe the step (one of Steps+1) and the branch (one of 4, 0 before the first step); the state is both
// observations.
type NStep struct {
	Name         string
	Steps        int           // of an episode, at least 2
	Final        [2]game.Table // of each branch
	LegacyBranch bool          // true = as in the code, joint action (2, 2) leads to branch 1, also where there are only two actions; then nothing does
}

// Coordination is the game of three actions and 10 steps. The last step has its Stackelberg outcome, agent 0 leading,
// at (2, 0), which pays 20 and 15, and equilibria of simultaneous choices at (1, 1), 10 and 5, and (0, 2), 5 and 10.
func Coordination() NStep {
	last := preset("", [][]float64{{0, 0, 5}, {30, 10, 0}, {20, 0, 0}}, [][]float64{{0, 0, 10}, {0, 5, 0}, {15, 0, 0}}).Table
	return NStep{Name: "matrix/coordination", Steps: 10, Final: [2]game.Table{last, last}}
}

// Cooperation is the game of two actions and 10 steps, paid alike: the last step of branch 0 pays 4 at (1, 1) and 1
// elsewhere, that of branch 1 always 1.
func Cooperation() NStep {
	best, other := [][]float64{{1, 1}, {1, 4}}, [][]float64{{1, 1}, {1, 1}}
	return NStep{Name: "matrix/cooperation", Steps: 10, Final: [2]game.Table{preset("", best, best).Table, preset("", other, other).Table}}
}

// New returns the game, or an error naming the constant that cannot be.
func (w NStep) New() (env.Env, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	e := &nstep{w: w}
	for t := range w.Steps {
		e.tables = append(e.tables, [2]game.Table{w.table(t, 0), w.table(t, 1)})
	}
	return e, nil
}

func (w NStep) validate() error {
	if w.Name == "" {
		return fmt.Errorf("matrix: NStep.Name is empty, want one such as \"matrix/coordination\"")
	}
	if w.Steps < 2 || w.Steps > mostStep {
		return fmt.Errorf("matrix: %s: Steps is %d, want 2 to %d", w.Name, w.Steps, mostStep)
	}
	for b, t := range w.Final {
		if err := playable(t); err != nil {
			return fmt.Errorf("matrix: %s: Final[%d]: %w", w.Name, b, err)
		}
		if t.Players() != 2 || t.Actions[0] != w.Final[0].Actions[0] || t.Actions[0] < 2 {
			return fmt.Errorf("matrix: %s: Final[%d] has %v choices, want two players with as many in both branches, at least 2", w.Name, b, t.Actions)
		}
	}
	return nil
}

// table is what step t pays in a branch; branch 0 is that of the first step.
func (w NStep) table(t, branch int) game.Table {
	if t == w.Steps-1 {
		return w.Final[branch]
	}
	n := w.Final[0].Actions[0]
	g := game.Table{Actions: []int{n, n}, Payoff: make([]float64, 2*n*n)}
	for _, good := range []int{0, 1} {
		if t == 0 || good == branch {
			copy(g.At(good*(n-1), good*(n-1)), []float64{1, 1})
		}
	}
	return g
}

// enter is the branch that the first joint action leads to.
func (w NStep) enter(a, b int) int {
	last := w.Final[0].Actions[0] - 1
	if w.LegacyBranch {
		last = 2
	}
	switch {
	case a == 0 && b == 0:
		return 0
	case a == last && b == last:
		return 1
	}
	return failed
}

// next is the branch in which the game goes on, false if the joint action at step t of branch ends the episode.
func (w NStep) next(t, branch, a, b int, pay []float64) (int, bool) {
	if t == 0 {
		branch = w.enter(a, b)
	}
	return branch, branch != failed && pay[0] > 0 && pay[1] > 0 && t+1 < w.Steps
}

// Stackelberg are the returns of both agents in an episode of players who decide in this order at every step, nil for
// 0 before 1, and foresee all that follows: backward induction over steps and, within each, over levels.
func (w NStep) Stackelberg(order []int) ([2]float64, error) {
	if err := w.validate(); err != nil {
		return [2]float64{}, err
	}
	return w.value(order, 0, 0)
}

func (w NStep) value(order []int, t, branch int) ([2]float64, error) {
	g := w.table(t, branch)
	var later [3]*[2]float64 // of each branch
	for i := range g.Size() {
		joint := g.Joint(i)
		pay := g.At(joint...)
		to, on := w.next(t, branch, joint[0], joint[1], pay)
		if !on {
			continue
		}
		if later[to] == nil {
			v, err := w.value(order, t+1, to)
			if err != nil {
				return v, err
			}
			later[to] = &v
		}
		pay[0], pay[1] = pay[0]+later[to][0], pay[1]+later[to][1]
	}
	joint, err := g.Stackelberg(order)
	if err != nil {
		return [2]float64{}, err
	}
	return [2]float64(g.At(joint...)), nil
}

type nstep struct {
	w         NStep
	tables    [][2]game.Table // [step][branch]
	t, branch int
}

func (e *nstep) Spec() env.Spec {
	obs := e.w.Steps + 1 + branches
	return env.Spec{Name: e.w.Name, Agents: 2, Actions: []int{e.w.Final[0].Actions[0]}, ObsDim: obs, StateDim: 2 * obs, MaxSteps: e.w.Steps}
}

func (e *nstep) Reset(_ env.Episode, out *env.Step) {
	e.t, e.branch = 0, 0
	e.show(out)
}

// Step pays both agents by the table of the step and the branch.
func (e *nstep) Step(act env.Actions, out *env.Step) {
	a, b := int(act.Discrete[0]), int(act.Discrete[1])
	table := &e.tables[e.t][e.branch]
	i := 2 * (a*table.Actions[1] + b)
	pay := table.Payoff[i : i+2]
	var on bool
	e.branch, on = e.w.next(e.t, e.branch, a, b, pay)
	e.t++
	out.Reward[0], out.Reward[1] = float32(pay[0]), float32(pay[1])
	if !on {
		out.Terminated, out.Outcome = true, env.Ended
	}
	e.show(out)
}

func (e *nstep) show(out *env.Step) {
	clear(out.Obs)
	n := len(out.Obs) / 2
	for _, o := range [2][]float32{out.Obs[:n], out.Obs[n:]} {
		o[e.t], o[e.w.Steps+1+e.branch] = 1, 1
	}
	copy(out.State, out.Obs)
	for i := range out.Avail {
		out.Avail[i] = true
	}
}
