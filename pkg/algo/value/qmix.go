package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// QMIX learns values whose mixture is monotone in each of them, so that every agent's best action is part of the best
// joint action (Rashid et al., ICML 2018, equations 4 to 6):
//
//	Q_tot = mixer(Q₁, …, Q_n; s),  ∂Q_tot/∂Qᵢ ≥ 0
func QMIX(t Training) System {
	sys := VDN(t)
	sys.Name, sys.Sees.State, sys.Mixer = "qmix", true, Monotonic(32, 64)
	return sys
}

// Monotonic is QMIX's mixer: two layers whose weights are made from the state, not negative by Abs, with an ELU between
// them. width is that of the mixed layer, hyper that of the layer from which the weights are made (32 and 64 in the
// authors' code, src/config/algs/qmix.yaml and src/modules/mixers/qmix.py; the paper's hypernetworks are linear):
//
//	Q_tot = elu(q·|W₁(s)| + b₁(s))·|w₂(s)| + V(s)
func Monotonic(width, hyper int) Mixer {
	return func(s *model.Scope, q *Node, _ Values, in Inputs) *Node {
		d := q.Shape().Dimensions // time, batch, agent
		state, n := rows(in.State), d[2]
		w1 := Abs(Reshape(twoLayers(s.In("w1"), state, hyper, n*width), -1, n, width))
		b1 := Reshape(nn.Dense(s.In("b1"), state, width), -1, width)
		w2 := Abs(Reshape(twoLayers(s.In("w2"), state, hyper, width), -1, width))
		v := Reshape(twoLayers(s.In("v"), state, width, 1), -1)
		hidden := elu(Add(ReduceSum(Mul(ExpandAxes(Reshape(q, -1, n), 2), w1), 1), b1))
		return Reshape(Add(ReduceSum(Mul(hidden, w2), 1), v), d[0], d[1], 1)
	}
}

// twoLayers is a dense layer, ReLU, and a dense layer.
func twoLayers(s *model.Scope, x *Node, hidden, out int) *Node {
	return nn.Dense(s.In("out"), nn.ReLU(nn.Dense(s.In("in"), x, hidden)), out)
}

// elu is x above zero and eˣ − 1 below (Clevert, Unterthiner & Hochreiter, ICLR 2016).
func elu(x *Node) *Node {
	return Add(MaxScalar(x, 0), MinusOne(Exp(MinScalar(x, 0)))) // the library has no gradient of Expm1
}
