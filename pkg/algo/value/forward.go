package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/rl"
)

// Forward is one sample inside the update's graph, and what the networks say of it: what a Loss is made from. Its
// sequences have Time steps, so Time+1 moments.
type Forward struct {
	In     Inputs // before each step
	Values Values // of the online network, before each step
	Next   Inputs // after each step
	Ahead  Values // of the online network, after each step; no gradient
	Judged Values // of the target network, after each step; no gradient

	All            Inputs       // all moments, as the online networks see them
	AllTarget      Inputs       // the same, as the target networks do: groups may differ
	Online, Target *model.Scope // of the two sets of weights, for networks that a loss adds; see Scope.ResetVisited
	Taken          *Node        // [time, batch, agent, action], one-hot, what was done
	Reward         *Node        // [time, batch, agent], scaled
	Ends           *Node        // [time, batch, 1], 1 = do not bootstrap
	Filled         *Node        // [time, batch, 1], 1 = a step that was made, 0 = padding

	sys      System
	total, y *Node
	names    []string // of what Report was told
	reported []*Node
}

// run calls the agent networks. A network with memory goes through all moments at once; for one without, a sample
// of a single step is cheaper in two calls, of which only the first is differentiated.
func (f *Forward) run() {
	t := f.Taken.Shape().Dim(0)
	f.In, f.Next = f.All.moments(0, t), f.All.moments(1, t+1)
	if f.sys.Agent.Memory == 0 && t == 1 {
		f.Values = f.agents(f.Online, f.In)
		f.Ahead = f.Again(f.Next).stopped()
		f.Judged = f.agents(f.Target, f.AllTarget.moments(1, t+1)).stopped()
		return
	}
	v := f.agents(f.Online, f.All)
	f.Values, f.Ahead = v.moments(0, t), v.moments(1, t+1).stopped()
	f.Judged = f.agents(f.Target, f.AllTarget).moments(1, t+1).stopped()
}

// Again calls the online agent network for other inputs.
func (f *Forward) Again(in Inputs) Values {
	return f.agents(f.Online.ResetVisited(), in)
}

// agents calls the agent networks of s, without the state: they have to act without it.
func (f *Forward) agents(s *model.Scope, in Inputs) Values {
	in.State = nil
	return f.sys.Agent.Values(s.In("agent"), in)
}

// Chosen is the value of what each agent did, [time, batch, agent].
func (f *Forward) Chosen(v Values) *Node { return ReduceSum(Mul(v.Q, f.Taken), 3) }

// Mix is the online mixer's value of the team, [time, batch, 1], from values q [time, batch, agent] of what was done;
// or with v.Taken of that; q itself where there is no mixer.
func (f *Forward) Mix(q *Node, v Values, in Inputs) *Node {
	if f.sys.Mixer == nil {
		return q
	}
	if v.Taken == nil {
		v.Taken = f.Taken
	}
	return f.sys.Mixer(f.Online.ResetVisited().In("mixer"), q, v, in)
}

// Total is the mixed value of what was done, [time, batch, 1], or of each agent, [time, batch, agent].
func (f *Forward) Total() *Node {
	if f.total == nil {
		f.total = f.Mix(f.Chosen(f.Values), f.Values, f.In)
	}
	return f.total
}

// Bootstrap is the target networks' value after each step, of the shape of Total: System.Target of each agent, mixed.
func (f *Forward) Bootstrap() *Node {
	q := f.sys.Target(f.Ahead.Q, f.Judged.Q, f.Next.Avail)
	if f.sys.Mixer != nil {
		v := f.Judged
		v.Taken = f.Greedy()
		in := f.AllTarget.moments(1, f.Taken.Shape().Dim(0)+1)
		q = f.sys.Mixer(f.Target.ResetVisited().In("mixer"), q, v, in)
	}
	return StopGradient(q)
}

// Greedy is what the online network would do after each step, [time, batch, agent, action], one-hot.
func (f *Forward) Greedy() *Node {
	return OneHot(greedy(f.Ahead.Q, f.Next.Avail), f.Ahead.Q.Shape().Dim(3), f.Ahead.Q.DType())
}

// TeamReward is what the values are to add up to: System.Team of the rewards, or each agent's own without a mixer.
func (f *Forward) TeamReward() *Node {
	if f.sys.Mixer == nil {
		return f.Reward
	}
	return f.sys.Team(f.Reward)
}

// Y is the target of Total, without gradient:
//
//	y = r + γ·(1−end)·Bootstrap,  or with Training.Lambda its λ-return
func (f *Forward) Y() *Node {
	if f.y == nil {
		f.y = f.Return(f.Bootstrap())
	}
	return f.y
}

// Aim makes next [time, batch, k], the value after each step, what Y is made from in place of Bootstrap. To be called
// before anything else asks for Y.
func (f *Forward) Aim(next *Node) {
	if f.y != nil {
		exceptions.Panicf("%s: Forward.Aim after the target was used", f.sys.Name)
	}
	f.y = f.Return(next)
}

// Return is the target that follows from other values after each step [time, batch, k], without gradient.
func (f *Forward) Return(next *Node) *Node {
	t := f.sys.Train
	reward := f.TeamReward()
	if !reward.Shape().Equal(next.Shape()) {
		exceptions.Panicf("%s: rewards %s and targets %s, want [time, batch, agent] or [time, batch, 1]", f.sys.Name, reward.Shape(), next.Shape())
	}
	if t.Lambda > 0 {
		return StopGradient(rl.Lambda(reward, next, f.Ends, f.Filled, t.Gamma, t.Lambda))
	}
	return StopGradient(Add(reward, MulScalar(Mul(OneMinus(f.Ends), next), t.Gamma)))
}

// Delta is the temporal-difference error of q [time, batch, k], zero where there was no step.
func (f *Forward) Delta(q *Node) *Node {
	y := f.Y()
	if q.Rank() != 3 || !q.Shape().Equal(y.Shape()) {
		exceptions.Panicf("%s: values %s and targets %s, want [time, batch, agent] or [time, batch, 1]", f.sys.Name, q.Shape(), y.Shape())
	}
	return Mul(Sub(q, y), f.Filled)
}

// Mean is the mean of x [time, batch, k] over steps that were made; padding must be zero already.
func (f *Forward) Mean(x *Node) *Node {
	return Div(ReduceAllSum(x), MulScalar(ReduceAllSum(f.Filled), float64(x.Shape().Dim(2))))
}

// SquaredError is the mean of (q − y)² over steps that were made: the loss of one factorisation.
func (f *Forward) SquaredError(q *Node) *Node { return f.Mean(Square(f.Delta(q))) }

// Report adds a metric to those of each update.
func (f *Forward) Report(name string, x *Node) {
	f.names, f.reported = append(f.names, name), append(f.reported, x)
}
