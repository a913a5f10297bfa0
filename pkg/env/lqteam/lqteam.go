// Package lqteam is a linear-quadratic team: carts in a row, tied to their neighbours by springs, are to come to rest
// at their places with little force. It is ours, made as a continuous task of several agents whose best return is known
// exactly: a linear rule of the whole state, from the discrete algebraic Riccati equation.
package lqteam

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/muster-marl/muster/pkg/env"
)

// Team holds the constants. With positions x_i, measured from where the carts belong, velocities v_i and actions u_i in
// [−1, 1], one step is
//
//	x_i ← x_i + Dt·v_i
//	v_i ← v_i + Dt·(Spring·Σ_j (x_j − x_i) − Friction·v_i + Force·u_i)   j: the carts beside i
//
// where the right sides are those of before the step. Everybody is paid
//
//	r = −Σ_i (x_i² + Speed·v_i² + Effort·u_i²)
//
// of before the step, and with the last step also −sᵀPs, s = (x, v) after it, P of Solve: what the carts would still
// cost without a clock. So the best rule is the same at all times, and costs s₀ᵀPs₀.
//
// All agents observe s and their number as a one-hot vector; the state is s. The metric "optimum" is −s₀ᵀPs₀, the best
// return from where the episode began.
type Team struct {
	Carts            int
	Steps            int // of an episode
	Dt               float64
	Spring, Friction float64
	Force            float64
	Speed, Effort    float64 // weights
	Start            float64 // positions begin uniformly in [−Start, Start], velocities at 0
}

// Six returns the team of six carts. Its constants are such that the best rule never asks for more than a force of 1.
func Six() Team {
	return Team{Carts: 6, Steps: 60, Dt: 0.1, Spring: 1, Friction: 0.5, Force: 3, Speed: 0.1, Effort: 0.5, Start: 0.75}
}

// New returns the team, or an error naming the constant that cannot be.
func (w Team) New() (env.Env, error) {
	best, err := w.Solve()
	if err != nil {
		return nil, err
	}
	n := w.Carts
	return &team{w: w, best: best, s: make([]float64, 2*n), next: make([]float64, 2*n)}, nil
}

func (w Team) validate() error {
	if w.Carts < 1 || w.Carts > 64 {
		return fmt.Errorf("lqteam: Carts is %d, want 1 to 64", w.Carts)
	}
	if w.Steps < 1 || w.Steps > 100_000 {
		return fmt.Errorf("lqteam: Steps is %d, want 1 to 100000", w.Steps)
	}
	for _, c := range []struct {
		name               string
		value, least, most float64
	}{
		{"Dt", w.Dt, 1e-4, 1}, {"Spring", w.Spring, 0, 100}, {"Friction", w.Friction, 0, 100}, {"Force", w.Force, 1e-3, 1000},
		{"Speed", w.Speed, 0, 1000}, {"Effort", w.Effort, 1e-3, 1000}, {"Start", w.Start, 0, 1000},
	} {
		if !(c.value >= c.least && c.value <= c.most) {
			return fmt.Errorf("lqteam: %s is %v, want %g to %g", c.name, c.value, c.least, c.most)
		}
	}
	return nil
}

// team is an episode.
type team struct {
	w       Team
	best    Solution
	s, next []float64 // positions, then velocities
	t       int
	optimum float64
}

func (e *team) Spec() env.Spec {
	n := e.w.Carts
	return env.Spec{
		Name: fmt.Sprintf("lqteam/%d", n), Agents: n, ActDim: 1, ObsDim: 3 * n, StateDim: 2 * n, MaxSteps: e.w.Steps, Metrics: []string{"optimum"},
	}
}

func (e *team) Reset(ep env.Episode, out *env.Step) {
	clear(e.s)
	for i := range e.w.Carts {
		e.s[i] = (2*ep.Rand.Float64() - 1) * e.w.Start
	}
	e.begin(out)
}

// begin starts the clock in the state s.
func (e *team) begin(out *env.Step) {
	e.t, e.optimum = 0, -quadratic(e.best.Cost, e.s)
	e.show(out)
}

// Step pays for the state and the forces, then moves the carts.
func (e *team) Step(act env.Actions, out *env.Step) {
	n, cost := e.w.Carts, 0.0
	x, v := e.s[:n], e.s[n:]
	for i := range n {
		u := float64(env.Clip(act.Continuous[i]))
		cost += x[i]*x[i] + e.w.Speed*v[i]*v[i] + e.w.Effort*u*u
		pull := 0.0
		if i > 0 {
			pull += x[i-1] - x[i]
		}
		if i+1 < n {
			pull += x[i+1] - x[i]
		}
		e.next[i] = x[i] + e.w.Dt*v[i]
		e.next[n+i] = v[i] + e.w.Dt*(e.w.Spring*pull-e.w.Friction*v[i]+e.w.Force*u)
	}
	e.s, e.next = e.next, e.s
	if e.t++; e.t == e.w.Steps {
		cost += quadratic(e.best.Cost, e.s)
		out.Terminated, out.Outcome = true, env.Ended
	}
	for i := range out.Reward {
		out.Reward[i] = float32(-cost)
	}
	e.show(out)
}

func (e *team) show(out *env.Step) {
	for i, x := range e.s {
		out.State[i] = float32(x)
	}
	n := e.w.Carts
	for i := range n {
		o := out.Obs[3*n*i : 3*n*(i+1)]
		clear(o[copy(o, out.State):])
		o[2*n+i] = 1
	}
	out.Metrics[0] = float32(e.optimum)
}

// quadratic is sᵀPs.
func quadratic(p *mat.Dense, s []float64) (sum float64) {
	for i, x := range s {
		row := p.RawRowView(i)
		for j, y := range s {
			sum += x * row[j] * y
		}
	}
	return sum
}
