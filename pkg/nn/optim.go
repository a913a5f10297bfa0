package nn

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// ClipByNetNorm scales the gradients of each network of a stack so that their common norm is at most most:
// grads are [net, …], and the networks are clipped independently. norms is [net], before clipping.
func ClipByNetNorm(grads []*Node, most float64) (clipped []*Node, norms *Node) {
	nets := grads[0].Shape().Dim(0)
	for _, g := range grads {
		want(g.Shape().Dim(0) == nets, "gradients of stacks of %d and %d networks cannot be clipped together", nets, g.Shape().Dim(0))
		square := ReduceSum(Reshape(Square(g), nets, -1), 1)
		if norms == nil {
			norms = square
		} else {
			norms = Add(norms, square)
		}
	}
	norms = Sqrt(norms)
	scale := MinScalar(Div(ConstAs(norms, most), AddScalar(norms, 1e-6)), 1)
	for _, g := range grads {
		dims := make([]int, g.Rank())
		for i := range dims {
			dims[i] = 1
		}
		dims[0] = nets
		clipped = append(clipped, Mul(g, Reshape(scale, dims...)))
	}
	return clipped, norms
}

// ClipByGlobalNorm scales all gradients by one factor so that their common norm is at most most. norm is a scalar.
func ClipByGlobalNorm(grads []*Node, most float64) (clipped []*Node, norm *Node) {
	norm = ReduceAllSum(Square(grads[0]))
	for _, g := range grads[1:] {
		norm = Add(norm, ReduceAllSum(Square(g)))
	}
	norm = Sqrt(norm)
	scale := MinScalar(Div(ConstAs(norm, most), AddScalar(norm, 1e-6)), 1)
	for _, g := range grads {
		clipped = append(clipped, Mul(g, scale))
	}
	return clipped, norm
}

// Optimiser changes variables by their gradients: params and grads in the same order, lr the learning rate and step the
// number of this update, from 1, both float32 scalars. What it remembers from step to step lives under s.
type Optimiser interface {
	Step(s *model.Scope, params []*model.Variable, grads []*Node, lr, step *Node)
}

// Adam holds the constants of Adam (Kingma & Ba, ICLR 2015), algorithm 1:
//
//	m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← θ − lr · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)
type Adam struct {
	Beta1, Beta2, Epsilon float64
}

// DefaultAdam are the constants of the paper.
func DefaultAdam() Adam { return Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8} }

// Step updates params by grads with learning rate lr (a scalar node). Its moments live under s, named by the
// path of their variable. step is the number of this update, from 1, as a float32 scalar.
func (a Adam) Step(s *model.Scope, params []*model.Variable, grads []*Node, lr, step *Node) {
	a.StepNets(s, params, grads, lr, step, nil)
}

// StepNets is Step for those networks of a stack alone whose entry of nets (bool [net]) is true; parameters and
// moments of the others stay as they are. nil means all.
func (a Adam) StepNets(s *model.Scope, params []*model.Variable, grads []*Node, lr, step, nets *Node) {
	for i, p := range params {
		name := strings.ReplaceAll(p.Path(), "/", ":")
		change := a.change(s, name, grads[i], lr, step, nets)
		assign(p, Sub(p.NodeValue(step.Graph()), change), nets)
	}
}

// StepJoined is StepNets from what Join made of the gradients. There is one array of each moment for all parameters:
// where these are many and small, the calls for each of them would take longer than their numbers.
func (a Adam) StepJoined(s *model.Scope, params []*model.Variable, grads, lr, step, nets *Node) {
	change, from := a.change(s, "", grads, lr, step, nets), 0
	for _, p := range params {
		size := p.Shape().Size() / grads.Shape().Dim(0)
		own := Reshape(cut(change, 1, from, from+size), p.Shape().Dimensions...)
		assign(p, Sub(p.NodeValue(step.Graph()), own), nets)
		from += size
	}
	want(from == grads.Shape().Dim(1), "gradients of %d numbers for parameters of %d", grads.Shape().Dim(1), from)
}

// Join puts the gradients of a stack of networks, [net, …] each, behind one another: [net, number]. nets = 1 joins those
// of stacks of several sizes, too.
func Join(grads []*Node, nets int) *Node {
	flat := make([]*Node, len(grads))
	for i, g := range grads {
		want(nets == 1 || g.Shape().Dim(0) == nets, "a gradient of shape %s cannot be joined with those of %d networks", g.Shape(), nets)
		flat[i] = Reshape(g, nets, -1)
	}
	return Concatenate(flat, 1)
}

// change updates the moments called m and v and the rest of their name, and returns what is to be subtracted.
func (a Adam) change(s *model.Scope, name string, grad, lr, step, nets *Node) *Node {
	g, dims := step.Graph(), grad.Shape().Dimensions
	power := func(beta float64) *Node { return Pow(ConstAs(step, beta), step) }
	m, v := State(s, "m"+name, dims...), State(s, "v"+name, dims...)
	m1 := Add(MulScalar(m.NodeValue(g), a.Beta1), MulScalar(grad, 1-a.Beta1))
	v1 := Add(MulScalar(v.NodeValue(g), a.Beta2), MulScalar(Square(grad), 1-a.Beta2))
	assign(m, m1, nets)
	assign(v, v1, nets)
	return Mul(lr, Div(Div(m1, OneMinus(power(a.Beta1))), AddScalar(Sqrt(Div(v1, OneMinus(power(a.Beta2)))), a.Epsilon)))
}

// assign gives v a new value for the networks that nets names, nil for all.
func assign(v *model.Variable, now, nets *Node) {
	if nets != nil {
		dims := make([]int, now.Rank())
		for i := range dims {
			dims[i] = 1
		}
		dims[0] = now.Shape().Dim(0)
		chosen := BroadcastToShape(Reshape(nets, dims...), shapes.Make(dtypes.Bool, now.Shape().Dimensions...))
		now = Where(chosen, now, v.NodeValue(now.Graph()))
	}
	v.SetNodeValue(now)
}

// RMSProp holds the constants of RMSProp (Hinton, lecture 6e of Neural Networks for Machine Learning, 2012) in the
// form of torch.optim.RMSprop: no bias correction, and ε outside of the root.
//
//	v ← αv + (1−α)g²,  θ ← θ − lr · g/(√v + ε)
//
// PyMARL and its descendants take α = 0.99 and ε = 1e-5. (The library's own is Adam without the first moment.)
type RMSProp struct {
	Alpha, Epsilon float64
}

// Step updates params by grads with learning rate lr (a scalar node). The mean squares live under s, named by the
// path of their variable. It does not depend on step.
func (r RMSProp) Step(s *model.Scope, params []*model.Variable, grads []*Node, lr, _ *Node) {
	for i, p := range params {
		v := State(s, "v"+strings.ReplaceAll(p.Path(), "/", ":"), p.Shape().Dimensions...)
		g := grads[i].Graph()
		square := Add(MulScalar(v.NodeValue(g), r.Alpha), MulScalar(Square(grads[i]), 1-r.Alpha))
		v.SetNodeValue(square)
		p.SetNodeValue(Sub(p.NodeValue(g), Mul(lr, Div(grads[i], AddScalar(Sqrt(square), r.Epsilon)))))
	}
}

// Track moves the target variables below target towards those of the same name below online:
// target ← target + τ·(online − target), with τ a scalar node (1 copies, 0 leaves). Call it after the
// optimiser, so that it sees the new values.
func Track(online, target *model.Scope, tau *Node) {
	g := tau.Graph()
	for _, v := range slices.SortedFunc(target.IterVariables(), byPath) {
		v.SetTrainable(false)
		o := target.Store().GetVariable(online.Scope() + v.Path()[len(target.Scope()):])
		want(o != nil, "target variable %s has no online counterpart", v.Path())
		old, now := v.NodeValue(g), o.NodeValue(g)
		// where τ is 1 the value itself, since old + (now − old) may differ from now in the last bit
		v.SetNodeValue(Where(GreaterOrEqual(tau, OnesLike(tau)), now, Add(old, Mul(tau, Sub(now, old)))))
	}
}
