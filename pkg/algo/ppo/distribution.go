package ppo

import (
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// never is the log-probability of a choice that is not available.
const never = -1e10

// logChoices gives the logarithms of π = (1−floor)·softmax(logits) + floor/choices over the available choices,
// [.., choice].
func logChoices(logits, avail *Node, floor float64) *Node {
	never := MulScalar(OnesLike(logits), never)
	logp := LogSoftmax(Where(avail, logits, never), -1)
	if floor > 0 {
		open := ConvertDType(avail, logits.DType())
		even := Div(open, ReduceAndKeep(open, ReduceSum, -1))
		p := Add(MulScalar(Exp(logp), 1-floor), MulScalar(even, floor))
		logp = Log(Where(avail, p, OnesLike(p)))
	}
	return Where(avail, logp, never)
}

// judge gives the log-probabilities of what was done [row, agent, part] and the entropies [row, agent].
func (s System) judge(heads *Node, in Inputs) (logp, entropy *Node) {
	all := logChoices(heads, in.Avail, s.Train.Floor)
	logp = ReduceAndKeep(Mul(Where(in.Avail, all, ZerosLike(all)), in.Actions), ReduceSum, -1)
	return logp, Neg(ReduceSum(Mul(Exp(all), Where(in.Avail, all, ZerosLike(all))), -1))
}

// choose draws from the distributions of heads [.., width]: explore is 1, or 0 for the most likely action.
// It returns the actions as Inputs.Actions shows them. noise is what draw writes, [.., width].
func (s System) choose(heads, avail, noise, explore *Node) *Node {
	gumbel := Neg(Log(Neg(Log(noise)))) // argmax(log π + gumbel) has distribution π
	score := Add(logChoices(heads, avail, s.Train.Floor), Mul(gumbel, explore))
	return OneHot(ArgMax(score, -1, dtypes.Int32), heads.Shape().Dim(-1), heads.DType())
}

// draw fills noise with numbers strictly between 0 and 1 in float32.
func draw(r *rand.Rand, noise []float32) {
	for i := range noise {
		noise[i] = (float32(r.Uint32()>>9) + 0.5) / (1 << 23)
	}
}
