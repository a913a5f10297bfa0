package ppo

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
)

// HAPPO updates agents one after another in an order drawn anew for each rollout (Kuba et al., ICLR 2022). Each
// one's objective is weighted by the product of the ratios of those updated before it:
//
//	M^{1…k}(s, a) = Π_{j<k} π̄ʲ(aʲ|s)/πʲ(aʲ|s)
//
// Deviations: agents have critics on the state and advantages of their own, which in a team game are all of the
// same return; the critics learn with the last agent's epochs, once per rollout. net.Own has no effect: sharing
// networks would update all agents at once.
func HAPPO(net MLP, t Training) System {
	net.Own = true
	sys := MAPPO(net, t)
	sys.Name, sys.Turns.Next = "happo", anyTurn
	return sys
}

// anyTurn chooses uniformly among the agents that are left.
func anyTurn(r *rand.Rand, _ []float64, updated []bool) int {
	var left []int
	for agent, done := range updated {
		if !done {
			left = append(left, agent)
		}
	}
	return left[r.IntN(len(left))]
}

// A2PO also updates agents one after another (Wang et al., ICLR 2023), with corrections for those before: their
// ratios, no more than 1, cut the traces of the advantages; their product, held within 1 ± ε/2, multiplies the
// ratio before that is clipped; and ε grows along the order. Every other agent is the one with most to gain.
//
//	l = ρ·clip(M, 1 ± ε/2),  L = min(l·A, clip(l, 1 ± ε)·A),  ε_k = ε·(c·k/n + 1 − c) with c = 1/2
//
// Deviations: as HAPPO; value targets are those of the agent updated last.
func A2PO(net MLP, t Training) System {
	sys := HAPPO(net, t)
	sys.Name, sys.Surrogate = "a2po", preceded
	sys.Turns = Turns{
		Next:  strongestTurn,
		Range: func(k, n int) float64 { return 0.5*float64(k)/float64(n) + 0.5 },
		Trace: func(rho float64) float64 { return min(1, rho) },
	}
	return sys
}

// strongestTurn takes the agent of the largest mean |A|, and after that any, in turn.
func strongestTurn(r *rand.Rand, strength []float64, updated []bool) int {
	best, count := -1, 0
	for agent, done := range updated {
		if done {
			count++
		} else if best < 0 || strength[agent] > strength[best] {
			best = agent
		}
	}
	if count%2 == 1 {
		return anyTurn(r, strength, updated)
	}
	return best
}

func preceded(ratio, before, advantage, clip *Node) *Node {
	one := OnesLike(before)
	l := Mul(ratio, within(before, one, MulScalar(clip, 0.5)))
	return Min(Mul(l, advantage), Mul(within(l, OnesLike(l), clip), advantage))
}
