package ppo

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// Hyper holds the sizes of STEP's networks.
type Hyper struct {
	Hidden    int // width of the two hidden layers of the policy that is made
	Embedding int // width of what level and superiors' actions become
}

// STEP lets every agent work out what its superiors do, and answer that (Zhang et al., IJCAI 2023): one policy of
// all levels, whose weights a hyper-network makes from the level and the superiors' actions.
//
// This is an approximation, since only the abstract is public: policy and value are a network with two hidden
// layers of the state, its weights linear in an embedding of level and actions, its constants STEER's. Agents
// draw their actions in order, as in STEER; where they act greedily, each can work out its superiors' actions.
func STEP(net Hyper, t Training) System {
	return System{Name: "step", Actor: net.parallel, Decode: net.decode, Surrogate: Clipped, Train: t}
}

// level gives head [row, 1, width] and value [row, 1] of an agent from the actions of its superiors [row, agent,
// width], those of others 0.
func (h Hyper) level(s *model.Scope, in Inputs, agent int, superiors *Node) (head, value *Node) {
	g, rows, n := in.State.Graph(), in.State.Shape().Dim(0), in.Spec.Agents
	number := make([]float32, n)
	number[agent] = 1
	known := Concatenate([]*Node{BroadcastToDims(ExpandAxes(Const(g, number), 0), rows, n), Reshape(superiors, rows, -1)}, 1)
	e := nn.ReLU(nn.Linear(s.In("embedding"), ExpandAxes(known, 0), h.Embedding, active))
	x := in.State
	for i, out := range []int{h.Hidden, h.Hidden, width(in.Spec) + 1} {
		wide := x.Shape().Dim(1)
		weights := nn.Dense(s.In("weights%d", i), e, wide*out) // its biases are weights of all levels alike
		bias := nn.Dense(s.In("bias%d", i), e, out)
		x = Add(Einsum("ri,rio->ro", x, Reshape(weights, rows, wide, out)), Reshape(bias, rows, out))
		if i < 2 {
			x = Tanh(x)
		}
	}
	x = ExpandAxes(x, 1)
	head = Slice(x, AxisRange(), AxisRange(), AxisRange(0, width(in.Spec)))
	return finish(s, head, in.Spec), Squeeze(Slice(x, AxisRange(), AxisRange(), AxisRangeToEnd(width(in.Spec))), 2)
}

// rank keeps the actions [row, agent, width] of the agents before one, and 0 for the others.
func rank(actions *Node, agent int) *Node {
	n := actions.Shape().Dim(1)
	if agent == 0 {
		return ZerosLike(actions)
	}
	return Concatenate([]*Node{agentsOf(actions, 0, agent), ZerosLike(agentsOf(actions, agent, n))}, 1)
}

func (h Hyper) parallel(s *model.Scope, in Inputs) (heads, values *Node) {
	var all, worth []*Node
	for agent := range in.Spec.Agents {
		head, value := h.level(s.ResetVisited(), in, agent, rank(in.Actions, agent)) // the same weights at every level
		all, worth = append(all, head), append(worth, value)
	}
	return Concatenate(all, 1), Concatenate(worth, 1)
}

func (h Hyper) decode(s *model.Scope, in Inputs, choose func(agent int, head *Node) *Node) *Node {
	n := in.Spec.Agents
	actions := BroadcastToDims(ScalarZero(in.State.Graph(), in.State.DType()), in.State.Shape().Dim(0), n, width(in.Spec))
	var worth []*Node
	for agent := range n {
		head, value := h.level(s.ResetVisited(), in, agent, actions)
		worth = append(worth, value)
		parts := []*Node{ExpandAxes(choose(agent, Squeeze(head, 1)), 1)}
		if agent > 0 {
			parts = append([]*Node{agentsOf(actions, 0, agent)}, parts...)
		}
		if agent < n-1 {
			parts = append(parts, agentsOf(actions, agent+1, n))
		}
		actions = Concatenate(parts, 1)
	}
	return Concatenate(worth, 1)
}
