package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/nn"
)

// QTRAN learns a joint value without any restriction, and beside it values of the agents whose sum, corrected by a value
// of the state, equals it for the greedy joint action and is nowhere below (QTRAN-base: Son et al., ICML 2019, equations
// 4 to 6, in the recurrent form of oxwhirl/pymarl, src/learners/qtran_learner.py):
//
//	L = L_td + opt·L_opt + nopt·L_nopt
//	L_td   = E[(Q_jt(s, a) − y)²],  y = r + γ·Q_jt⁻(s', ā'),  ā the greedy actions of the agents
//	L_opt  = E[(Σᵢ Qᵢ(āᵢ) − Q_jt(s, ā) + V(s))²]
//	L_nopt = E[min(Σᵢ Qᵢ(aᵢ) − Q_jt(s, a) + V(s), 0)²]
//
// No gradient flows through Q_jt in the last two. opt and nopt are 1 and 0.1 there (src/config/algs/qtran.yaml).
//
// Deviations: none known from that code; the paper's experiments weigh both losses alike and use networks without memory.
func QTRAN(opt, nopt float64, t Training) System {
	sys := VDN(t)
	sys.Name, sys.Sees.State, sys.Mixer = "qtran", true, Unrestricted(64)
	sys.Loss = func(f *Forward) *Node {
		best := f.Values
		best.Taken = OneHot(greedy(f.Values.Q, f.In.Avail), f.Taken.Shape().Dim(3), f.Taken.DType())
		sum := func(taken *Node) *Node {
			return ReduceAndKeep(ReduceSum(Mul(f.Values.Q, taken), 3), ReduceSum, 2)
		}
		v := Reshape(threeLayers(f.Online.In("central").In("v"), rows(f.In.State), 64, 1), f.Total().Shape().Dimensions...)
		atBest := Add(Sub(sum(best.Taken), StopGradient(f.Mix(nil, best, f.In))), v)
		below := MinScalar(Add(Sub(sum(f.Taken), StopGradient(f.Total())), v), 0)
		optimal, other := f.Mean(Square(Mul(atBest, f.Filled))), f.Mean(Square(Mul(below, f.Filled)))
		f.Report("opt_loss", optimal)
		f.Report("nopt_loss", other)
		return Add(TD(f), Add(MulScalar(optimal, opt), MulScalar(other, nopt)))
	}
	return sys
}

// Unrestricted is QTRAN's joint value: it does not read the agents' values but their memory h and the actions v.Taken
// (oxwhirl/pymarl, src/modules/mixers/qtran.py, "qtran_paper" and "small", of width 64):
//
//	Q_jt = net(s, Σᵢ code(hᵢ, aᵢ))
func Unrestricted(width int) Mixer {
	return func(s *model.Scope, _ *Node, v Values, in Inputs) *Node {
		if v.Memory == nil {
			exceptions.Panicf("value: a joint value of the agents' memories needs agents with memory, such as value.Recurrent(64)")
		}
		d := v.Taken.Shape().Dimensions // time, batch, agent, action
		x := rows(Concatenate([]*Node{v.Memory, v.Taken}, 3))
		k := x.Shape().Dim(2)
		code := ReduceSum(Reshape(twoLayers(s.In("code"), x, k, k), d[0]*d[1], d[2], k), 1)
		q := threeLayers(s.In("q"), Concatenate([]*Node{rows(in.State), ExpandAxes(code, 0)}, 2), width, 1)
		return Reshape(q, d[0], d[1], 1)
	}
}

// threeLayers is two dense layers with ReLU and a dense layer.
func threeLayers(s *model.Scope, x *Node, hidden, out int) *Node {
	return twoLayers(s.In("rest"), nn.ReLU(nn.Dense(s.In("first"), x, hidden)), hidden, out)
}
