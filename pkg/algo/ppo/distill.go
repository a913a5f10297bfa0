package ppo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// Distillation says how students learn from a teacher that decides in sequence, to act at the same time, each on
// its own observation.
type Distillation struct {
	Hidden   int     // width of each of the two hidden layers of a student
	LR       float64 // of Adam (ε = 1e-5)
	Episodes int     // that the teacher plays
	Epochs   int
	Batch    int // joint steps per optimiser step
	// LogRMSE = true is the loss as a summary of the paper describes it, ½·log(mean (π_S(a*) − π_T(a*))² + 1e-8) −
	// 0.01·H(π_S) with the teacher's best choice a*; false is mean KL(π_T ‖ π_S).
	LogRMSE bool
}

// Distilled returns our constants: the paper's are not public.
func Distilled() Distillation {
	return Distillation{Hidden: 64, LR: 5e-4, Episodes: 200, Epochs: 50, Batch: 20}
}

// lesson is what a teacher showed: rows of joint steps.
type lesson struct {
	moments
	probabilities []float32 // [row, agent, choice], each given what earlier agents chose
	rows          int
}

// Distill lets a policy of this package, trained on a world of choices (train.Open gives one of a run), play it as in
// training, and returns students that imitate it. The key is of all that is drawn.
func Distill(teacher policy.Policy, w env.World, d Distillation, key rng.Key) (policy.Policy, error) {
	a, ok := teacher.(*actor)
	switch {
	case !ok:
		return nil, fmt.Errorf("ppo: the teacher is a %T, want a policy that this package has trained", teacher)
	case a.spec.ActDim > 0:
		return nil, fmt.Errorf("ppo: %s has continuous actions, want choices for distillation", a.spec.Name)
	case len(a.spec.Actions) > 1 || a.numbers > 0 || a.random:
		return nil, fmt.Errorf("ppo: %s has %d action heads, and %s keeps %d hidden numbers (random order: %v), want one head, no memory and one order for distillation",
			a.spec.Name, len(a.spec.Actions), a.sys.Name, a.numbers, a.random)
	case d.Hidden < 1 || d.Episodes < 1 || d.Epochs < 1 || d.Batch < 1 || !(d.LR > 0):
		return nil, fmt.Errorf("ppo: students of width %d learn from %d episodes in %d epochs of batches of %d at a rate of %v, want more than 0 of each",
			d.Hidden, d.Episodes, d.Epochs, d.Batch, d.LR)
	}
	shown, err := a.teach(w, d.Episodes, key)
	if err != nil {
		return nil, err
	}
	if shown.rows < d.Batch {
		return nil, fmt.Errorf("ppo: %d episodes of %s have %d steps, want at least a batch of %d", d.Episodes, a.spec.Name, shown.rows, d.Batch)
	}
	students := System{Name: a.sys.Name + "-students", Actor: MLP{Hidden: d.Hidden, Own: true}.actor(), Train: Training{Envs: a.sys.Train.Envs, SmallBatch: a.sys.Train.SmallBatch}}
	store := nn.NewStore(key.Split("students"))
	dev := a.acting.Device
	imitate, err := xla.Compile(dev, "imitation", store, students.imitateGraph(a.spec, d),
		append(inputs(a.spec, d.Batch, false), xla.F32(d.Batch, a.spec.Agents, a.spec.Choices()), xla.F32(1))...)
	if err != nil {
		return nil, err
	}
	r, order, step := key.Split("lessons").Rand(), make([]int32, shown.rows), float32(0)
	for i := range order {
		order[i] = int32(i)
	}
	m, probabilities := newMoments(a.spec, d.Batch), make([]float32, d.Batch*a.spec.Agents*a.spec.Choices())
	for range d.Epochs {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for from := 0; from+d.Batch <= len(order); from += d.Batch {
			rows := order[from : from+d.Batch]
			pick(m.obs, shown.obs, rows)
			pick(m.state, shown.state, rows)
			pick(m.avail, shown.avail, rows)
			pick(probabilities, shown.probabilities, rows)
			step++
			if _, err := imitate.Call(append(m.args(a.spec), probabilities, []float32{step})...); err != nil {
				return nil, err
			}
		}
	}
	return newActor(students, a.spec, dev, store, key), nil
}

// teach plays episodes and notes what was seen and how probable every choice was.
func (a *actor) teach(w env.World, episodes int, key rng.Key) (*lesson, error) {
	n := a.sys.Train.Envs
	show, err := xla.Compile(a.acting.Device, "lesson", a.acting.Learned, func(root *model.Scope, nodes []*Node) []*Node {
		in, _ := look(a.spec, nodes, true)
		heads, _ := a.sys.networks(root.In("online"), in)
		return []*Node{Exp(logChoices(heads, in.Avail, 0))}
	}, inputs(a.spec, n, true)...)
	if err != nil {
		return nil, err
	}
	vec, err := env.NewVec(w, n, func(e int64) rng.Key { return key.Split("lesson", e) })
	if err != nil {
		return nil, err
	}
	defer vec.Close()
	vec.Limit = int64(episodes)
	out, acts := &lesson{}, env.NewActions(a.spec, n)
	for t := int64(0); ; t++ {
		now, err := vec.Before()
		if err != nil {
			return nil, err
		}
		if vec.Active() == 0 {
			return out, nil
		}
		if err := a.Act(now, nil, policy.Mode{Explore: true}, key.Split("act", t), acts); err != nil {
			return nil, err
		}
		p, err := show.Call(moments{now.Obs, now.State, now.Avail, acts.Discrete}.args(a.spec)...)
		if err != nil {
			return nil, err
		}
		wide := a.spec.Agents * a.spec.Choices()
		for i := range n {
			if vec.Episode(i) < 0 {
				continue
			}
			s := now.At(i)
			out.obs, out.state, out.avail = append(out.obs, s.Obs...), append(out.state, s.State...), append(out.avail, s.Avail...)
			out.probabilities = append(out.probabilities, p[0].([]float32)[i*wide:(i+1)*wide]...)
			out.rows++
		}
		if _, err := vec.Step(acts); err != nil {
			return nil, err
		}
	}
}

// imitateGraph is one optimiser step of all students.
func (s System) imitateGraph(spec env.Spec, d Distillation) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		in, rest := look(spec, nodes, false)
		target, step := rest[0], Reshape(rest[1])
		heads, _ := s.Actor(root.In("online").In("actor"), in)
		logp := logChoices(heads, in.Avail, 0)
		some := func(x *Node) *Node { return Where(in.Avail, x, ZerosLike(x)) }
		entropy := Neg(ReduceSum(Mul(Exp(logp), some(logp)), -1))
		var loss *Node
		if d.LogRMSE {
			best := OneHot(ArgMax(target, -1, actionType), spec.Choices(), target.DType())
			miss := ReduceSum(Mul(Sub(Exp(logp), target), best), -1) // [row, agent]
			loss = ReduceAllSum(Sub(MulScalar(Log(AddScalar(ReduceMean(Square(miss), 0), 1e-8)), 0.5), MulScalar(ReduceMean(entropy, 0), 0.01)))
		} else {
			loss = Neg(ReduceAllSum(ReduceMean(ReduceSum(Mul(target, some(logp)), -1), 0))) // KL but for the teacher's entropy
		}
		g := loss.Graph()
		params := nn.Params(root.At("online"), g)
		values := make([]*Node, len(params))
		for i, p := range params {
			values[i] = p.NodeValue(g)
		}
		nn.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-5}.Step(root.In("adam"), params, Gradient(loss, values...), Scalar(g, loss.DType(), d.LR), step)
		return []*Node{loss}
	}
}
