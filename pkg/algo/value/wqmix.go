package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// CWQMIX is QMIX with a joint value Q* beside it that is not monotone: both learn towards targets of Q*, and QMIX's own
// error counts little, alpha, for joint actions that look worse than the best one (Rashid et al., "Weighted QMIX",
// NeurIPS 2020, §4 and §5, central weighting):
//
//	L = E[w·(Q_tot(s, a) − y)²] + E[(Q*(s, a) − y)²],  y = r + γ·Q*⁻(s', a'),  a' = argmax Q_tot(s', ·)
//	w = 1 where a is the greedy joint action or y > Q*⁻(s, greedy), else alpha
//
// alpha is 0.1 in the authors' code (oxwhirl/wqmix, src/config/algs/cw_qmix.yaml, and for their predator-prey runs).
//
// Deviations: none known from that code, which is src/learners/max_q_learner.py. Q* uses the ends of Training (TimeOutEnds).
func CWQMIX(alpha float64, t Training) System {
	sys := QMIX(t)
	sys.Name = "cw-qmix"
	sys.Loss = weighted(alpha, func(f *Forward, c central) *Node {
		greedyNow := OneHot(greedy(f.Values.Q, f.In.Avail), f.Taken.Shape().Dim(3), f.Taken.DType())
		same := ReduceAndKeep(ReduceSum(Mul(greedyNow, f.Taken), 3), ReduceMin, 2) // 1 where all agents did it
		return LogicalOr(Equal(same, OnesLike(same)), GreaterThan(f.Y(), c.judged(greedyNow, 0)))
	})
	return sys
}

// OWQMIX is CWQMIX with optimistic weights, which need no comparison with the best joint action (the same paper, §5):
//
//	w = 1 where Q_tot(s, a) < y, else alpha
//
// alpha is 0.5 in the example for SMAC of the authors' code (oxwhirl/wqmix, README.md).
func OWQMIX(alpha float64, t Training) System {
	sys := QMIX(t)
	sys.Name = "ow-qmix"
	sys.Loss = weighted(alpha, func(f *Forward, _ central) *Node { return LessThan(f.Total(), f.Y()) })
	return sys
}

// weighted is the loss of both; full says for which steps [time, batch, 1] the error counts fully.
func weighted(alpha float64, full func(f *Forward, c central) *Node) Loss {
	return func(f *Forward) *Node {
		t := f.Taken.Shape().Dim(0)
		c := newCentral(f)
		f.Aim(c.judged(f.Greedy(), 1))
		joint := f.SquaredError(c.value(f.Online, c.online.moments(0, t), f.Taken, f.In))
		one := OnesLike(f.Total())
		w := StopGradient(Where(full(f, c), one, MulScalar(one, alpha)))
		f.Report("central_loss", joint)
		f.Report("full_weight", f.Mean(Mul(ConvertDType(Equal(w, one), w.DType()), f.Filled)))
		return Add(f.Mean(Mul(w, Square(f.Delta(f.Total())))), joint)
	}
}

// central is Q*: agents with weights of their own, built as the method's, and a mixer that may do what it likes.
type central struct {
	f              *Forward
	online, target Values // of all moments
}

func newCentral(f *Forward) central {
	return central{f, f.agents(centralScope(f.Online), f.All), f.agents(centralScope(f.Target), f.AllTarget).stopped()}
}

// centralScope is where the weights of Q* are, in those of the online or the target network.
func centralScope(s *model.Scope) *model.Scope { return s.ResetVisited().In("central") }

// judged is the target network's Q* of the steps' moments from first on, without gradient, for actions
// [time, batch, agent, action], one-hot: [time, batch, 1].
func (c central) judged(actions *Node, first int) *Node {
	last := first + actions.Shape().Dim(0)
	return StopGradient(c.value(c.f.Target, c.target.moments(first, last), actions, c.f.AllTarget.moments(first, last)))
}

// value is Q* of those actions, [time, batch, 1]: state and the agents' values through three hidden layers, and a value
// of the state beside it (oxwhirl/wqmix, src/modules/mixers/qmix_central_no_hyper.py; 256 in algs/cw_qmix.yaml).
func (c central) value(s *model.Scope, v Values, actions *Node, in Inputs) *Node {
	s = centralScope(s).In("mixer")
	d := actions.Shape().Dimensions
	q := Reshape(ReduceSum(Mul(v.Q, actions), 3), 1, -1, d[2])
	state := rows(in.State)
	x := Concatenate([]*Node{state, q}, 2)
	for _, name := range []string{"fc1", "fc2", "fc3"} {
		x = nn.ReLU(nn.Dense(s.In("%s", name), x, centralWidth))
	}
	y := Add(nn.Dense(s.In("q"), x, 1), twoLayers(s.In("v"), state, centralWidth, 1))
	return Reshape(y, d[0], d[1], 1)
}

const centralWidth = 256
