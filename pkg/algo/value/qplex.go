package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// QPLEX learns any value of the team whose best joint action is made of every agent's best action: it weighs what each
// agent loses against its best action, by weights that may depend on what all agents do (Wang et al., ICLR 2021,
// equations 8 to 11):
//
//	Q_tot = Σᵢ Qᵢ + Σᵢ (λᵢ(s, a) − 1)·Aᵢ,  Aᵢ = Qᵢ(aᵢ) − maxₐ Qᵢ(a) ≤ 0,  λᵢ > 0
//
// The sizes are those of the authors' runs on SMAC (wjh720/QPLEX, pymarl-master/src/config/algs/qplex_sc2.yaml). For one
// table of payoffs they use Duplex(64, 10, 3) (algs/qplex.yaml).
//
// Deviations: none known from the authors' code; the paper does not name the stopped gradient of Aᵢ, see Duplex.
func QPLEX(t Training) System {
	sys := VDN(t)
	sys.Name, sys.Sees.State, sys.Mixer = "qplex", true, Duplex(64, 4, 1)
	return sys
}

// Duplex is QPLEX's mixer (wjh720/QPLEX, pymarl-master/src/modules/mixers/dmaq_general.py and dmaq_si_weight.py). Values
// are first transformed with the state, Qᵢ ← wᵢ(s)·Qᵢ + bᵢ(s) with wᵢ > 0; then
//
//	Q_tot = Σᵢ Qᵢ + Σᵢ (λᵢ − 1)·Aᵢ,  λᵢ = Σ_h |k_h(s)|·σ(α_hᵢ(s))·σ(β_hᵢ(s, a))
//
// No gradient flows through Aᵢ in the second sum, so that agents learn from the first as in VDN. hyper is the width of
// the hidden layers of w, b and λ, heads the number of terms h, layers how many layers each of k, α and β has, at least
// one. The actions are v.Taken, maxima run over what in.Avail allows.
func Duplex(hyper, heads, layers int) Mixer {
	return func(s *model.Scope, q *Node, v Values, in Inputs) *Node {
		d := q.Shape().Dimensions // time, batch, agent
		n, state := d[2], rows(in.State)
		w := Reshape(AddScalar(Abs(twoLayers(s.In("w"), state, hyper, n)), positive), d...)
		b := Reshape(twoLayers(s.In("b"), state, hyper, n), d...)
		best := ReduceMax(possible(v.Q, in.Avail), 3)
		advantage := StopGradient(Mul(w, Sub(q, best)))
		lambda := attendJointly(s.In("lambda"), in.State, v.Taken, hyper, heads, layers)
		total := Add(Add(Mul(w, q), b), Mul(MinusOne(lambda), advantage))
		return ReduceAndKeep(total, ReduceSum, 2)
	}
}

// positive keeps weights of the mixer above zero, as in the authors' code.
const positive = 1e-10

// attendJointly is Duplex's λ, [time, batch, agent], for state [time, batch, state] and actions
// [time, batch, agent, action]. The heads are a stack of networks.
func attendJointly(s *model.Scope, state, taken *Node, hyper, heads, layers int) *Node {
	d := taken.Shape().Dimensions // time, batch, agent, action
	n := d[2]
	st := rows(state)
	both := Concatenate([]*Node{st, Reshape(taken, 1, -1, n*d[3])}, 2)
	net := func(name string, x *Node, out int) *Node { // [head, time·batch, out]
		s := s.In("%s", name)
		x = BroadcastToDims(x, heads, x.Shape().Dim(1), x.Shape().Dim(2))
		for i := range layers - 1 {
			x = nn.ReLU(nn.Dense(s.In("%d", i), x, hyper))
		}
		return nn.Dense(s.In("out"), x, out)
	}
	key := AddScalar(Abs(net("key", st, 1)), positive)
	weights := Mul(key, Mul(Sigmoid(net("agents", st, n)), Sigmoid(net("actions", both, n))))
	return Reshape(ReduceSum(weights, 0), d[0], d[1], n)
}
