package ppo

import (
	"math"

	"github.com/gomlx/compute/shapes"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// MLP holds the sizes of the networks of IPPO, MAPPO, HAPPO, A2PO and HATRPO: layer norm of the input, then dense
// layers, each with ReLU and layer norm.
type MLP struct {
	Hidden int  // width of each of the two hidden layers
	Own    bool // true = each agent has networks of its own; false = all share one, which is told the agent's number
}

// IPPO lets each agent learn on its own (de Witt et al., 2020): actor and critic see its observation, and its own
// reward counts.
func IPPO(net MLP, t Training) System {
	return System{Name: "ippo", Actor: net.actor(), Critic: net.critic(observations), Own: net.Own, Surrogate: Clipped, Train: t}
}

// MAPPO gives IPPO's actors a central critic, which sees the state and values each agent's own return (Yu et al.,
// NeurIPS 2022).
//
// Deviations: the shared critic is told whose return is meant, since rewards need not be equal; log-probabilities
// of the stored actions are computed once more before the first epoch.
func MAPPO(net MLP, t Training) System {
	return System{Name: "mappo", Actor: net.actor(), Critic: net.critic(states), Own: net.Own, Surrogate: Clipped, Train: t}
}

// observations are what the agents see, [row, agent, obs].
func observations(in Inputs) *Node { return in.Obs }

// states repeats the state for each agent, [row, agent, state].
func states(in Inputs) *Node {
	d := in.State.Shape().Dimensions
	return BroadcastToDims(ExpandAxes(in.State, 1), d[0], in.Spec.Agents, d[1])
}

func (m MLP) actor() Actor {
	return func(s *model.Scope, in Inputs) (heads, values *Node) {
		heads, stack := m.run(s, in.Obs, width(in.Spec), 0.01), 1
		if m.Own {
			stack = in.Spec.Agents
		}
		return finish(s, heads, in.Spec, stack), nil
	}
}

func (m MLP) critic(see func(Inputs) *Node) Critic {
	return func(s *model.Scope, in Inputs) *Node { return Squeeze(m.run(s, see(in), 1, 1), 2) }
}

// run maps x [row, agent, in] to [row, agent, out], through stacked networks or through one.
func (m MLP) run(s *model.Scope, x *Node, out int, gain float64) *Node {
	d := x.Shape().Dimensions
	rows, n := d[0], d[1]
	active := nn.Orthogonal(math.Sqrt2)
	if m.Own {
		x = TransposeAllAxes(x, 1, 0, 2)
	} else {
		number := BroadcastToDims(ExpandAxes(OneHot(Iota(x.Graph(), shapes.Make(actionType, n), 0), n, x.DType()), 0), rows, n, n)
		x = Reshape(Concatenate([]*Node{x, number}, 2), 1, rows*n, d[2]+n)
	}
	if x.Shape().Dim(2) > 1 { // one number alone would always become 0
		x = nn.LayerNorm(s.In("norm"), x)
	}
	for _, layer := range []string{"first", "second"} {
		x = nn.LayerNorm(s.In("%s_norm", layer), nn.ReLU(nn.Linear(s.In("%s", layer), x, m.Hidden, active)))
	}
	x = nn.Linear(s.In("head"), x, out, nn.Orthogonal(gain))
	if m.Own {
		return TransposeAllAxes(x, 1, 0, 2)
	}
	return Reshape(x, rows, n, out)
}
