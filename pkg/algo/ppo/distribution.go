package ppo

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
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

// width is the number of values by which an action enters a network: choices, or the size of a continuous action.
func width(spec env.Spec) int {
	if spec.ActDim > 0 {
		return spec.ActDim
	}
	return spec.Choices()
}

// finish makes heads of what a policy network gives for each agent, [row, agent, width]: logits stay as they are. Means get
// a learned number beside each that does not depend on what is seen, of all agents alike; nets is how many networks
// a stack has, for numbers of each agent's own.
func finish(s *model.Scope, x *Node, spec env.Spec, nets ...int) *Node {
	if spec.ActDim == 0 {
		return x
	}
	stack := 1
	if len(nets) > 0 {
		stack = nets[0]
	}
	w := nn.Variable(s, x.Graph(), "deviation", nn.Constant(1), 1, stack, spec.ActDim)
	return Concatenate([]*Node{x, BroadcastToShape(Reshape(w, 1, stack, spec.ActDim), x.Shape())}, 2)
}

// normal splits heads [.., 2·dim] into means and deviations σ = sigmoid(w)/2, at first 0.3655. It does so by products
// with selecting matrices, since a slice has no second derivative in the library, which trust regions need.
func normal(heads *Node) (mean, deviation *Node) {
	dims := append([]int{}, heads.Shape().Dimensions...)
	last := len(dims) - 1
	dim := dims[last] / 2
	dims[last] = dim
	half := func(from int) *Node {
		selected := make([][]float32, 2*dim)
		for i := range selected {
			selected[i] = make([]float32, dim)
			if k := i - from; k >= 0 && k < dim {
				selected[i][k] = 1
			}
		}
		return Reshape(MatMul(Reshape(heads, -1, 2*dim), Const(heads.Graph(), selected)), dims...)
	}
	return half(0), MulScalar(Sigmoid(half(dim)), 0.5)
}

// judge gives the log-probabilities of what was done [row, agent, part] and the entropies [row, agent], of
// continuous actions the mean over their parts.
func (s System) judge(heads *Node, in Inputs) (logp, entropy *Node) {
	if in.Spec.ActDim > 0 {
		mean, deviation := normal(heads)
		logs := Log(deviation)
		logp = AddScalar(Neg(Add(MulScalar(Square(Div(Sub(in.Actions, mean), deviation)), 0.5), logs)), -math.Log(2*math.Pi)/2)
		if !s.Train.Components {
			logp = ReduceAndKeep(logp, ReduceSum, -1)
		}
		return logp, ReduceMean(AddScalar(logs, math.Log(2*math.Pi*math.E)/2), -1)
	}
	all := logChoices(heads, in.Avail, s.Train.Floor)
	some := Where(in.Avail, all, ZerosLike(all))
	return ReduceAndKeep(Mul(some, in.Actions), ReduceSum, -1), Neg(ReduceSum(Mul(Exp(all), some), -1))
}

// choose draws from the distributions of heads [.., width]: explore is 1, or 0 for the most likely action.
// It returns the actions as Inputs.Actions shows them. noise is what draw writes, [.., width]; avail is nil where
// actions are continuous.
func (s System) choose(heads, avail, noise, explore *Node) *Node {
	if avail == nil {
		mean, deviation := normal(heads)
		return Add(mean, Mul(Mul(deviation, noise), explore))
	}
	gumbel := Neg(Log(Neg(Log(noise)))) // argmax(log π + gumbel) has distribution π
	score := Add(logChoices(heads, avail, s.Train.Floor), Mul(gumbel, explore))
	return OneHot(ArgMax(score, -1, dtypes.Int32), heads.Shape().Dim(-1), heads.DType())
}

// draw fills noise with standard normal numbers for continuous actions, else with numbers strictly between 0 and 1
// in float32.
func draw(r *rand.Rand, spec env.Spec, noise []float32) {
	for i := range noise {
		if spec.ActDim > 0 {
			noise[i] = float32(r.NormFloat64())
		} else {
			noise[i] = (float32(r.Uint32()>>9) + 0.5) / (1 << 23)
		}
	}
}
