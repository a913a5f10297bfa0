package ppo

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// MAT is the multi-agent transformer (Wen et al., NeurIPS 2022): an encoder reads the observations of all agents
// and gives a value V(o) of each, a causal decoder chooses actions one after another. Values do not depend on
// what has been chosen, in which it differs from STEER.
//
// Deviations: each agent learns from its own reward and advantage, as in STEER; log-probabilities of the stored
// actions are computed once more before the first epoch; the biases of the first layers are not 0 at first.
func MAT(net Transformer, t Training) System {
	m := mat{net}
	return System{Name: "mat", Actor: m.parallel, Decode: m.decode, Surrogate: Clipped, Train: t}
}

// MATDec is MAT with networks of each agent's own observation in place of the decoder, so that agents can act
// apart once trained ("MAT-Dec" of the paper).
func MATDec(net Transformer, t Training) System {
	m := mat{net}
	return System{Name: "mat-dec", Actor: m.apart, Surrogate: Clipped, Train: t}
}

type mat struct{ Transformer }

// encode gives the representations of the observations [row, agent, width] and their values [row, agent].
func (t mat) encode(s *model.Scope, in Inputs) (rep, values *Node) {
	obs := s.In("obs")
	x := norm(s.In("norm"), nn.GELU(t.dense(obs.In("dense"), norm(obs.In("norm"), in.Obs))))
	for b := range t.Blocks {
		block := s.In("block%d", b)
		x = norm(block.In("norm1"), Add(x, t.attention(block.In("attention"), x, x, nil, false)))
		x = norm(block.In("norm2"), Add(x, t.feed(block, x)))
	}
	return x, Squeeze(t.head(s.In("value"), x, 1), 2)
}

// decodeBlocks runs action tokens [row, position, width] through the decoder: each position reads the tokens up to its
// own, then, asked by its representation, what came of them.
func (t mat) decodeBlocks(s *model.Scope, tokens, rep *Node, past []*cache, in Inputs) *Node {
	x := norm(s.In("norm"), tokens)
	for b := range t.Blocks {
		var tokensRead, repsAsked *cache
		if past != nil {
			tokensRead, repsAsked = past[2*b], past[2*b+1]
		}
		block := s.In("block%d", b)
		x = norm(block.In("norm1"), Add(x, t.attention(block.In("self"), x, x, tokensRead, true)))
		x = norm(block.In("norm2"), Add(rep, t.attention(block.In("cross"), rep, x, repsAsked, true)))
		x = norm(block.In("norm3"), Add(x, t.feed(block, x)))
	}
	return finish(s, t.head(s.In("policy"), x, width(in.Spec)), in.Spec)
}

// start is what stands for the action before the first: a 1 in a column of its own, or zeros where actions are
// continuous, [row, 1, width of a token].
func (t mat) start(in Inputs) *Node {
	first := make([]float32, width(in.Spec)+1)
	first[0] = 1
	if in.Spec.ActDim > 0 {
		first = make([]float32, in.Spec.ActDim)
	}
	return BroadcastToDims(Reshape(Const(in.Obs.Graph(), first), 1, 1, -1), in.Obs.Shape().Dim(0), 1, len(first))
}

// token turns actions [row, position, width] into what embedTokens takes.
func (t mat) token(a *Node, in Inputs) *Node {
	if in.Spec.ActDim > 0 {
		return a
	}
	d := a.Shape().Dimensions
	return Concatenate([]*Node{BroadcastToDims(ScalarZero(a.Graph(), a.DType()), d[0], d[1], 1), a}, 2)
}

func (t mat) embedTokens(s *model.Scope, x *Node, in Inputs) *Node {
	if in.Spec.ActDim > 0 {
		return nn.GELU(t.dense(s, x))
	}
	return nn.GELU(flat(x, func(x *Node) *Node { return nn.Project(s, x, t.Width, active) }))
}

// dense is a layer on what is seen or done. Its biases are not 0 at first: where all of that is 0, every layer norm
// behind it would see zeros, and multiply the gradient by 300.
func (t mat) dense(s *model.Scope, x *Node) *Node {
	return flat(x, func(x *Node) *Node {
		bias := nn.Variable(s, x.Graph(), "b", nn.FanIn, x.Shape().Dim(2), 1, 1, t.Width)
		return Add(nn.Project(s, x, t.Width, active), bias)
	})
}

func (t mat) parallel(s *model.Scope, in Inputs) (heads, values *Node) {
	rep, values := t.encode(s.In("encoder"), in)
	x := t.start(in)
	if n := in.Spec.Agents; n > 1 {
		x = Concatenate([]*Node{x, t.token(agentsOf(in.Actions, 0, n-1), in)}, 1)
	}
	decoder := s.In("decoder")
	return t.decodeBlocks(decoder, t.embedTokens(decoder.In("action"), x, in), rep, nil, in), values
}

func (t mat) decode(s *model.Scope, in Inputs, choose func(agent int, head *Node) *Node) *Node {
	rep, values := t.encode(s.In("encoder"), in)
	x, past := t.start(in), caches(2*t.Blocks)
	for i := range in.Spec.Agents {
		decoder := s.ResetVisited().In("decoder") // the same weights at every position
		token := t.embedTokens(decoder.In("action"), x, in)
		head := t.decodeBlocks(decoder, token, agentsOf(rep, i, i+1), past, in)
		x = t.token(ExpandAxes(choose(i, Squeeze(head, 1)), 1), in)
	}
	return values
}

// apart is MAT-Dec: the encoder gives values, a stack of networks of each agent's observation the heads.
func (t mat) apart(s *model.Scope, in Inputs) (heads, values *Node) {
	_, values = t.encode(s.In("encoder"), in)
	d := s.In("decoder")
	x := nn.LayerNorm(d.In("norm0"), TransposeAllAxes(in.Obs, 1, 0, 2))
	x = nn.LayerNorm(d.In("norm1"), nn.GELU(nn.Linear(d.In("first"), x, t.Width, active)))
	x = nn.LayerNorm(d.In("norm2"), nn.GELU(nn.Linear(d.In("second"), x, t.Width, active)))
	x = nn.Linear(d.In("head"), x, width(in.Spec), quiet)
	return finish(d, TransposeAllAxes(x, 1, 0, 2), in.Spec), values
}
