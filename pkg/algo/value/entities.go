package value

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
)

// Width holds the sizes of networks over entities.
type Width struct {
	Attention int // of the layers before the attention and of the attention itself
	Heads     int
	Memory    int // of the GRU
	Hyper     int // of layers and attention in hypernetworks
	Mixing    int // of the mixed layer
	Encoder   int // of what describes an agent in its group
}

// PaperWidth returns the sizes of REFIL's code (shariqiqbal2810/REFIL, src/config/algs/refil.yaml), which bilateral team
// formation keeps, with an encoder of GoMARL's size (zyfsjycc/GoMARL, src/config/algs/group.yaml).
func PaperWidth() Width {
	return Width{Attention: 128, Heads: 4, Memory: 64, Hyper: 128, Mixing: 32, Encoder: 32}
}

// TinyWidth returns the sizes that go with Tiny.
func TinyWidth() Width {
	return Width{Attention: 32, Heads: 2, Memory: 32, Hyper: 32, Mixing: 16, Encoder: 16}
}

// Entities is the agent network of REFIL, one for all agents (Iqbal et al., ICML 2021; shariqiqbal2810/REFIL,
// src/modules/agents/entity_rnn_agent.py): a dense layer over each entity, attention of each agent over the entities that
// it sees, a dense layer, a GRU, and a value of each action; 0 for agents who are absent. Sees.Entities and Sees.Last
// are needed.
func Entities(w Width) Agent {
	return Agent{Memory: w.Memory, Values: func(s *model.Scope, in Inputs) Values {
		h := Remember(s, in, perceive(s, in, described(in), w), w.Memory)
		return Values{Q: ofPresent(layer(s.In("q"), h, in.Spec.Choices()), in), Memory: h}
	}}
}

// perceive is what each agent makes of the entities x [time, batch, entity, k] that it sees, in each view:
// [time, batch, agent, Memory].
func perceive(s *model.Scope, in Inputs, x *Node, w Width) *Node {
	if x.Shape().Dim(0) == 1 { // acting: too few rows for a Survey
		return nn.ReLU(layer(s.In("fc2"), attend(s, in, x, in.Hidden, w.Attention, w.Heads), w.Memory))
	}
	return nn.ReLU(survey(s, s.In("fc2"), in, x, in.Hidden, w.Attention, w.Heads, w.Memory))
}

// hypernetwork turns the entities x [time, batch, entity, k] into numbers for each agent, in each view, seen or not:
// [time, batch, agent, out], 0 for agents who are absent (shariqiqbal2810/REFIL, src/modules/mixers/flex_qmix.py).
func hypernetwork(s *model.Scope, in Inputs, x *Node, width, heads, out int) *Node {
	return ofPresent(survey(s, s.In("out"), in, x, unrelated(in), width, heads, out), in)
}

// meanHypernetwork is the mean of hypernetwork over agents, absent ones too, [time, batch, out], at less work: all
// that is behind the attention is linear. There is one view.
func meanHypernetwork(s *model.Scope, in Inputs, x *Node, width, heads, out int) *Node {
	d, n := x.Shape().Dimensions, in.Spec.Agents
	rows := d[0] * d[1]
	y := overview(s, in, x, width, heads).Mean(s.In("out"), Reshape(unrelated(in), rows, n, d[2]), absent(in), out)
	return Reshape(y, d[0], d[1], out)
}

// attend is a dense layer over entities x [time, batch, entity, k], ReLU, and in each view the attention of all agents
// over those that are not hidden [time, batch, agent, entity]: [time, batch, agent, width].
func attend(s *model.Scope, in Inputs, x, hidden *Node, width, heads int) *Node {
	d, sight := x.Shape().Dimensions, look(s, in, x, width, heads)
	return Reshape(sight.Attend(inViews(in, hidden), absent(in)), d[0], d[1], -1, width)
}

// survey is attend with the dense layer called last behind it: [time, batch, agent, out]. It is faster for many rows.
func survey(s, last *model.Scope, in Inputs, x, hidden *Node, width, heads, out int) *Node {
	d, views := x.Shape().Dimensions, inViews(in, hidden)
	y := overview(s, in, x, width, heads).Each(last, views, absent(in), out)
	return Reshape(y, d[0], d[1], -1, out)
}

// look is what attend does before anything is hidden; rows are moments.
func look(s *model.Scope, in Inputs, x *Node, width, heads int) nn.Sight {
	return once(in, s.Scope(), x, func() nn.Sight {
		return nn.Look(s.In("attention"), read(s, x, width), in.Spec.Agents, heads)
	})
}

// overview is the same for survey.
func overview(s *model.Scope, in Inputs, x *Node, width, heads int) nn.Survey {
	return once(in, s.Scope()+" overview", x, func() nn.Survey {
		return nn.NewSurvey(s.In("attention"), read(s, x, width), in.Spec.Agents, heads)
	})
}

// read is the dense layer over entities x [time, batch, entity, k], and ReLU: [time·batch, entity, width].
func read(s *model.Scope, x *Node, width int) *Node {
	d := x.Shape().Dimensions
	return Reshape(nn.ReLU(layer(s.In("fc1"), x, width)), d[0]*d[1], d[2], width)
}

// inViews is what is hidden [time, batch, agent, entity] in each view, [time·batch, view, agent, entity].
func inViews(in Inputs, hidden *Node) *Node {
	d, masks := hidden.Shape().Dimensions, []*Node{hidden}
	if in.Views != nil {
		masks = nil
		for _, pairs := range in.Views {
			mask := hidden
			if pairs != nil {
				mask = LogicalOr(hidden, LogicalNot(pairs))
			}
			masks = append(masks, mask)
		}
	}
	return Reshape(Stack(masks, 2), d[0]*d[1], len(masks), d[2], d[3])
}

// absent is true for agents who are not present, [time·batch, agent].
func absent(in Inputs) *Node {
	return Reshape(LogicalNot(agents(in.Present, in)), -1, in.Spec.Agents)
}

// described is entities, and behind them each agent's last action, zero for all others: [time, batch, entity, k].
func described(in Inputs) *Node {
	d, rest := in.Last.Shape().Dimensions, in.Spec.Entities-in.Spec.Agents
	return once(in, fmt.Sprint("described ", in.Last.Id()), in.Entities, func() *Node {
		last := in.Last
		if rest > 0 {
			last = Concatenate([]*Node{last, Zeros(last.Graph(), shapes.Make(last.DType(), d[0], d[1], rest, d[3]))}, 2)
		}
		return Concatenate([]*Node{in.Entities, last}, 3)
	})
}

// agents cuts x [time, batch, entity] to the agents, who are the first.
func agents(x *Node, in Inputs) *Node {
	return Slice(x, AxisRange(), AxisRange(), AxisRange(0, in.Spec.Agents))
}

// ofPresent makes what is said of absent agents zero: x [time, batch, agent, k], of any number of views.
func ofPresent(x *Node, in Inputs) *Node {
	d := x.Shape().Dimensions
	here := eachView(ConvertDType(agents(in.Present, in), x.DType()), d[2])
	return Mul(x, Reshape(here, d[0], d[1], d[2], 1))
}

// eachView repeats x [time, batch, agent, …] along its agents until there are as many rows as views have together.
func eachView(x *Node, rows int) *Node {
	list := make([]*Node, rows/x.Shape().Dim(2))
	for i := range list {
		list[i] = x
	}
	return Concatenate(list, 2)
}

// unrelated is true for pairs of an agent and an entity that are not both present: [time, batch, agent, entity].
func unrelated(in Inputs) *Node {
	return LogicalNot(LogicalAnd(ExpandAxes(agents(in.Present, in), 3), ExpandAxes(in.Present, 2)))
}
