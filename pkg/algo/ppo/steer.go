package ppo

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// Slot says what the inner stack of STEER has beside the observations.
type Slot func(t Transformer, s *model.Scope, in Inputs) *Node // [row, 1, width]

// Token is a learned vector, the same in every state.
func Token(t Transformer, s *model.Scope, in Inputs) *Node {
	token := nn.Variable(s, in.Obs.Graph(), "token", nn.Normal(0.02), 1, 1, t.Width)
	return BroadcastToDims(Reshape(token, 1, 1, t.Width), in.Obs.Shape().Dim(0), 1, t.Width)
}

// StateSlot is an embedding of the state.
func StateSlot(t Transformer, s *model.Scope, in Inputs) *Node {
	return t.embed(s, ExpandAxes(in.State, 1))
}

// STEER is the Stackelberg decision transformer (Zhang et al., ICML 2024). Agents choose one after another. An inner
// stack reads state and observations, an outer one the actions already chosen, so that policy and value of agent i
// are those of the sub-game that the earlier choices leave:
//
//	π(aᵢ | s, a¹…aᵢ₋₁),  Vᵢ(s, a¹…aᵢ₋₁)
//
// All levels are updated together from their own rewards, whatever these are.
//
// Deviations: the settings of Task.Ours (see there); log-probabilities and values of the stored actions are
// computed once more before the first epoch; after a rollout's last step, and where the clock ends an episode, the
// values are those of freshly drawn actions.
func STEER(net Transformer, slot Slot, t Training) System {
	n := steer{net, slot, attend}
	return System{Name: "steer", Actor: n.parallel, Decode: n.decode, Surrogate: Clipped, Train: t}
}

// STEERGRU is STEER with two recurrent layers over layer-normed tokens in place of the outer stack and its positions (the
// code's steer_gru). They run over the agents of one moment, not over time. net.Blocks is that of the inner stack.
//
// Deviation: the layers' first weights are those of nn.GRU.
func STEERGRU(net Transformer, slot Slot, t Training) System {
	n := steer{net, slot, recall}
	return System{Name: "steer-gru", Actor: n.parallel, Decode: n.decode, Surrogate: Clipped, Train: t}
}

type steer struct {
	Transformer
	slot Slot
	read reader
}

// reader makes of tokens [row, position, width], the first of which is at position first, what each position knows of those
// up to it. past holds a cache of each layer where positions come one after another, else nil.
type reader func(t steer, s *model.Scope, tokens *Node, first int, past []*cache, in Inputs) *Node

// attend is the outer stack of causal blocks.
func attend(t steer, s *model.Scope, tokens *Node, first int, past []*cache, in Inputs) *Node {
	place := nn.Variable(s, tokens.Graph(), "positions", nn.Normal(1), 1, 1, in.Spec.Agents+1, t.Width)
	x := Add(tokens, agentsOf(place, first, first+tokens.Shape().Dim(1)))
	for b := range t.Blocks {
		var own *cache
		if past != nil {
			own = past[b]
		}
		x = t.block(s.In("outer%d", b), x, own, true)
	}
	return x
}

// recall runs two recurrent layers over the positions.
func recall(t steer, s *model.Scope, tokens *Node, _ int, past []*cache, _ Inputs) *Node {
	x := norm(s.In("norm"), tokens)
	d := x.Shape().Dimensions
	x = Reshape(TransposeAllAxes(x, 1, 0, 2), 1, d[1], d[0], d[2])
	for layer := range 2 {
		h := BroadcastToDims(ScalarZero(x.Graph(), x.DType()), 1, d[0], t.Width)
		if past != nil && past[layer].state != nil {
			h = past[layer].state
		}
		x = nn.GRU(s.In("recurrent%d", layer), x, h, nil)
		if past != nil {
			past[layer].state = Reshape(x, 1, d[0], t.Width)
		}
	}
	return TransposeAllAxes(Reshape(x, d[1], d[0], d[2]), 1, 0, 2)
}

// block is a pre-norm block of either stack, [row, position, width].
func (t steer) block(s *model.Scope, x *Node, past *cache, causal bool) *Node {
	y := norm(s.In("norm1"), x)
	x = Add(x, t.attention(s.In("attention"), y, y, past, causal))
	return Add(x, t.feed(s, norm(s.In("norm2"), x)))
}

// inner encodes the slot and the observations: g [row, 1, width] and e [row, agent, width].
func (t steer) inner(s *model.Scope, in Inputs) (g, e *Node) {
	x := Concatenate([]*Node{t.slot(t.Transformer, s.In("slot"), in), t.embed(s.In("obs"), in.Obs)}, 1)
	for b := range t.Blocks {
		x = t.block(s.In("inner%d", b), x, nil, false)
	}
	return agentsOf(x, 0, 1), agentsOf(x, 1, in.Spec.Agents+1)
}

// embedActions is the outer stack's input for actions [row, position, width of an action].
func (t steer) embedActions(s *model.Scope, a *Node, in Inputs) *Node {
	if in.Spec.ActDim > 0 {
		return nn.GELU(linear(s, a, t.Width, active))
	}
	return nn.GELU(flat(a, func(a *Node) *Node { return nn.Project(s, a, t.Width, active) }))
}

// outer runs tokens, the first of which is at position first, through the outer stack and the two heads, with e of
// the agents at these positions.
func (t steer) outer(s *model.Scope, tokens, e *Node, first int, past []*cache, in Inputs) (heads, values *Node) {
	z := Add(t.read(t, s, tokens, first, past, in), e)
	z = norm(s.In("norm2"), Add(z, t.feed(s.In("fuse"), norm(s.In("norm1"), z))))
	return finish(s, t.head(s.In("policy"), z, width(in.Spec)), in.Spec), Squeeze(t.head(s.In("value"), z, 1), 2)
}

// parallel evaluates all levels in one pass, with the actions that were taken.
func (t steer) parallel(s *model.Scope, in Inputs) (heads, values *Node) {
	g, e := t.inner(s.In("inner"), in)
	tokens := g
	if n := in.Spec.Agents; n > 1 {
		tokens = Concatenate([]*Node{g, t.embedActions(s.In("action"), agentsOf(in.Actions, 0, n-1), in)}, 1)
	}
	return t.outer(s.In("outer"), tokens, e, 0, nil, in)
}

// decode runs the inner stack once, and the outer one position by position.
func (t steer) decode(s *model.Scope, in Inputs, choose func(agent int, head *Node) *Node) *Node {
	token, e := t.inner(s.In("inner"), in)
	past, values := caches(max(t.Blocks, 2)), make([]*Node, in.Spec.Agents)
	for i := range in.Spec.Agents {
		again := s.ResetVisited() // the same weights at every position
		var head *Node
		head, values[i] = t.outer(again.In("outer"), token, agentsOf(e, i, i+1), i, past, in)
		token = t.embedActions(again.In("action"), ExpandAxes(choose(i, Squeeze(head, 1)), 1), in)
	}
	return Concatenate(values, 1)
}
