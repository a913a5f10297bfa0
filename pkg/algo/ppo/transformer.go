package ppo

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// Transformer holds the sizes of the networks of MAT and STEER.
type Transformer struct {
	Width  int // of every embedding
	Heads  int // of each attention
	Blocks int // of each of the two stacks
}

// active is for layers that an activation follows, quiet for all others, as both papers' codes have it.
var active, quiet = nn.Orthogonal(math.Sqrt2), nn.Orthogonal(0.01)

// flat applies a layer for [net, row, in] to [row, position, in].
func flat(x *Node, layer func(*Node) *Node) *Node {
	d := x.Shape().Dimensions
	y := layer(Reshape(x, 1, d[0]*d[1], d[2]))
	return Reshape(y, d[0], d[1], y.Shape().Dim(2))
}

func linear(s *model.Scope, x *Node, out int, init nn.Init) *Node {
	return flat(x, func(x *Node) *Node { return nn.Linear(s, x, out, init) })
}

func norm(s *model.Scope, x *Node) *Node {
	return flat(x, func(x *Node) *Node { return nn.LayerNorm(s, x) })
}

// cache keeps what one layer needs of earlier positions: keys and values of an attention, [row, position, width], or
// the state of a recurrent unit, [1, row, width].
type cache struct{ keys, values, state *Node }

// caches returns n empty ones.
func caches(n int) []*cache {
	list := make([]*cache, n)
	for i := range list {
		list[i] = new(cache)
	}
	return list
}

// attention reads source from query's positions. Without past each position reads those up to its own if causal;
// with past, query and source are the next position, which reads all before it and itself.
func (t Transformer) attention(s *model.Scope, query, source *Node, past *cache, causal bool) *Node {
	k, v := linear(s.In("key"), source, t.Width, quiet), linear(s.In("value"), source, t.Width, quiet)
	if past != nil {
		if past.keys != nil {
			k, v = Concatenate([]*Node{past.keys, k}, 1), Concatenate([]*Node{past.values, v}, 1)
		}
		past.keys, past.values, causal = k, v, false
	}
	y := nn.Attend(linear(s.In("query"), query, t.Width, quiet), k, v, t.Heads, causal)
	return linear(s.In("out"), y, t.Width, quiet)
}

// feed is the two dense layers of a block.
func (t Transformer) feed(s *model.Scope, x *Node) *Node {
	return linear(s.In("second"), nn.GELU(linear(s.In("first"), x, t.Width, active)), t.Width, quiet)
}

// head is the network that ends in logits, means or values: [row, position, width] → [row, position, out].
func (t Transformer) head(s *model.Scope, x *Node, out int) *Node {
	x = norm(s.In("norm"), nn.GELU(linear(s.In("first"), x, t.Width, active)))
	return linear(s.In("second"), x, out, quiet)
}

// embed is the embedding of what is seen: layer norm, dense layer, GELU.
func (t Transformer) embed(s *model.Scope, x *Node) *Node {
	return nn.GELU(linear(s.In("dense"), norm(s.In("norm"), x), t.Width, active))
}
