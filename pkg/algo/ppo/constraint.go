package ppo

import (
	"fmt"
	"math"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/train"
)

// Constraint bounds what an episode may cost on average, by a Lagrange multiplier λ ≥ 0 of each cost (Altman, 1999;
// as in reward-constrained policy optimisation, Tessler et al., ICLR 2019):
//
//	λ ← max(0, λ + LR·(mean cost of an episode − limit)),  A = A_reward − Σ λ·A_cost
//
// The cost of an episode is the undiscounted sum over its steps, mean over agents, and the mean is over the episodes
// that end within a rollout; without any, λ stays. A limit that is never reached only logs the cost.
//
// There is no critic of costs alone: advantages are linear in rewards and values, so that A is the advantage of r −
// Σ λ·c under a critic of that same return, which follows as λ moves.
type Constraint struct {
	Limits []float64 // of each of the world's costs, in their order; empty = costs do not count
	LR     float64   // of λ, per rollout
}

func (c Constraint) valid() bool {
	for _, limit := range c.Limits {
		if math.IsNaN(limit) || math.IsInf(limit, 0) {
			return false
		}
	}
	return len(c.Limits) == 0 || c.LR > 0 && !math.IsInf(c.LR, 0)
}

func (c Constraint) accepts(name string, spec env.Spec) error {
	switch {
	case len(c.Limits) == 0:
	case spec.Costs == 0:
		return fmt.Errorf("ppo: %s reports no costs, want a world with %d for the limits of %s", spec.Name, len(c.Limits), name)
	case len(c.Limits) != spec.Costs:
		return fmt.Errorf("ppo: %s reports %d costs and %s limits %d, want a limit of each", spec.Name, spec.Costs, name, len(c.Limits))
	}
	return nil
}

// multipliers hold the state of a constraint.
type multipliers struct {
	Constraint
	agents  int
	lambda  []float64 // [cost]
	running []float64 // [env, cost], of the episodes that have not ended
	report  train.Metrics
}

func newMultipliers(c Constraint, envs, agents int) *multipliers {
	n := len(c.Limits)
	return &multipliers{c, agents, make([]float64, n), make([]float64, envs*n), train.Metrics{}}
}

// state is what a checkpoint keeps: lambda and running.
func (m *multipliers) state() []float64 {
	return append(append([]float64(nil), m.lambda...), m.running...)
}

// weigh moves λ by the costs of a rollout, reports both, and returns the rewards less what costs count.
func (m *multipliers) weigh(s *replay.Sample) []float32 {
	n := len(m.lambda)
	if n == 0 {
		return s.Reward
	}
	clear(m.report)
	ended, sums := 0.0, make([]float64, n)
	for row := range s.Time * s.Batch {
		running := m.running[row%s.Batch*n:][:n]
		for k, cost := range s.Cost[row*m.agents*n : (row+1)*m.agents*n] {
			running[k%n] += float64(cost) / float64(m.agents)
		}
		if s.Terminated[row] == 0 && s.Truncated[row] == 0 {
			continue
		}
		ended++
		for k := range running {
			sums[k] += running[k]
		}
		clear(running)
	}
	for k := range m.lambda {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf("_%d", k)
		}
		if ended > 0 {
			m.lambda[k] = max(0, m.lambda[k]+m.LR*(sums[k]/ended-m.Limits[k]))
			m.report["episode_cost"+suffix] = sums[k] / ended
		}
		m.report["multiplier"+suffix] = m.lambda[k]
	}
	reward := make([]float32, len(s.Reward))
	for i, r := range s.Reward {
		x := float64(r)
		for k, lambda := range m.lambda {
			x -= lambda * float64(s.Cost[i*n+k])
		}
		reward[i] = float32(x)
	}
	return reward
}
