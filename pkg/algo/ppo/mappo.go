package ppo

import (
	"github.com/gomlx/compute/shapes"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// MLP holds the sizes of the networks of IPPO, MAPPO, HAPPO, A2PO and HATRPO: layer norm of the input, then dense
// layers, each with ReLU and layer norm.
type MLP struct {
	Hidden int // width of each of the two hidden layers
	// Plain = true leaves the layer norms out and takes Tanh: for worlds where the size of what is seen matters, as in
	// control, which a norm hides.
	Plain bool
	Own   bool // true = each agent has networks of its own; false = all share one, which is told the agent's number
	// Recurrent = true puts a recurrent unit of that width, with layer norm, between the hidden layers and the head, so
	// that actors and critics remember the episode (as in the recurrent MAPPO of Yu et al., 2022); see Training.Chunk.
	Recurrent bool
	past      *Past // that the networks of one graph run with
}

// memory counts the hidden numbers of an environment; together says that the critic is one network for all agents.
func (m MLP) memory(together bool) func(agents int) (actor, critic int) {
	if !m.Recurrent {
		return nil
	}
	return func(agents int) (actor, critic int) {
		if together && !m.Own {
			return agents * m.Hidden, m.Hidden
		}
		return agents * m.Hidden, agents * m.Hidden
	}
}

// with makes the networks run with the hidden states of in.
func (m MLP) with(in Inputs) MLP {
	m.past = in.Past
	return m
}

// IPPO lets each agent learn on its own (de Witt et al., 2020): actor and critic see its observation, and its own
// reward counts.
func IPPO(net MLP, t Training) System {
	critic := func(s *model.Scope, in Inputs) *Node { return Squeeze(net.with(in).run(s, in.Obs, 1, 1), 2) }
	return System{Name: "ippo", Actor: net.actor(), Critic: critic, Memory: net.memory(false), Own: net.Own, Surrogate: Clipped, Train: t}
}

// MAPPO gives IPPO's actors a central critic, which sees the state and values each agent's own return (Yu et al.,
// NeurIPS 2022).
//
// Deviations: a shared critic has an output for each agent, since rewards need not be equal; log-probabilities of
// the stored actions are computed once more before the first epoch.
func MAPPO(net MLP, t Training) System {
	return System{Name: "mappo", Actor: net.actor(), Critic: net.central, Memory: net.memory(true), Own: net.Own, Surrogate: Clipped, Train: t}
}

func (m MLP) actor() Actor {
	return func(s *model.Scope, in Inputs) (heads, values *Node) {
		heads, stack := m.with(in).run(s, in.Obs, width(in.Spec), 0.01), 1
		if m.Own {
			stack = in.Spec.Agents
		}
		return finish(s, heads, in.Spec, stack), nil
	}
}

// central values the state, for each agent by a network or by an output of its own.
func (m MLP) central(s *model.Scope, in Inputs) *Node {
	n, d := in.Spec.Agents, in.State.Shape().Dimensions
	m = m.with(in)
	if !m.Own {
		return Reshape(m.layers(s, ExpandAxes(in.State, 0), n, 1), d[0], n)
	}
	x := BroadcastToDims(ExpandAxes(in.State, 0), n, d[0], d[1])
	return TransposeAllAxes(Squeeze(m.layers(s, x, 1, 1), 2), 1, 0)
}

// run maps x [row, agent, in] to [row, agent, out], through stacked networks or through one.
func (m MLP) run(s *model.Scope, x *Node, out int, gain float64) *Node {
	d := x.Shape().Dimensions
	rows, n := d[0], d[1]
	if m.Own {
		return TransposeAllAxes(m.layers(s, TransposeAllAxes(x, 1, 0, 2), out, gain), 1, 0, 2)
	}
	number := OneHot(Iota(x.Graph(), shapes.Make(actionType, n), 0), n, x.DType())
	number = BroadcastToDims(ExpandAxes(number, 0), rows, n, n)
	x = Reshape(Concatenate([]*Node{x, number}, 2), 1, rows*n, d[2]+n)
	return Reshape(m.layers(s, x, out, gain), rows, n, out)
}

// layers maps [net, row, in] to [net, row, out].
func (m MLP) layers(s *model.Scope, x *Node, out int, gain float64) *Node {
	norm := func(s *model.Scope, x *Node) *Node {
		if m.Plain {
			return x
		}
		return nn.LayerNorm(s.In("norm"), x)
	}
	shape := nn.ReLU
	if m.Plain {
		shape = Tanh
	}
	if x.Shape().Dim(2) > 1 { // one number alone would always become 0
		x = norm(s, x)
	}
	for _, name := range []string{"first", "second"} {
		layer, nets, in := s.In("%s", name), x.Shape().Dim(0), x.Shape().Dim(2)
		// Biases that are not 0 at first: where all that is seen is 0, nothing would come out of the layers.
		bias := nn.Variable(layer, x.Graph(), "b", nn.FanIn, in, nets, 1, m.Hidden)
		x = norm(layer, shape(Add(nn.Project(layer, x, m.Hidden, active), bias)))
	}
	if m.Recurrent && m.past != nil {
		memory := s.In("memory")
		x = norm(memory, m.past.GRU(memory, x, m.Hidden))
	}
	return nn.Linear(s.In("head"), x, out, nn.Orthogonal(gain))
}
