package value

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

const (
	actionType = dtypes.Int32
	floatType  = dtypes.Float32
)

// learner is the engine: one compiled update for each size of samples, one compiled act per batch size.
type learner struct {
	sys     System
	spec    env.Spec
	dev     *xla.Device // of the update
	store   *model.Store
	updates map[[2]int]*xla.Program // by steps and rows of a sample
	names   []string                // of what an update reports
	hash    string                  // of the update, see fingerprint
	act     *xla.Program            // for Train.Envs environments
	actor   *actor
	groups  *grouper // nil without System.Group
	feeds   feeds
	made    int64 // updates
	metrics train.Metrics
}

// Build makes a learner and its replay. It compiles the act program, and of methods without memory the update of a whole
// batch; updates of other samples are compiled when the first of their size is drawn.
func (s System) Build(setup train.Setup) (train.Learner, replay.Replay, error) {
	if err := s.validate(); err != nil {
		return nil, nil, err
	}
	spec := setup.Env.Spec()
	if err := s.fits(spec); err != nil {
		return nil, nil, err
	}
	buffer, err := s.replay(setup.Env)
	if err != nil {
		return nil, nil, err
	}
	dev, err := xla.Open(setup.Backend, setup.Threads)
	if err != nil {
		return nil, nil, err
	}
	dev.Log = setup.Log
	l := &learner{sys: s, spec: spec, dev: dev, store: nn.NewStore(setup.Key), updates: map[[2]int]*xla.Program{}, metrics: train.Metrics{}}
	l.feeds = newFeeds(s, spec)
	if s.Agent.Memory == 0 {
		steps := 1
		if s.Train.UpdateEpisodes > 0 {
			steps = spec.MaxSteps
		}
		p, err := l.program(steps, s.Train.Batch)
		if err != nil {
			return nil, nil, err
		}
		l.hash = p.Hash()
	} else if err := l.fingerprint(setup); err != nil {
		return nil, nil, err
	}
	if err := l.copyTarget(); err != nil {
		return nil, nil, err
	}
	l.actor = newActor(s, spec, dev, l.store)
	if s.Group.on() {
		l.groups = newGrouper(s, spec, dev, l.store)
	}
	if l.act, err = l.actor.acting.Program(s.Train.Envs); err != nil {
		return nil, nil, err
	}
	return l, buffer, nil
}

// replay returns what remembers.
func (s System) replay(e env.Env) (replay.Replay, error) {
	t := s.Train
	if t.UpdateEpisodes < 1 {
		return replay.NewTransitions(e, t.Buffer, t.Warmup, t.Batch)
	}
	keep := replay.Keeps{Obs: s.Sees.Obs, State: s.Sees.State, Entities: s.Sees.Entities, Half: t.Half}
	return replay.NewEpisodes(e, keep, t.Envs, t.Buffer, t.Batch)
}

// fingerprint traces the update of a method with memory on the Go backend, for its hash, the same on all backends
// then, and for the first values of all variables: what the loops of such networks are made of differs between
// backends, and XLA compiles an update only when it is needed. Few steps do for it: on that backend loops are written out.
func (l *learner) fingerprint(setup train.Setup) error {
	dev, err := xla.Open(xla.Go, 1)
	if err != nil {
		return err
	}
	twin := *l
	twin.store = nn.NewStore(setup.Key)
	p, err := xla.Compile(dev, "update", twin.store, twin.updateGraph, twin.feeds.declare(min(8, l.spec.MaxSteps), l.sys.Train.Batch)...)
	if err != nil {
		return err
	}
	values, err := xla.Values(twin.store, "/")
	if err != nil {
		return err
	}
	l.hash = p.Hash()
	return xla.SetValues(l.store, values)
}

// program returns the update for samples of so many steps and rows.
func (l *learner) program(steps, rows int) (*xla.Program, error) {
	size := [2]int{steps, rows}
	if p, ok := l.updates[size]; ok {
		return p, nil
	}
	name := "update"
	if l.sys.Train.UpdateEpisodes > 0 {
		name = fmt.Sprintf("update of %d × %d steps", rows, steps)
	}
	p, err := xla.Compile(l.dev, name, l.store, l.updateGraph, l.feeds.declare(steps, rows)...)
	if err != nil {
		return nil, err
	}
	l.updates[size] = p
	return p, nil
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

// updateGraph is one optimiser step: both passes, loss, gradients, clip, optimiser, target copy.
func (l *learner) updateGraph(root *model.Scope, in []*Node) []*Node {
	f, control := l.feeds.forward(root, in)
	f.run()
	loss := l.sys.Loss(f)
	total := f.Total()
	params := nn.Params(root.At("online"), loss.Graph())
	values := make([]*Node, len(params))
	for i, p := range params {
		values[i] = p.NodeValue(loss.Graph())
	}
	grads := Gradient(l.apart(loss, params), values...)
	norm := l.clip(grads)
	var optimiser nn.Optimiser = nn.DefaultAdam()
	if l.sys.Train.Optimiser != nil {
		optimiser = l.sys.Train.Optimiser
	}
	scalar := func(i int) *Node { return Reshape(Slice(control, AxisElem(i))) }
	optimiser.Step(root.In("adam"), params, grads, scalar(0), scalar(2))
	nn.Track(root.At("online"), root.At("target"), scalar(1))
	l.names = append([]string{"loss", "td_error", "grad_norm", "q_value"}, f.names...)
	out := append([]*Node{loss, f.Mean(Abs(f.Delta(total))), norm, f.Mean(Mul(total, f.Filled))}, f.reported...)
	return []*Node{Stack(out, 0)}
}

// apart is what is differentiated: where each agent has a network of its own, the sum over agents instead of the mean,
// so that each gets the gradient of its own loss.
func (l *learner) apart(loss *Node, params []*model.Variable) *Node {
	if nets := params[0].Shape().Dim(0); l.sys.Mixer == nil && nets > 1 {
		return MulScalar(loss, float64(nets))
	}
	return loss
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
	if s.Batch > t.Batch || t.UpdateEpisodes < 1 && (s.Time != 1 || s.Batch < t.Batch) {
		return nil, fmt.Errorf("value: %s takes samples of batch %d, of 1 step unless episodes are kept, got %d steps × %d", l.sys.Name, t.Batch, s.Time, s.Batch)
	}
	if s.Filled != nil && !slices.Contains(s.Filled, 1) {
		return nil, fmt.Errorf("value: %s got a sample without a step: nothing is remembered yet", l.sys.Name)
	}
	args := l.feeds.fill(s, float32(t.LR), (l.made+1)%int64(t.TargetEvery) == 0, l.made+1)
	if l.groups != nil {
		online, target, err := l.groups.match(s, l.feeds.seen(args))
		if err != nil {
			return nil, err
		}
		l.groups.metrics(l.metrics)
		args = append(args, online, target)
	}
	p, err := l.program(s.Time, s.Batch)
	if err != nil {
		return nil, err
	}
	out, err := p.Call(args...)
	if err != nil {
		return nil, err
	}
	l.made++
	l.actor.changed()
	m := out[0].([]float32)
	for i, name := range l.names {
		l.metrics[name] = float64(m[i])
		if math.IsNaN(l.metrics[name]) || math.IsInf(l.metrics[name], 0) {
			return nil, fmt.Errorf("value: %s: %s is %v at update %d; the last checkpoint stands: try a smaller learning rate than %g", l.sys.Name, name, m[i], l.made, t.LR)
		}
	}
	return l.metrics, nil
}

// Programs returns the hashes of the update and act programs. They are the same on every backend.
func (l *learner) Programs() (under string, hashes map[string]string) {
	return xla.Library(), map[string]string{"update": l.hash, "act": l.act.Hash()}
}

// Provenance describes the backend.
func (l *learner) Provenance() map[string]string { return l.dev.Provenance() }

// Save writes parameters, targets and optimiser as safetensors, the number of updates among them.
func (l *learner) Save(w io.Writer) error {
	values, err := xla.Values(l.store, "/")
	if err != nil {
		return err
	}
	arrays := map[string]run.Array{"updates": {Shape: []int{}, Data: []int64{l.made}}}
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
	l.made = n[0]
	l.actor.changed()
	return xla.SetValues(l.store, values)
}
