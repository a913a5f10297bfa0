package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// AQMIX is QMIX over entities: attention in the agents' network and in the mixer, so that team sizes may vary (Iqbal et
// al., ICML 2021, §2.3; "qmix_atten" in shariqiqbal2810/REFIL).
func AQMIX(w Width, t Training) System {
	return System{
		Name: "aqmix", Sees: Sees{Entities: true, Last: true}, Agent: Entities(w), Mixer: Flexible(w),
		Team: SharedReward, Target: DoubleQ, Loss: TD, Train: t,
	}
}

// EntityVDN is VDN with AQMIX's agents ("vdn_atten" in shariqiqbal2810/REFIL).
func EntityVDN(w Width, t Training) System {
	sys := AQMIX(w, t)
	sys.Name, sys.Mixer = "vdn-entity", Additive
	return sys
}

// Flexible is REFIL's mixer of any number of agents: QMIX's with weights from attention over the entities, and Softmax
// in place of Abs (shariqiqbal2810/REFIL, src/modules/mixers/flex_qmix.py):
//
//	Q_tot = elu(q·softmax(W₁) + b₁)·softmax(w₂) + V
//
// Means run over all slots of agents, absent ones too, so that the biases grow with the team. Of several views only W₁
// has a row for each.
func Flexible(w Width) Mixer {
	return func(s *model.Scope, q *Node, _ Values, in Inputs) *Node {
		w1 := s.In("w1")
		weights := together(in, w1.Scope(), described(in), func(in Inputs) *Node {
			return hypernetwork(w1, in, described(in), w.Hyper, w.Heads, w.Mixing)
		})
		return mixFlexibly(s, q, weights, in, w)
	}
}

// mixFlexibly mixes q [time, batch, agent] by W₁ [time, batch, agent, mixing] before its Softmax.
func mixFlexibly(s *model.Scope, q, w1 *Node, in Inputs, w Width) *Node {
	in.Views, in.Also = nil, nil
	make := func(name string) *Node { // [time, batch, mixing]
		s := s.In("%s", name)
		return once(in, s.Scope()+" out", described(in), func() *Node {
			return meanHypernetwork(s, in, described(in), w.Hyper, w.Heads, w.Mixing)
		})
	}
	hidden := ReduceSum(Mul(ExpandAxes(q, -1), nn.SoftmaxOver(w1, -1)), 2)
	hidden = elu(Add(hidden, make("b1")))
	w2 := nn.SoftmaxOver(make("w2"), -1)
	return ExpandAxes(Add(ReduceSum(Mul(hidden, w2), 2), ReduceMean(make("v"), 2)), -1)
}

// LinearFlexible is REFIL's mixer for the group-matching game ("lin_flex_qmix" in shariqiqbal2810/REFIL):
//
//	Q_tot = Σₐ softmaxₐ(w)·qₐ + V
func LinearFlexible(w Width) Mixer {
	return func(s *model.Scope, q *Node, _ Values, in Inputs) *Node {
		weights := nn.SoftmaxOver(ReduceMean(hypernetwork(s.In("w1"), in, described(in), w.Hyper, w.Heads, w.Mixing), 3), 2)
		in.Views = nil
		v := ReduceMean(meanHypernetwork(s.In("v"), in, described(in), w.Hyper, w.Heads, w.Mixing), 2)
		return ExpandAxes(Add(ReduceSum(Mul(q, weights), 2), v), -1)
	}
}
