package ppo

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// DeepBiAC is Bi-AC with networks (Zhang et al., AAAI 2020): BiAC with critics Q₁ and Q₂ of state and joint action and a
// follower who learns a policy π₂(s, a₁), from steps kept in a buffer. The leader, agent 0, goes through its choices:
//
//	a₂(s, a₁) = argmax π₂(·|s, a₁),  a₁(s) = argmax Q₁(s, a₁, a₂(s, a₁))
//	yᵢ = rᵢ + γ·Qᵢ⁻(s', a₁⁻(s'), a₂⁻(s', a₁⁻))
//	L = Σᵢ (yᵢ − Qᵢ(s, a₁, a₂))² − Σ_b π₂(b|s, a₁)·(Q₂(s, a₁, b) − α·log π₂(b|s, a₁))
//
// where ⁻ marks target networks. It stands here beside the table, though it learns off-policy: one learner does not
// make a family. The state is what both agents observe.
//
// The follower's gradient is that of the expected Q₂ over all its choices, and one coin decides for both agents whether
// they act at random: both as in the released code.
//
// Deviations: α is ours. Without it π₂ becomes so sure of a reply that later values of Q₂ hardly move it, and the leader
// foresees a reply that is no longer the best; the optimum's likeliest reply is the same with every α. The follower gives
// that reply, where the code draws one. Learning rate, target rate, updates per step and the schedule of exploration are
// ours.
type DeepBiAC struct {
	Hidden     int     // width of each of the three hidden layers
	LR, Gamma  float64 // of Adam, of one step
	Entropy    float64 // α, what the follower's entropy (in nats) is worth in units of return; 0 = the paper's objective
	Tau        float64 // share by which target networks move towards the online ones, each update
	Batch      int     // steps per update
	Buffer     int     // steps kept
	Warmup     int     // steps before the first update
	Envs       int     // environments stepped together; an update follows each such step
	Epsilon    Linear  // chance that both agents act at random while exploring
	SmallBatch int     // rows (environments × agents) below which acting uses the pure-Go backend; see xla.SmallBatch
	Expect     Expect  // nil = Replies
}

// Expect says what the leader's choices are worth to it, [row, choice], from its values [row, choice, reply] and the
// follower's reply, 1 at one of each [row, choice, reply].
type Expect func(values, reply *Node) *Node

// Replies is the value under the reply that the follower will give.
func Replies(values, reply *Node) *Node { return ReduceSum(Mul(values, reply), 2) }

// BiACNets returns the paper's sizes, three layers of 30 and batches of 128; the other constants are ours.
func BiACNets() DeepBiAC {
	return DeepBiAC{
		Hidden: 30, LR: 1e-3, Gamma: 0.99, Entropy: 1, Tau: 0.01, Batch: 128, Buffer: 50_000, Warmup: 500, Envs: 10,
		Epsilon: Linear{1, 0.1, 10_000}, SmallBatch: xla.SmallBatch,
	}
}

// String returns "biac-deep".
func (d DeepBiAC) String() string { return "biac-deep" }

// Pace makes an update after every step of the environments.
func (d DeepBiAC) Pace() train.Pace { return train.Pace{Envs: d.Envs, UpdateEvery: d.Envs} }

// Build makes networks and buffer.
func (d DeepBiAC) Build(setup train.Setup) (train.Learner, replay.Replay, error) {
	spec := setup.Env.Spec()
	switch {
	case spec.Agents != 2 || len(spec.Actions) != 1 || spec.ActDim > 0:
		return nil, nil, fmt.Errorf("ppo: %s has %d agents, %d action heads and continuous actions of size %d, want 2, 1 and 0 for biac-deep",
			spec.Name, spec.Agents, len(spec.Actions), spec.ActDim)
	case !(d.LR > 0) || !(d.Gamma >= 0 && d.Gamma <= 1) || !(d.Tau > 0 && d.Tau <= 1):
		return nil, nil, fmt.Errorf("ppo: biac-deep has a learning rate of %v, γ = %v and τ = %v, want more than 0, 0 to 1, and more than 0 up to 1", d.LR, d.Gamma, d.Tau)
	case !(d.Entropy >= 0) || math.IsInf(d.Entropy, 1):
		return nil, nil, fmt.Errorf("ppo: biac-deep has an entropy weight of %v, want a number from 0", d.Entropy)
	case d.Hidden < 1 || d.Envs < 1:
		return nil, nil, fmt.Errorf("ppo: biac-deep has layers of %d and %d environments, want at least 1 of each", d.Hidden, d.Envs)
	}
	if d.Expect == nil {
		d.Expect = Replies
	}
	memory, err := replay.NewTransitions(setup.Env, d.Buffer, d.Warmup, d.Batch)
	if err != nil {
		return nil, nil, err
	}
	dev, err := xla.Open(setup.Backend, setup.Threads)
	if err != nil {
		return nil, nil, err
	}
	dev.Log = setup.Log
	l := &levels{method: d, spec: spec, dev: dev, store: nn.NewStore(setup.Key), metrics: train.Metrics{}}
	k, o := spec.Choices(), spec.ObsDim
	l.update, err = xla.Compile(dev, "update", l.store, l.updateGraph,
		xla.F32(2, d.Batch, 2, o), xla.Bool(2, d.Batch, 2, k), xla.I32(d.Batch, 2), xla.F32(d.Batch, 2), xla.F32(d.Batch), xla.F32(1))
	if err != nil {
		return nil, nil, err
	}
	if err := l.copyTargets(); err != nil {
		return nil, nil, err
	}
	l.acting = &xla.Acting{
		Device: dev, Learned: l.store, Reads: "/online/", Rows: 2, Below: d.SmallBatch, Graph: l.actGraph,
		Inputs: func(envs int) []xla.Input { return []xla.Input{xla.F32(envs, 2, o), xla.Bool(envs, 2, k)} },
	}
	l.act, err = l.acting.Program(d.Envs)
	return l, memory, err
}

// deep is a stack of networks with three hidden layers: [net, row, in] → [net, row, out].
func (l *levels) deep(s *model.Scope, x *Node, out int) *Node {
	for _, name := range []string{"first", "second", "third"} {
		x = nn.ReLU(nn.Dense(s.In("%s", name), x, l.method.Hidden))
	}
	return nn.Dense(s.In("head"), x, out)
}

// choices puts every choice of an agent beside x [row, …, in]: [row, …, choice, in + choices].
func (l *levels) choices(x *Node) *Node {
	k, d := l.spec.Choices(), x.Shape().Dimensions
	last := len(d) - 1
	wide := append(append([]int{}, d[:last]...), k, d[last])
	each := append(append([]int{}, d[:last]...), k)
	x = BroadcastToDims(ExpandAxes(x, last), wide...)
	one := OneHot(Iota(x.Graph(), shapes.Make(actionType, each...), last), k, x.DType())
	return Concatenate([]*Node{x, one}, last+1)
}

// critics gives both agents' values of all joint actions, [agent, row, choice, reply]; state is [row, in].
func (l *levels) critics(s *model.Scope, state *Node) *Node {
	k, rows := l.spec.Choices(), state.Shape().Dim(0)
	x := Reshape(l.choices(l.choices(state)), 1, rows*k*k, -1)
	x = BroadcastToDims(x, 2, rows*k*k, x.Shape().Dim(2))
	return Reshape(l.deep(s.In("critics"), x, 1), 2, rows, k, k)
}

// follower gives the logarithms of π₂, [row, choice, reply]; avail is of both agents.
func (l *levels) follower(s *model.Scope, state, avail *Node) *Node {
	k, rows := l.spec.Choices(), state.Shape().Dim(0)
	x := Reshape(l.choices(state), 1, rows*k, -1)
	free := BroadcastToDims(agentsOf(avail, 1, 2), rows, k, k)
	return logChoices(Reshape(l.deep(s.In("follower"), x, k), rows, k, k), free, 0)
}

// pair gives the follower's reply to each choice [row, choice, reply], and the leader's choice [row, choice], 1 at one.
func (l *levels) pair(q, logp, avail *Node) (lead, reply *Node) {
	k := l.spec.Choices()
	reply = OneHot(ArgMax(logp, 2, actionType), k, logp.DType())
	worth := l.method.Expect(Squeeze(agentsOf(TransposeAllAxes(q, 1, 0, 2, 3), 0, 1), 1), reply)
	worth = Where(Squeeze(agentsOf(avail, 0, 1), 1), worth, MulScalar(OnesLike(worth), never))
	return OneHot(ArgMax(worth, 1, actionType), k, logp.DType()), reply
}

func (l *levels) updateGraph(root *model.Scope, in []*Node) []*Node {
	obs, avail, actions, reward, ends, step := in[0], in[1], in[2], in[3], in[4], Reshape(in[5])
	rows := l.method.Batch
	at := func(t int) (state, free *Node) {
		return Reshape(Slice(obs, AxisElem(t)), rows, -1), Reshape(Slice(avail, AxisElem(t)), rows, 2, -1)
	}
	online, target := root.In("online"), root.In("target")
	state, free := at(1)
	later := l.critics(target, state)
	lead, reply := l.pair(later, l.follower(target, state, free), free)
	joint := Mul(ExpandAxes(lead, 2), reply)
	worth := ReduceSum(Mul(later, ExpandAxes(joint, 0)), 2, 3) // [agent, row]
	y := StopGradient(Add(TransposeAllAxes(reward, 1, 0), MulScalar(Mul(ExpandAxes(OneMinus(ends), 0), worth), l.method.Gamma)))

	state, free = at(0)
	q, logp := l.critics(online, state), l.follower(online, state, free)
	chosen := OneHot(actions, l.spec.Choices(), q.DType())
	first, second := Squeeze(agentsOf(chosen, 0, 1), 1), agentsOf(chosen, 1, 2)
	did := Mul(ExpandAxes(first, 2), second)
	delta := Sub(y, ReduceSum(Mul(q, ExpandAxes(did, 0)), 2, 3))
	own := StopGradient(Squeeze(Slice(q, AxisRange(1, 2)), 0))
	chance := Mul(ExpandAxes(first, 2), Exp(logp)) // π₂(·|s, a₁), 0 beside the choice a₁
	answer := ReduceAllMean(ReduceSum(Mul(chance, own), 1, 2))
	entropy := Neg(ReduceAllMean(ReduceSum(Mul(chance, logp), 1, 2)))
	loss := ReduceAllSum(ReduceMean(Square(delta), 1))
	params := nn.Params(root.At("online"), obs.Graph())
	values := make([]*Node, len(params))
	for i, p := range params {
		values[i] = p.NodeValue(obs.Graph())
	}
	grads := nn.Join(Gradient(Sub(loss, Add(answer, MulScalar(entropy, l.method.Entropy))), values...), 1)
	nn.DefaultAdam().StepJoined(root.In("adam"), params, grads, Scalar(loss.Graph(), loss.DType(), l.method.LR), step, nil)
	nn.Track(root.At("online"), root.At("target"), Scalar(loss.Graph(), loss.DType(), l.method.Tau))
	return []*Node{Stack([]*Node{loss, ReduceAllMean(Abs(delta)), answer, entropy}, 0)}
}

// actGraph gives the leader's choice [row] and the follower's reply to each choice [row, choice].
func (l *levels) actGraph(root *model.Scope, in []*Node) []*Node {
	s, state := root.In("online"), Reshape(in[0], in[0].Shape().Dim(0), -1)
	lead, reply := l.pair(l.critics(s, state), l.follower(s, state, in[1]), in[1])
	return []*Node{ArgMax(lead, 1, actionType), ArgMax(reply, 2, actionType)}
}
