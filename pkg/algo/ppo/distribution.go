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

// heads gives what f makes of each head's part of xs [.., choice], side by side.
func heads(spec env.Spec, f func(xs []*Node) *Node, xs ...*Node) *Node {
	if len(spec.Actions) < 2 {
		return f(xs)
	}
	var parts []*Node
	from := 0
	for _, n := range spec.Actions {
		own := make([]*Node, len(xs))
		for i, x := range xs {
			own[i] = SliceAxis(x, -1, AxisRange(from, from+n))
		}
		parts, from = append(parts, f(own)), from+n
	}
	return Concatenate(parts, -1)
}

// show turns the numbers of choices, [.., head] or of one head [..], into 1 at the choice of each head, [.., choice].
func show(actions *Node, spec env.Spec, dtype dtypes.DType) *Node {
	if len(spec.Actions) == 1 {
		return OneHot(actions, spec.Actions[0], dtype)
	}
	var parts []*Node
	for k, n := range spec.Actions {
		parts = append(parts, OneHot(Squeeze(SliceAxis(actions, -1, AxisElem(k)), -1), n, dtype))
	}
	return Concatenate(parts, -1)
}

// chosen is the inverse of show.
func chosen(shown *Node, spec env.Spec) *Node {
	if len(spec.Actions) == 1 {
		return ArgMax(shown, -1, actionType)
	}
	return heads(spec, func(xs []*Node) *Node { return ExpandAxes(ArgMax(xs[0], -1, actionType), -1) }, shown)
}

// logChoices gives the logarithms of π = (1−floor)·softmax(logits) + floor/choices over the available choices of one
// head, [.., choice].
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
// continuous actions and of several heads the mean over their parts.
func (s System) judge(logits *Node, in Inputs) (logp, entropy *Node) {
	if in.Spec.ActDim > 0 {
		mean, deviation := normal(logits)
		logs := Log(deviation)
		logp = AddScalar(Neg(Add(MulScalar(Square(Div(Sub(in.Actions, mean), deviation)), 0.5), logs)), -math.Log(2*math.Pi)/2)
		if !s.Train.Components {
			logp = ReduceAndKeep(logp, ReduceSum, -1)
		}
		return logp, ReduceMean(AddScalar(logs, math.Log(2*math.Pi*math.E)/2), -1)
	}
	all := s.logChoices(logits, in)
	some := Where(in.Avail, all, ZerosLike(all))
	sum := func(x *Node) *Node { return ReduceAndKeep(x, ReduceSum, -1) }
	logp = Mul(some, in.Actions)
	if s.Train.Components {
		logp = heads(in.Spec, func(xs []*Node) *Node { return sum(xs[0]) }, logp)
	} else {
		logp = sum(logp)
	}
	entropy = Neg(ReduceSum(Mul(Exp(all), some), -1))
	if n := len(in.Spec.Actions); n > 1 {
		entropy = DivScalar(entropy, float64(n))
	}
	return logp, entropy
}

// logChoices gives the logarithms of the probabilities of every head's choices, [row, agent, choice].
func (s System) logChoices(logits *Node, in Inputs) *Node {
	return heads(in.Spec, func(xs []*Node) *Node { return logChoices(xs[0], xs[1], s.Train.Floor) }, logits, in.Avail)
}

// choose draws from the distributions of logits or means [.., width]: explore is 1, or 0 for the most likely
// action. It returns the actions as Inputs.Actions shows them. noise is what draw writes, [.., width]; avail is nil
// where actions are continuous.
func (s System) choose(logits *Node, in Inputs, avail, noise, explore *Node) *Node {
	if avail == nil {
		mean, deviation := normal(logits)
		return Add(mean, Mul(Mul(deviation, noise), explore))
	}
	return heads(in.Spec, func(xs []*Node) *Node {
		gumbel := Neg(Log(Neg(Log(xs[2])))) // argmax(log π + gumbel) has distribution π
		score := Add(logChoices(xs[0], xs[1], s.Train.Floor), Mul(gumbel, explore))
		return OneHot(ArgMax(score, -1, dtypes.Int32), xs[0].Shape().Dim(-1), xs[0].DType())
	}, logits, avail, noise)
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
