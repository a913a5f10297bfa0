package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// TD is the loss of temporal-difference learning, the mean over steps, and over agents where each learns on its own:
//
//	L = E[(Q_tot(s, a) − y)²]
func TD(f *Forward) *Node { return f.SquaredError(f.Total()) }

// pick returns the value of each agent's action: q [time, batch, agent, action], actions [time, batch, agent].
func pick(q, actions *Node) *Node {
	return ReduceSum(Mul(q, OneHot(actions, q.Shape().Dim(3), q.DType())), 3)
}

// possible replaces the values of actions that are not available by a very small one.
func possible(q, avail *Node) *Node { return Where(avail, q, MulScalar(OnesLike(q), -1e9)) }

// greedy returns the available action of the highest value, int32 [time, batch, agent].
func greedy(q, avail *Node) *Node { return ArgMax(possible(q, avail), 3, actionType) }

// DoubleQ lets the online weights choose and the target weights judge: Q⁻(s', argmaxₐ Q(s', a))
// (van Hasselt et al., AAAI 2016).
func DoubleQ(online, target, avail *Node) *Node { return pick(target, greedy(online, avail)) }

// ReverseDoubleQ lets the target weights choose and the online weights judge: Q(s', argmaxₐ Q⁻(s', a)),
// as equation 6 of Zhu et al. (ICAART 2020) is printed.
func ReverseDoubleQ(online, target, avail *Node) *Node { return pick(online, greedy(target, avail)) }

// PlainQ lets the target weights choose and judge: maxₐ Q⁻(s', a) (Mnih et al., Nature 2015).
func PlainQ(_, target, avail *Node) *Node { return pick(target, greedy(target, avail)) }

// Additive is the sum of the agents' values (VDN: Sunehag et al., AAMAS 2018).
func Additive(_ *model.Scope, q *Node, _ Values, _ Inputs) *Node {
	return ReduceAndKeep(q, ReduceSum, 2)
}

// SumOfRewards is the team reward of worlds that pay each agent its own part.
func SumOfRewards(reward *Node) *Node { return ReduceAndKeep(reward, ReduceSum, 2) }

// SharedReward is the team reward of worlds that pay every agent the reward of the team: the mean.
func SharedReward(reward *Node) *Node { return ReduceAndKeep(reward, ReduceMean, 2) }
