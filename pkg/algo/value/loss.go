package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// transition is a sample inside a graph: what was seen before and after, and what happened between.
type transition struct {
	before, after Inputs // [time, batch, agent, …]
	actions       *Node  // [time, batch, agent], int32
	reward        *Node  // [time, batch, agent]
	ends          *Node  // [time, batch, 1], 1 = do not bootstrap
}

// tdError is the temporal-difference error of every agent [time, batch, agent], or of the team
// [time, batch, 1] where there is a mixer:
//
//	δ = r + γ·(1−end)·Target(s') − Q(s, a)
func (s System) tdError(online, target *model.Scope, x transition) (delta, chosen *Node) {
	q := s.Agent(online.In("agent"), x.before)
	chosen = pick(q, x.actions)
	// The second pass shares the online weights. No gradient flows back through it.
	next := StopGradient(s.Agent(online.ResetVisited().In("agent"), x.after))
	value := StopGradient(s.Target(next, s.Agent(target.In("agent"), x.after), x.after.Avail))
	reward := x.reward
	if s.Mixer != nil {
		chosen = s.Mixer(online.In("mixer"), chosen, x.before)
		value = StopGradient(s.Mixer(target.In("mixer"), value, x.after))
		reward = s.Team(reward)
	}
	if chosen.Rank() != 3 || !chosen.Shape().Equal(value.Shape()) {
		exceptions.Panicf("%s: values %s and targets %s, want [time, batch, agent] or [time, batch, 1]", s.Name, chosen.Shape(), value.Shape())
	}
	bootstrap := MulScalar(Mul(OneMinus(x.ends), value), s.Train.Gamma)
	return Sub(Add(MulScalar(reward, s.Train.RewardScale), bootstrap), chosen), chosen
}

// pick returns the value of each agent's action: q [time, batch, agent, action], actions [time, batch, agent].
func pick(q, actions *Node) *Node {
	return ReduceSum(Mul(q, OneHot(actions, q.Shape().Dim(3), q.DType())), 3)
}

// greedy returns the available action of the highest value, int32 [time, batch, agent].
func greedy(q, avail *Node) *Node {
	return ArgMax(Where(avail, q, MulScalar(OnesLike(q), -1e9)), 3, actionType)
}

// DoubleQ lets the online weights choose and the target weights judge: Q⁻(s', argmaxₐ Q(s', a))
// (van Hasselt et al., AAAI 2016).
func DoubleQ(online, target, avail *Node) *Node { return pick(target, greedy(online, avail)) }

// ReverseDoubleQ lets the target weights choose and the online weights judge: Q(s', argmaxₐ Q⁻(s', a)),
// as equation 6 of Zhu et al. (ICAART 2020) is printed.
func ReverseDoubleQ(online, target, avail *Node) *Node { return pick(online, greedy(target, avail)) }

// PlainQ lets the target weights choose and judge: maxₐ Q⁻(s', a) (Mnih et al., Nature 2015).
func PlainQ(_, target, avail *Node) *Node { return pick(target, greedy(target, avail)) }

// Additive is the sum of the agents' values (VDN: Sunehag et al., AAMAS 2018).
func Additive(_ *model.Scope, q *Node, _ Inputs) *Node { return ReduceAndKeep(q, ReduceSum, 2) }

// SumOfRewards is the team reward of worlds that pay each agent its own part.
func SumOfRewards(reward *Node) *Node { return ReduceAndKeep(reward, ReduceSum, 2) }
