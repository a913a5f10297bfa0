// Package rl holds targets and losses of reinforcement learning as functions on graph nodes.
//
// Time comes first, [time, batch, k], and what stands for a whole step, such as its end, has k = 1 or repeats.
package rl

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Lambda returns the λ-returns of a sample (Sutton & Barto, 2018, §12.1, with a bootstrap at every step):
//
//	Gₜ = rₜ + γ(1−endₜ)·[(1−λ)·Vₜ₊₁ + λ·Gₜ₊₁],  and where the sample goes no further, Gₜ = rₜ + γ(1−endₜ)·Vₜ₊₁
//
// reward and next are [time, batch, k], next being the value Vₜ₊₁ of the moment after each step; ends and filled are
// [time, batch, k] or [time, batch, 1]: ends is 1 where nothing follows that is worth anything, filled 1 for the steps
// that were played and 0 for padding behind them. Returns of padding are 0, whatever its other numbers are. λ = 0
// gives the one-step target, λ = 1 the discounted return of an episode that ends. No gradient flows through it.
//
// An episode that stops before the sample does without an end, as at a time limit, bootstraps at its last step as any
// other. (PyMARL2's build_td_lambda_targets differs there alone: it leaves λγVₜ₊₁ of that step out.)
//
// The recurrence Gₜ = dₜ + cₜGₜ₊₁ is solved for all steps at once by doubling, in log₂(time) additions: no loop is needed.
func Lambda(reward, next, ends, filled *Node, gamma, lambda float64) *Node {
	want(reward.Rank() == 3 && next.Shape().Equal(reward.Shape()), "Lambda takes reward and next [time, batch, k], got %s and %s", reward.Shape(), next.Shape())
	d := reward.Shape().Dimensions
	for _, x := range []*Node{ends, filled} {
		s := x.Shape().Dimensions
		want(len(s) == 3 && s[0] == d[0] && s[1] == d[1] && (s[2] == d[2] || s[2] == 1),
			"Lambda takes ends and filled [time, batch, k or 1] beside reward %s, got %s and %s", reward.Shape(), ends.Shape(), filled.Shape())
	}
	wide := func(x *Node) *Node {
		return BroadcastToShape(StopGradient(ConvertDType(x, reward.DType())), reward.Shape())
	}
	played := GreaterThan(wide(filled), ZerosLike(reward))
	onward := MulScalar(OneMinus(wide(ends)), gamma)
	trace := MulScalar(later(wide(filled), 1), lambda) // λ where a step of the sample follows, else 0
	zero := ZerosLike(reward)
	sum := Where(played, Add(StopGradient(reward), Mul(Mul(onward, OneMinus(trace)), StopGradient(next))), zero)
	factor := Where(played, Mul(onward, trace), zero)
	for k := 1; k < d[0]; k *= 2 {
		sum, factor = Add(sum, Mul(factor, later(sum, k))), Mul(factor, later(factor, k))
	}
	return sum
}

// later is x[t+k] at time t, 0 behind the end.
func later(x *Node, k int) *Node {
	d := x.Shape().Clone()
	if k >= d.Dimensions[0] {
		return ZerosLike(x)
	}
	d.Dimensions[0] = k
	return Concatenate([]*Node{Slice(x, AxisRange(k)), Zeros(x.Graph(), d)}, 0)
}

func want(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Errorf("rl: "+format, args...)) // inside graph functions only; xla makes it an error
	}
}
