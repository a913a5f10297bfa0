package ppo

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/xla"
)

// networks runs actor and critic on rows with actions.
func (s System) networks(root *model.Scope, in Inputs) (heads, values *Node) {
	heads, values = s.Actor(root.In("actor"), in.seating.enter(in))
	heads, values = in.seating.leave(heads), in.seating.leave(values)
	if s.Critic != nil {
		values = s.Critic(root.In("critic"), in)
	}
	values.AssertDims(in.Obs.Shape().Dim(0), in.Spec.Agents)
	heads.AssertDims(in.Obs.Shape().Dim(0), in.Spec.Agents, heads.Shape().Dim(2))
	return heads, values
}

// evaluateGraph gives log-probabilities [row, agent, part] and values [row, agent] of what was done, and the hidden
// states after each moment [row, number] where there are any.
func (s System) evaluateGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		in, _ := s.look(spec, nodes, learning)
		heads, values := s.networks(root.In("online"), in)
		logp, _ := s.judge(heads, in)
		return in.Past.append([]*Node{logp, values})
	}
}

// actGraph draws an action for each agent, int32 [row, agent, head] or float32 [row, agent, ActDim], and if valued
// also gives values [row, agent], else the hidden states after this moment [row, number] where there are any.
func (s System) actGraph(spec env.Spec, valued bool) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		u := acting
		if valued {
			u = valuing
		}
		in, rest := s.look(spec, nodes, u)
		noise, explore := rest[0], Reshape(rest[1])
		actions, values := s.act(root.In("online"), in, noise, explore)
		out := []*Node{actions}
		if spec.ActDim == 0 {
			out[0] = chosen(actions, spec)
		}
		if !valued {
			return in.Past.append(out)
		}
		if values == nil {
			values = s.Critic(root.At("online").In("critic"), in)
		}
		return append(out, values)
	}
}

// act chooses for all agents: [row, agent, width], with values where the actor has them.
func (s System) act(root *model.Scope, in Inputs, noise, explore *Node) (actions, values *Node) {
	scope := root.In("actor")
	if s.Decode == nil {
		heads, values := s.Actor(scope, in)
		return s.choose(heads, in, in.Avail, noise, explore), values
	}
	of := func(x *Node, agent int) *Node {
		if x == nil {
			return nil
		}
		return Squeeze(agentsOf(x, agent, agent+1), 1)
	}
	seating := in.seating
	in, noise = seating.enter(in), seating.move(noise, true)
	chosen := make([]*Node, in.Spec.Agents)
	values = s.Decode(scope, in, func(agent int, head *Node) *Node {
		chosen[agent] = s.choose(head, in, of(in.Avail, agent), of(noise, agent), explore)
		return chosen[agent]
	})
	return seating.leave(Stack(chosen, 1)), seating.leave(values)
}

// What the update takes besides rows: an order of arrays that updateInputs, updateGraph and learner.step share.
const (
	controlLR = iota
	controlStep
	controlClip
	controlEntropy
	controlCritic // 1 = the critic learns, 0 = it stays; of agents that are updated one after another
	controls
)

func (s System) updateInputs(spec env.Spec, rows int) []xla.Input {
	n := spec.Agents
	return append(s.inputs(spec, rows, learning),
		xla.F32(rows, n, s.parts(spec)), // old log-probabilities
		xla.F32(rows, n),                // old values
		xla.F32(rows, n),                // advantages
		xla.F32(rows, n),                // value targets
		xla.F32(rows, n),                // 1 = alive
		xla.F32(rows),                   // product of the ratios of agents updated earlier
		xla.F32(n),                      // 1 = this agent is updated
		xla.F32(controls))
}

// parts is the number of ratios of one action.
func (s System) parts(spec env.Spec) int {
	if s.Train.Components {
		return max(spec.ActDim, len(spec.Actions), 1)
	}
	return 1
}

var metricNames = []string{"policy_loss", "value_loss", "entropy", "grad_norm", "clip_fraction", "approx_kl"}

// updateGraph is one optimiser step: ratios, losses, gradients, clip, Adam.
//
//	L = −mean(Surrogate) − c_e·mean(entropy) + c_v·mean(value loss)
func (s System) updateGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		in, rest := s.look(spec, nodes, learning)
		oldLogp, oldValues, advantage, target := rest[0], rest[1], rest[2], rest[3]
		alive, before, turn, control := rest[4], rest[5], rest[6], rest[7]
		scalar := func(i int) *Node { return Reshape(Slice(control, AxisElem(i))) }
		online := root.In("online")
		heads, values := s.networks(online, in)
		logp, entropy := s.judge(heads, in)

		change := Sub(logp, oldLogp)
		ratio := Exp(change)
		gain := s.Surrogate(ratio, Reshape(before, -1, 1, 1), ExpandAxes(advantage, -1), scalar(controlClip))
		mask := Mul(alive, Reshape(turn, 1, -1)) // of this turn
		policy := Neg(s.mean(ReduceSum(gain, -1), mask))
		value := s.mean(s.valueLoss(values, oldValues, target, scalar(controlClip)), alive)
		spread := s.mean(entropy, mask)
		loss := Add(Sub(policy, Mul(scalar(controlEntropy), spread)), MulScalar(value, s.Train.ValueCoef))

		norm := s.descend(root, loss, scalar, turn)
		n := float64(s.parts(spec))
		far := ConvertDType(GreaterThan(Abs(AddScalar(ratio, -1)), scalar(controlClip)), ratio.DType())
		kl := Sub(AddScalar(ratio, -1), change) // Schulman's low-variance estimate
		each := func(x *Node) *Node { return average(DivScalar(ReduceSum(x, -1), n), mask) }
		return []*Node{Stack([]*Node{policy, value, average(entropy, mask), norm, each(far), each(kl)}, 0)}
	}
}

// descend steps actor and critic against the gradient of loss and returns the largest norm before clipping.
func (s System) descend(root *model.Scope, loss *Node, scalar func(int) *Node, turn *Node) *Node {
	g := loss.Graph()
	var params []*model.Variable
	ends := []int{}
	parts := []string{"actor", "critic"}
	for _, part := range parts {
		params = append(params, nn.Params(root.At("online").At("%s", part), g)...)
		ends = append(ends, len(params))
	}
	nodes := make([]*Node, len(params))
	for i, p := range params {
		nodes[i] = p.NodeValue(g)
	}
	grads := Gradient(loss, nodes...)
	var chosen [2]*Node // networks of a stack that are updated
	if s.Turns.Next != nil {
		half := MulScalar(OnesLike(turn), 0.5)
		chosen[0] = GreaterThan(turn, half)
		chosen[1] = GreaterThan(Mul(OnesLike(turn), scalar(controlCritic)), half)
	}
	clip, from := nn.ClipByGlobalNorm, 0
	if s.Own {
		clip = nn.ClipByNetNorm
	}
	var norm *Node
	adam := nn.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-5}
	optimiser := root.In("adam")
	for i, to := range ends {
		if to == from {
			continue
		}
		nets := 1
		if s.Own {
			nets = params[from].Shape().Dim(0)
		}
		clipped, size := clip([]*Node{nn.Join(grads[from:to], nets)}, s.Train.ClipNorm)
		if i == 0 && s.Turns.Next != nil {
			size = Mul(size, turn)
		}
		if size = ReduceAllMax(size); norm == nil {
			norm = size
		} else {
			norm = Max(norm, size)
		}
		adam.StepJoined(optimiser.In("%s", parts[i]), params[from:to], clipped[0], scalar(controlLR), scalar(controlStep), chosen[i])
		from = to
	}
	return norm
}

// mean is the mean of x [row, agent] where mask is 1. Networks of their own get a mean each, which add up.
func (s System) mean(x, mask *Node) *Node {
	if !s.Own {
		return average(x, mask)
	}
	return ReduceAllSum(Div(ReduceSum(Mul(x, mask), 0), MaxScalar(ReduceSum(mask, 0), 1)))
}

func average(x, mask *Node) *Node {
	return Div(ReduceAllSum(ReduceSum(Mul(x, mask), 0)), MaxScalar(ReduceAllSum(ReduceSum(mask, 0)), 1))
}

// valueLoss is the Huber loss of each value [row, agent], with ValueClip the larger one of the values and of the
// values held within clip of the old ones.
func (s System) valueLoss(values, old, target, clip *Node) *Node {
	plain := huber(Sub(target, values), s.Train.Huber)
	if !s.Train.ValueClip {
		return plain
	}
	return Max(plain, huber(Sub(target, within(values, old, clip)), s.Train.Huber))
}

// huber is e²/2 where |e| ≤ delta, else delta·(|e| − delta/2).
func huber(e *Node, delta float64) *Node {
	square := MulScalar(Square(e), 0.5)
	if delta == 0 {
		return square
	}
	size := Abs(e)
	return Where(LessOrEqual(size, MulScalar(OnesLike(e), delta)), square, MulScalar(AddScalar(size, -delta/2), delta))
}
