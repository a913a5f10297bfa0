package value

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/nn"
)

// IQL lets every agent learn by itself, with one network for all (Tampuu et al., PLoS ONE 2017; the recurrent form is
// that of Rashid et al., ICML 2018):
//
//	L = E[(r + γ·Qᵢ⁻(τ'ᵢ, argmaxₐ Qᵢ(τ'ᵢ, a)) − Qᵢ(τᵢ, aᵢ))²], the mean over agents
func IQL(t Training) System {
	return System{Name: "iql", Sees: Sees{Obs: true, Last: true}, Agent: Recurrent(64), Target: DoubleQ, Loss: TD, Train: t}
}

// VDN learns values that add up to that of the team (Sunehag et al., AAMAS 2018):
//
//	Q_tot = Σᵢ Qᵢ(τᵢ, aᵢ)
func VDN(t Training) System {
	sys := IQL(t)
	sys.Name, sys.Mixer, sys.Team = "vdn", Additive, SharedReward
	return sys
}

// Recurrent is the agent network of QMIX and its kin, one for all agents (Rashid et al., ICML 2018, §5 and appendix C):
// observation, last action and the agent's number, a dense layer, a GRU, and a value of each action. Sees.Obs and
// Sees.Last are needed.
func Recurrent(width int) Agent {
	return Agent{Memory: width, Values: func(s *model.Scope, in Inputs) Values {
		h := Remember(s, in, nn.ReLU(layer(s.In("fc1"), flat(in), width)), width)
		return Values{Q: layer(s.In("q"), h, in.Spec.Choices()), Memory: h}
	}}
}

// flat is observation, last action and a one-hot number of each agent, [time, batch, agent, …].
func flat(in Inputs) *Node {
	if in.Obs == nil || in.Last == nil {
		exceptions.Panicf("value: a recurrent agent needs Sees.Obs and Sees.Last")
	}
	d := in.Obs.Shape().Dimensions
	number := ConvertDType(Diagonal(in.Obs.Graph(), d[2]), in.Obs.DType())
	return Concatenate([]*Node{in.Obs, in.Last, BroadcastToDims(Reshape(number, 1, 1, d[2], d[2]), d[0], d[1], d[2], d[2])}, 3)
}

// layer is a dense layer of one network for all agents: [time, batch, agent, k] → [time, batch, agent, out].
func layer(s *model.Scope, x *Node, out int) *Node {
	d := x.Shape().Dimensions
	return Reshape(nn.Dense(s, rows(x), out), d[0], d[1], d[2], out)
}

// rows joins all axes but the last: [time, batch, agent, k] → [1, time·batch·agent, k].
func rows(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(x, 1, -1, d[len(d)-1])
}

// Remember is the memory of an agent network that has one: the state of a GRU after every moment, [time, batch, agent, width],
// for x [time, batch, agent, k]. It begins with in.Memory, or zero, and anew where an episode begins (in.Keep).
func Remember(s *model.Scope, in Inputs, x *Node, width int) *Node {
	d := x.Shape().Dimensions
	t, b, n := d[0], d[1], d[2]
	h0 := in.Memory
	if h0 == nil {
		h0 = Zeros(x.Graph(), shapes.Make(x.DType(), b, n, width))
	}
	keep := in.Keep
	if keep != nil {
		keep = Reshape(BroadcastToDims(ExpandAxes(keep, 2), t, b, n), 1, t, b*n)
	}
	h := nn.GRU(s.In("gru"), Reshape(x, 1, t, b*n, d[3]), Reshape(h0, 1, b*n, width), keep)
	return Reshape(h, t, b, n, width)
}
