package value

import (
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/nn"
)

// Score is what agents think of each other, [time, batch, agent, agent], from the agent network's attention before
// anything is hidden. It carries no gradient: matching is discrete.
type Score func(sight nn.Sight, in Inputs) *Node

// Logits are the attention's logits, the largest of the heads.
func Logits(sight nn.Sight, in Inputs) *Node { return amongAgents(sight.Logits(), in) }

// Weights are the attention's weights over all who are present, the largest of the heads. Each head has a normaliser of
// its own, so that they may order agents in another way than Logits, and their sums have another scale.
func Weights(sight nn.Sight, in Inputs) *Node {
	d := in.Entities.Shape().Dimensions
	return amongAgents(sight.Weights(Reshape(unrelated(in), d[0]*d[1], in.Spec.Agents, d[2])), in)
}

// OfSeen lets agents think −∞ of those whom they do not see, so that teams could be formed without a centre.
func OfSeen(score Score) Score {
	return func(sight nn.Sight, in Inputs) *Node {
		s, n := score(sight, in), in.Spec.Agents
		hidden := Slice(in.Hidden, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, n))
		return Where(hidden, Scalar(s.Graph(), s.DType(), math.Inf(-1)), s)
	}
}

// amongAgents is x [row, agent, entity] with moments and episodes apart, and of the entities the agents.
func amongAgents(x *Node, in Inputs) *Node {
	d, n := in.Entities.Shape().Dimensions, in.Spec.Agents
	return Reshape(Slice(x, AxisRange(), AxisRange(), AxisRange(0, n)), d[0], d[1], n, n)
}

// InGroups is the agent network of bilateral team formation (Moslemi & Lee, arXiv 2506.20039, §4.1; sizes, Tanh and where
// gradients stop as in GoMARL: zyfsjycc/GoMARL, src/modules/agents/n_group_agent.py): that of Entities, which also reads
// roles, but for its last layer, whose weights are made for each agent from an embedding of its memory h and of the slot
// G of its group:
//
//	e = f_e([stop(h); G])   q = h·D_w(stop(e)) + D_b(stop(e))
//
// System.Group is needed. Values.Embedding is e.
func InGroups(w Width, score Score) Agent {
	return Agent{
		Memory: w.Memory,
		Values: func(s *model.Scope, in Inputs) Values {
			if in.Group == nil {
				exceptions.Panicf("value: agents in groups need System.Group")
			}
			h := Remember(s, in, perceive(s, in, inRoles(in), w), w.Memory)
			e := embed(s.In("encoder"), h, eachView(in.Group, h.Shape().Dim(2)), w.Encoder)
			q := generated(s.In("decoder"), h, StopGradient(e), in.Spec.Choices())
			return Values{Q: ofPresent(q, in), Memory: h, Embedding: e}
		},
		Scores: func(s *model.Scope, in Inputs) *Node {
			return score(look(s, in, inRoles(in), w.Attention, w.Heads), in)
		},
	}
}

// inRoles is what described says of each entity, and its role, one-hot: [time, batch, entity, k].
func inRoles(in Inputs) *Node {
	x := described(in)
	if in.Role == nil {
		return x
	}
	return once(in, "roles", x, func() *Node {
		role := OneHot(AddScalar(in.Role, -1), in.Spec.Roles, x.DType()) // 0 is no role
		return Concatenate([]*Node{x, role}, 3)
	})
}

// embed is f_e: what describes each agent in its group, [time, batch, agent, width], from h and group.
func embed(s *model.Scope, h, group *Node, width int) *Node {
	x := Concatenate([]*Node{StopGradient(h), group}, 3)
	return Tanh(layer(s.In("out"), nn.ReLU(layer(s.In("in"), x, width)), width))
}

// generated is a layer whose weights and biases are linear in e [time, batch, agent, k]: h·D_w(e) + D_b(e) for h
// [time, batch, agent, width]. The products with h come first, for an agent's own weights are larger than what they
// give:
//
//	h·(Σₖ eₖ·Wₖ + W₀) = Σₖ eₖ·(h·Wₖ) + h·W₀
func generated(s *model.Scope, h, e *Node, out int) *Node {
	d, k, width := h.Shape().Dimensions, e.Shape().Dim(3), h.Shape().Dim(3)
	weights := s.In("w")
	w := nn.Variable(weights, h.Graph(), "w", nn.FanIn, k, 1, k, width*out)
	b := nn.Variable(weights, h.Graph(), "b", nn.FanIn, k, 1, 1, width*out)
	all := Reshape(Concatenate([]*Node{w, b}, 1), k+1, width, out)
	all = Reshape(TransposeAllAxes(all, 1, 0, 2), width, (k+1)*out)
	each := Reshape(MatMul(Reshape(h, -1, width), all), -1, k+1, out)
	e1 := Reshape(e, -1, k)
	e1 = Concatenate([]*Node{e1, OnesLike(Slice(e1, AxisRange(), AxisRange(0, 1)))}, 1)
	q := ReduceSum(Mul(each, ExpandAxes(e1, 2)), 1)
	return Add(Reshape(q, d[0], d[1], d[2], out), layer(s.In("b"), e, out))
}

// FlexibleInGroups is Flexible, but W₁ has for each group g a last layer of its own, made from the state s of the group
// (Moslemi & Lee, §4.2):
//
//	s_g = max of e over the members of g   [U_g; v_g] = D_h(s_g)   W₁ = x·U_g + v_g
//
// with x behind the attention. The other weights are Flexible's.
func FlexibleInGroups(w Width) Mixer {
	return func(s *model.Scope, q *Node, v Values, in Inputs) *Node {
		if in.Group == nil || v.Embedding == nil {
			exceptions.Panicf("value: a mixer of groups needs System.Group and agents with embeddings")
		}
		w1 := s.In("w1")
		weights := together(in, w1.Scope()+" in groups", v.Embedding, func(in Inputs) *Node {
			return groupWeights(w1, v.Embedding, in, w)
		})
		return mixFlexibly(s, q, weights, in, w)
	}
}

// groupWeights is W₁ before its Softmax, [time, batch, agent, Mixing].
func groupWeights(s *model.Scope, e *Node, in Inputs, w Width) *Node {
	x := attend(s, in, described(in), unrelated(in), w.Hyper, w.Heads)
	d := x.Shape().Dimensions
	rows := d[0] * d[1]
	layers := groupLayers(s.In("decoder"), e, in.Group, w)
	group := Reshape(eachView(in.Group, d[2]), rows, d[2], Slots)
	x = Reshape(x, rows, d[2], w.Hyper)
	var sum *Node
	for slot, last := range layers {
		y := Add(Einsum("rak,rkm->ram", x, last.weights), last.bias)
		y = Mul(y, Slice(group, AxisRange(), AxisRange(), AxisElem(slot)))
		if sum == nil {
			sum = y
		} else {
			sum = Add(sum, y)
		}
	}
	return ofPresent(Reshape(sum, d[0], d[1], d[2], w.Mixing), in)
}

// groupLayer is U [row, Hyper, Mixing] and v [row, 1, Mixing] of one slot.
type groupLayer struct{ weights, bias *Node }

// groupLayers is D_h of each slot. U and v come from products of their own, and D_h's bias is a row of its weights: U is
// large, and each pass over it costs.
func groupLayers(s *model.Scope, e, group *Node, w Width) []groupLayer {
	rows, n, k := e.Shape().Dim(0)*e.Shape().Dim(1), e.Shape().Dim(2), w.Encoder
	state := nn.PoolGroups(Reshape(e, rows, n, k), Reshape(group, rows, n, Slots))
	weights := Reshape(nn.Variable(s, e.Graph(), "w", nn.FanIn, k, 1, k, (w.Hyper+1)*w.Mixing), k, -1)
	bias := Reshape(nn.Variable(s, e.Graph(), "b", nn.FanIn, k, 1, 1, (w.Hyper+1)*w.Mixing), 1, -1)
	all := Concatenate([]*Node{weights, bias}, 0)
	u, v := Slice(all, AxisRange(), AxisRange(0, w.Hyper*w.Mixing)), Slice(all, AxisRange(), AxisRange(w.Hyper*w.Mixing))
	one := Ones(e.Graph(), shapes.Make(e.DType(), rows, 1))
	layers := make([]groupLayer, Slots)
	for slot := range layers {
		x := Concatenate([]*Node{Reshape(Slice(state, AxisRange(), AxisElem(slot)), rows, k), one}, 1)
		layers[slot] = groupLayer{Reshape(MatMul(x, u), rows, w.Hyper, w.Mixing), Reshape(MatMul(x, v), rows, 1, w.Mixing)}
	}
	return layers
}
