package ppo

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/xla"
)

// Trust replaces the epochs of actors that are updated one after another by one natural-gradient step each, of
// which the KL divergence is bounded (Schulman et al., ICML 2015). The zero value means no trust region.
type Trust struct {
	KL         float64 // δ, most mean KL divergence of the old from the new policy of an agent
	Iterations int     // of conjugate gradients
	Damping    float64 // added to the curvature
	Backtracks int     // steps tried, each Shrink of the one before
	Shrink     float64
	Accept     float64 // least share of the improvement that the gradient promises
}

// HATRPO is HAPPO with a trust region in place of clipping (Kuba et al., ICLR 2022): each agent in turn goes as far
// along H⁻¹g as √(2δ/gᵀH⁻¹g) says, then back until its KL divergence is below δ and M·ρ·A has grown. Constants are
// those of the authors' configuration.
//
// Deviations: as HAPPO; the step is taken on the whole rollout.
func HATRPO(net MLP, t Training) System {
	sys := HAPPO(net, t)
	sys.Name = "hatrpo"
	sys.Train.Trust = Trust{KL: 0.005, Iterations: 10, Damping: 0.1, Backtracks: 10, Shrink: 0.8, Accept: 0.5}
	return sys
}

// region holds the programs of a trust region, on whole rollouts.
type region struct {
	gradient  *xla.Program // of the objective: [parameter], and the objective
	curvature *xla.Program // times a vector: [parameter]
	trial     *xla.Program // gain and KL divergence after a step, which is kept or not
	moved     [][3]float64 // of each agent since the last sums: gain, KL divergence, 1 = a step was kept
}

// sums adds up moved and empties it.
func (r *region) sums() (gain, kl, kept float64) {
	for _, m := range r.moved {
		gain, kl, kept = gain+m[0], kl+m[1], kept+m[2]
	}
	r.moved = r.moved[:0]
	return gain, kl, kept
}

func newRegion(dev *xla.Device, store *model.Store, s System, spec env.Spec, rows int) (*region, error) {
	n := nn.Count(store.Scope("/online/actor"))
	common := append(inputs(spec, rows, true), xla.F32(rows, spec.Agents), xla.F32(rows, spec.Agents), xla.F32(rows), xla.F32(spec.Agents))
	r, err := &region{}, error(nil)
	if r.gradient, err = xla.Compile(dev, "gradient", store, s.gradientGraph(spec), common...); err != nil {
		return nil, err
	}
	if r.curvature, err = xla.Compile(dev, "curvature", store, s.curvatureGraph(spec), append(common[:len(common):len(common)], xla.F32(n))...); err != nil {
		return nil, err
	}
	r.trial, err = xla.Compile(dev, "trial", store, s.trialGraph(spec), append(common[:len(common):len(common)], xla.F32(n), xla.F32(1))...)
	return r, err
}

// actors is the part of a graph that the three programs share.
type actors struct {
	in                             Inputs
	advantage, mask, before, heads *Node
	rest                           []*Node
	params                         []*model.Variable
	values                         []*Node
}

func (s System) actors(spec env.Spec, root *model.Scope, nodes []*Node) actors {
	in, rest := look(spec, nodes, true)
	a := actors{in: in, advantage: rest[0], before: Reshape(rest[2], -1, 1), rest: rest[4:]}
	a.mask = Mul(rest[1], Reshape(rest[3], 1, -1))
	a.heads, _ = s.Actor(root.In("online").In("actor"), in)
	g := a.heads.Graph()
	a.params = nn.Params(root.At("online").At("actor"), g)
	for _, p := range a.params {
		a.values = append(a.values, p.NodeValue(g))
	}
	return a
}

// objective is the mean of M·ρ·A of the agent whose turn it is, with ρ relative to the log-probabilities old.
func (s System) objective(a actors, logp, old *Node) *Node {
	ratio := Exp(ReduceSum(Sub(logp, old), -1))
	return s.mean(Mul(Mul(ratio, a.before), a.advantage), a.mask)
}

// divergence is the mean KL divergence of now from old of the agent whose turn it is.
func (s System) divergence(a actors, old, now *Node) *Node {
	if a.in.Spec.ActDim > 0 {
		m0, d0 := normal(old)
		m1, d1 := normal(now)
		kl := Sub(Log(d1), Log(d0))
		kl = Add(kl, Div(Add(Square(d0), Square(Sub(m0, m1))), MulScalar(Square(d1), 2)))
		return s.mean(ReduceSum(AddScalar(kl, -0.5), -1), a.mask)
	}
	p, q := logChoices(old, a.in.Avail, s.Train.Floor), logChoices(now, a.in.Avail, s.Train.Floor)
	return s.mean(ReduceSum(Mul(Exp(p), Where(a.in.Avail, Sub(p, q), ZerosLike(p))), -1), a.mask)
}

func (s System) gradientGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		a := s.actors(spec, root, nodes)
		logp, _ := s.judge(a.heads, a.in)
		gain := s.objective(a, logp, StopGradient(logp))
		return []*Node{together(Gradient(gain, a.values...)), gain}
	}
}

func (s System) curvatureGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		a := s.actors(spec, root, nodes)
		kl := s.divergence(a, StopGradient(a.heads), a.heads)
		along := ReduceAllSum(Mul(together(Gradient(kl, a.values...)), a.rest[0]))
		return []*Node{Add(together(Gradient(along, a.values...)), MulScalar(a.rest[0], s.Train.Trust.Damping))}
	}
}

func (s System) trialGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		a := s.actors(spec, root, nodes)
		keep := GreaterThan(Reshape(a.rest[1]), Scalar(a.heads.Graph(), a.heads.DType(), 0.5))
		from := 0
		var moved []*Node
		for i, p := range a.params {
			size := a.values[i].Shape().Size()
			step := Reshape(Slice(a.rest[0], AxisRange(from, from+size)), a.values[i].Shape().Dimensions...)
			moved = append(moved, Add(a.values[i], step))
			p.SetNodeValue(moved[i])
			from += size
		}
		heads, _ := s.Actor(root.At("online").ResetVisited().In("actor"), a.in) // with the moved weights
		for i, p := range a.params {
			p.SetNodeValue(Where(keep, moved[i], a.values[i]))
		}
		old, _ := s.judge(a.heads, a.in)
		logp, _ := s.judge(heads, a.in)
		return []*Node{Stack([]*Node{Sub(s.objective(a, logp, old), s.objective(a, old, old)), s.divergence(a, a.heads, heads)}, 0)}
	}
}

// together flattens and joins.
func together(list []*Node) *Node {
	parts := make([]*Node, len(list))
	for i, x := range list {
		parts[i] = Reshape(x, -1)
	}
	return Concatenate(parts, 0)
}

// move takes the natural-gradient step of the agent whose turn it is.
func (l *learner) move(s *replay.Sample) error {
	t, r := l.sys.Train.Trust, l.region
	common := append(l.whole(s).args(l.spec), l.part.weighed, s.Alive, l.part.before, l.part.turn)
	with := func(more ...any) []any { return append(common[:len(common):len(common)], more...) }
	out, err := r.gradient.Call(common...)
	if err != nil {
		return err
	}
	g := wide(out[0].([]float32))
	curvature := func(v []float64) ([]float64, error) {
		out, err := r.curvature.Call(with(narrow(v, 1))...)
		if err != nil {
			return nil, err
		}
		return wide(out[0].([]float32)), nil
	}
	x, err := conjugate(curvature, g, t.Iterations)
	if err != nil {
		return err
	}
	h, err := curvature(x)
	if err != nil {
		return err
	}
	length := math.Sqrt(2 * t.KL / max(inner(x, h), 1e-30))
	promised := length * inner(g, x)
	if math.IsNaN(length) || math.IsNaN(promised) {
		return fmt.Errorf("ppo: %s: the natural gradient is NaN at rollout %d; the last checkpoint stands", l.sys.Name, l.rollouts+1)
	}
	for range t.Backtracks {
		step := narrow(x, length)
		out, err := r.trial.Call(with(step, []float32{0})...)
		if err != nil {
			return err
		}
		gain, kl := float64(out[0].([]float32)[0]), float64(out[0].([]float32)[1])
		if kl <= t.KL && gain > 0 && gain >= t.Accept*promised {
			r.moved = append(r.moved, [3]float64{gain, kl, 1})
			_, err := r.trial.Call(with(step, []float32{1})...)
			return err
		}
		length, promised = length*t.Shrink, promised*t.Shrink
	}
	r.moved = append(r.moved, [3]float64{})
	return nil
}

// conjugate solves H·x = g.
func conjugate(curvature func([]float64) ([]float64, error), g []float64, iterations int) ([]float64, error) {
	x, rest, p := make([]float64, len(g)), append([]float64(nil), g...), append([]float64(nil), g...)
	size := inner(rest, rest)
	for range iterations {
		if size < 1e-10 {
			break
		}
		h, err := curvature(p)
		if err != nil {
			return nil, err
		}
		alpha := size / inner(p, h)
		for i := range x {
			x[i], rest[i] = x[i]+alpha*p[i], rest[i]-alpha*h[i]
		}
		next := inner(rest, rest)
		for i := range p {
			p[i] = rest[i] + next/size*p[i]
		}
		size = next
	}
	return x, nil
}

func inner(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = float64(x[i])
	}
	return out
}

func narrow(x []float64, scale float64) []float32 {
	out := make([]float32, len(x))
	for i := range x {
		out[i] = float32(scale * x[i])
	}
	return out
}
