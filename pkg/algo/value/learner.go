package value

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

const actionType = dtypes.Int32

// learner is the engine: one compiled update, one compiled act per batch size.
type learner struct {
	sys     System
	spec    env.Spec
	dev     *xla.Device // of the update
	store   *model.Store
	update  *xla.Program
	act     *xla.Program // for Train.Envs environments
	actor   *actor
	updates int64
	ends    []float32  // [batch], 1 = do not bootstrap
	control [3]float32 // learning rate, 1 = copy the target network, number of the update
	metrics train.Metrics
}

// Build makes a learner and its replay. It compiles the update and the act programs.
func (s System) Build(setup train.Setup) (train.Learner, replay.Replay, error) {
	if err := s.validate(); err != nil {
		return nil, nil, err
	}
	spec := setup.Env.Spec()
	if len(spec.Actions) != 1 || spec.ActDim > 0 {
		return nil, nil, fmt.Errorf("value: %s has %d action heads and continuous actions of size %d, want 1 and 0 for %s", spec.Name, len(spec.Actions), spec.ActDim, s.Name)
	}
	buffer, err := replay.NewTransitions(setup.Env, s.Train.Buffer, s.Train.Warmup, s.Train.Batch)
	if err != nil {
		return nil, nil, err
	}
	dev, err := xla.Open(setup.Backend, setup.Threads)
	if err != nil {
		return nil, nil, err
	}
	dev.Log = setup.Log
	l := &learner{sys: s, spec: spec, dev: dev, store: nn.NewStore(setup.Key), ends: make([]float32, s.Train.Batch), metrics: train.Metrics{}}
	b, n := s.Train.Batch, spec.Agents
	l.update, err = xla.Compile(dev, "update", l.store, l.updateGraph,
		xla.F32(2, b, n, spec.ObsDim), xla.Bool(2, b, n, spec.Choices()), xla.I32(1, b, n), xla.F32(1, b, n), xla.F32(1, b, 1), xla.F32(3))
	if err != nil {
		return nil, nil, err
	}
	if err := l.copyTarget(); err != nil {
		return nil, nil, err
	}
	l.actor = newActor(s, spec, dev, l.store)
	if l.act, err = l.actor.acting.Program(s.Train.Envs); err != nil {
		return nil, nil, err
	}
	return l, buffer, nil
}

// copyTarget lets the target network begin as a copy of the online one.
func (l *learner) copyTarget() error {
	online, err := xla.Values(l.store, "/online/")
	if err != nil {
		return err
	}
	target := map[string]xla.Value{}
	for path, v := range online {
		path = "/target/" + strings.TrimPrefix(path, "/online/")
		if l.store.GetVariable(path) != nil {
			target[path] = v
		}
	}
	return xla.SetValues(l.store, target)
}

// updateGraph is one optimiser step: errors, loss, gradients, clip, Adam, target copy. control holds the
// learning rate, 1 where the target network is to be copied, and the number of this update.
func (l *learner) updateGraph(root *model.Scope, in []*Node) []*Node {
	obs, avail, actions, reward, ends, control := in[0], in[1], in[2], in[3], in[4], in[5]
	at := func(t int) Inputs {
		return Inputs{Obs: Slice(obs, AxisElem(t)), Avail: Slice(avail, AxisElem(t)), Spec: l.spec}
	}
	scalar := func(i int) *Node { return Reshape(Slice(control, AxisElem(i))) }
	online, target := root.In("online"), root.In("target")
	delta, chosen := l.sys.tdError(online, target, transition{at(0), at(1), actions, reward, ends})

	// The mean over batch and time of each column; agents on their own add up, so that each gets its own gradient.
	columns := ReduceMean(ReduceMean(Square(delta), 0), 0)
	params := nn.Params(root.At("online"), obs.Graph())
	values := make([]*Node, len(params))
	for i, p := range params {
		values[i] = p.NodeValue(obs.Graph())
	}
	grads := Gradient(ReduceAllSum(columns), values...)
	norm := l.clip(grads)
	nn.DefaultAdam().Step(root.In("adam"), params, grads, scalar(0), scalar(2))
	nn.Track(root.At("online"), root.At("target"), scalar(1))
	return []*Node{Stack([]*Node{ReduceAllMean(columns), ReduceAllMean(Abs(delta)), norm, ReduceAllMean(chosen)}, 0)}
}

// clip clips grads in place and returns the mean norm: per network where agents learn on their own.
func (l *learner) clip(grads []*Node) *Node {
	clip := nn.ClipByGlobalNorm
	if l.sys.Mixer == nil {
		clip = nn.ClipByNetNorm
	}
	clipped, norm := clip(grads, l.sys.Train.ClipNorm)
	copy(grads, clipped)
	return ReduceAllMean(norm)
}

// Policy acts with the newest weights.
func (l *learner) Policy() policy.Policy { return l.actor }

// Update makes one optimiser step. The target network is copied before the first and after every
// Train.TargetEvery updates.
func (l *learner) Update(s *replay.Sample) (train.Metrics, error) {
	t := l.sys.Train
	if s.Time != 1 || s.Batch != t.Batch {
		return nil, fmt.Errorf("value: %s takes samples of 1 step × %d, got %d × %d", l.sys.Name, t.Batch, s.Time, s.Batch)
	}
	copy(l.ends, s.Terminated)
	if t.TimeOutEnds {
		for i, x := range s.Truncated {
			l.ends[i] = max(l.ends[i], x)
		}
	}
	l.control = [3]float32{float32(t.LR), 0, float32(l.updates + 1)}
	if (l.updates+1)%int64(t.TargetEvery) == 0 {
		l.control[1] = 1
	}
	out, err := l.update.Call(s.Obs, s.Avail, s.Actions, s.Reward, l.ends, l.control[:])
	if err != nil {
		return nil, err
	}
	l.updates++
	l.actor.acting.Changed()
	m := out[0].([]float32)
	for i, name := range []string{"loss", "td_error", "grad_norm", "q_value"} {
		l.metrics[name] = float64(m[i])
		if math.IsNaN(l.metrics[name]) || math.IsInf(l.metrics[name], 0) {
			return nil, fmt.Errorf("value: %s: %s is %v at update %d; the last checkpoint stands: try a smaller learning rate than %g", l.sys.Name, name, m[i], l.updates, t.LR)
		}
	}
	return l.metrics, nil
}

// Programs returns the hashes of the update and act programs. They are the same on every backend.
func (l *learner) Programs() (under string, hashes map[string]string) {
	return xla.Library(), map[string]string{"update": l.update.Hash(), "act": l.act.Hash()}
}

// Provenance describes the backend.
func (l *learner) Provenance() map[string]string { return l.dev.Provenance() }

// Save writes parameters, targets and optimiser as safetensors, the number of updates among them.
func (l *learner) Save(w io.Writer) error {
	values, err := xla.Values(l.store, "/")
	if err != nil {
		return err
	}
	arrays := map[string]run.Array{"updates": {Shape: []int{}, Data: []int64{l.updates}}}
	for path, v := range values {
		arrays[path] = run.Array{Shape: v.Dims, Data: v.Flat}
	}
	return run.WriteArrays(w, arrays)
}

// Load reads what Save wrote into a learner of the same shapes.
func (l *learner) Load(r io.Reader) error {
	arrays, err := run.ReadArrays(r)
	if err != nil {
		return err
	}
	n, ok := arrays["updates"].Data.([]int64)
	if !ok || len(n) != 1 {
		return fmt.Errorf("value: the saved learner has no number of updates")
	}
	delete(arrays, "updates")
	values := map[string]xla.Value{}
	for path, a := range arrays {
		values[path] = xla.Value{Dims: a.Shape, Flat: a.Data}
	}
	l.updates = n[0]
	l.actor.acting.Changed()
	return xla.SetValues(l.store, values)
}

// actor is ε-greedy on the online network.
type actor struct {
	sys    System
	spec   env.Spec
	acting *xla.Acting
}

func newActor(s System, spec env.Spec, dev *xla.Device, learned *model.Store) *actor {
	a := &actor{sys: s, spec: spec}
	a.acting = &xla.Acting{
		Device: dev, Learned: learned, Reads: "/online/", Rows: spec.Agents, Below: s.Train.SmallBatch, Graph: a.act, Inputs: a.inputs,
	}
	return a
}

// act is the graph of the greedy choice, of observations and available actions.
func (a *actor) act(root *model.Scope, in []*Node) []*Node {
	x := Inputs{Obs: in[0], Avail: in[1], Spec: a.spec}
	return []*Node{greedy(a.sys.Agent(root.In("online").In("agent"), x), x.Avail)}
}

func (a *actor) inputs(envs int) []xla.Input {
	return []xla.Input{xla.F32(1, envs, a.spec.Agents, a.spec.ObsDim), xla.Bool(1, envs, a.spec.Agents, a.spec.Choices())}
}

// Memory is empty: the networks have no state.
func (a *actor) Memory(int) policy.Memory { return policy.None{} }

// Act chooses the best available action, or with probability ε, tossed for each agent alone, any available one.
func (a *actor) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	epsilon := mode.Epsilon
	if mode.Explore {
		epsilon = a.sys.Train.Epsilon.At(mode.Steps)
	}
	r, choices := key.Rand(), a.spec.Choices()
	all := true // agents draw at random
	for i := range out.Discrete {
		out.Discrete[i] = -1
		if r.Float64() < epsilon {
			out.Discrete[i] = int32(env.RandomAction(b.Avail[i*choices:(i+1)*choices], r))
		} else {
			all = false
		}
	}
	if all {
		return nil
	}
	p, err := a.acting.Program(b.N)
	if err != nil {
		return err
	}
	b.Observe()
	best, err := p.Call(b.Obs, b.Avail)
	if err != nil {
		return err
	}
	for i, x := range best[0].([]int32) {
		if out.Discrete[i] < 0 {
			out.Discrete[i] = x
		}
	}
	return nil
}
