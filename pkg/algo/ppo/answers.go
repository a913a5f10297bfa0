package ppo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// Answers returns what every agent of a policy of this package would greedily do in the first moment of an episode of
// key, if those that decide before it did as a row of given says, [row][agent] both: choices, or continuous actions of
// one number, clipped to ±1. Entries of agents that nobody sees have no effect.
func Answers(p policy.Policy, w env.World, key rng.Key, given [][]float64) ([][]float64, error) {
	a, ok := p.(*actor)
	switch {
	case !ok:
		return nil, fmt.Errorf("ppo: the answers of a %T, want a policy that this package has trained", p)
	case a.spec.ActDim > 1:
		return nil, fmt.Errorf("ppo: %s has continuous actions of %d numbers, want 1 for answers", a.spec.Name, a.spec.ActDim)
	case len(a.spec.Actions) > 1 || a.numbers > 0 || a.random:
		return nil, fmt.Errorf("ppo: %s has %d action heads, and %s keeps %d hidden numbers (random order: %v), want one head, no memory and one order for answers",
			a.spec.Name, len(a.spec.Actions), a.sys.Name, a.numbers, a.random)
	case len(given) == 0:
		return nil, fmt.Errorf("ppo: answers to nothing, want at least 1 row of %d actions", a.spec.Agents)
	}
	rows, n := len(given), a.spec.Agents
	acts := env.NewActions(a.spec, rows)
	for i, row := range given {
		if len(row) != n {
			return nil, fmt.Errorf("ppo: row %d of what is given has %d actions, want one of each of %d agents", i, len(row), n)
		}
		for agent, x := range row {
			switch most := a.spec.Choices() - 1; {
			case a.spec.ActDim > 0:
				acts.Continuous[i*n+agent] = float32(x)
			case x != float64(int32(x)) || x < 0 || int(x) > most:
				return nil, fmt.Errorf("ppo: row %d gives agent %d the choice %v, want a whole number from 0 to %d", i, agent, x, most)
			default:
				acts.Discrete[i*n+agent] = int32(x)
			}
		}
	}
	vec, err := env.NewVec(w, rows, func(int64) rng.Key { return key })
	if err != nil {
		return nil, err
	}
	defer vec.Close()
	now, err := vec.Before()
	if err != nil {
		return nil, err
	}
	now.Observe()
	m := moments{obs: now.Obs, state: now.State, avail: now.Avail, actions: acts.Discrete}
	if a.spec.ActDim > 0 {
		m.actions = acts.Continuous
	}
	program, err := xla.Compile(a.acting.Device, "answers", a.acting.Learned, a.sys.answersGraph(a.spec), inputs(a.spec, rows, true)...)
	if err != nil {
		return nil, err
	}
	done, err := program.Call(m.args(a.spec)...)
	if err != nil {
		return nil, err
	}
	out := make([][]float64, rows)
	for i := range out {
		for agent := range n {
			switch chosen := done[0].(type) {
			case []int32:
				out[i] = append(out[i], float64(chosen[i*n+agent]))
			case []float32:
				out[i] = append(out[i], float64(env.Clip(chosen[i*n+agent])))
			}
		}
	}
	return out, nil
}

// answersGraph gives the greedy action of every agent given what is done, int32 [row, agent] or float32 [row, agent, 1].
func (s System) answersGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		in, _ := look(spec, nodes, true)
		heads, _ := s.Actor(root.In("online").In("actor"), in)
		if spec.ActDim > 0 {
			mean, _ := normal(heads)
			return []*Node{mean}
		}
		return []*Node{ArgMax(logChoices(heads, in.Avail, 0), -1, actionType)}
	}
}
