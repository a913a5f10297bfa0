package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/xla"
)

// feeds is the order in which a sample enters the update: what every method needs first, then what this one sees,
// its noise, and its groups.
type feeds struct {
	sys     System
	spec    env.Spec
	ends    []float32 // [time, batch], 1 = do not bootstrap
	ones    []float32
	roles   []int32
	keep    []float32  // [time+1, batch], 0 = an episode begins
	noise   []float32  // [time+1, batch, entity]
	drawn   []float32  // of one episode
	control [3]float32 // learning rate, 1 = copy the target network, number of the update
	args    []any
}

func newFeeds(s System, spec env.Spec) feeds {
	return feeds{sys: s, spec: spec, drawn: make([]float32, spec.Entities)}
}

// declare lists the inputs of the update of samples of so many steps and rows.
func (f *feeds) declare(t, b int) []xla.Input {
	s, n, e := f.spec, f.spec.Agents, f.spec.Entities
	in := []xla.Input{xla.F32(3), xla.I32(t, b, n), xla.F32(t, b, n), xla.F32(t, b, 1), xla.F32(t, b, 1), xla.Bool(t+1, b, n, s.Choices())}
	in = append(in, seenInputs(f.sys, s, t+1, b)...)
	if f.sys.Agent.Memory > 0 {
		in = append(in, xla.F32(t+1, b))
	}
	if f.sys.Noise != nil {
		in = append(in, xla.F32(t+1, b, e))
	}
	if f.sys.Group.on() {
		in = append(in, xla.I32(t+1, b, n), xla.I32(t+1, b, n))
	}
	return in
}

// seenInputs lists what the networks of a method read of t moments of b environments.
func seenInputs(sys System, s env.Spec, t, b int) []xla.Input {
	var in []xla.Input
	if sys.Sees.Obs {
		in = append(in, xla.F32(t, b, s.Agents, s.ObsDim))
	}
	if sys.Sees.State {
		in = append(in, xla.F32(t, b, s.StateDim))
	}
	if sys.Sees.Entities {
		in = append(in, xla.F32(t, b, s.Entities, s.EntityDim), xla.Bool(t, b, s.Agents, s.Entities), xla.Bool(t, b, s.Entities))
		if s.Roles > 0 {
			in = append(in, xla.I32(t, b, s.Entities))
		}
	}
	return in
}

// take reads what seenInputs lists from the front of in.
func (x *Inputs) take(sys System, in []*Node) (rest []*Node) {
	next := func(to **Node) { *to, in = in[0], in[1:] }
	if sys.Sees.Obs {
		next(&x.Obs)
	}
	if sys.Sees.State {
		next(&x.State)
	}
	if sys.Sees.Entities {
		next(&x.Entities)
		next(&x.Hidden)
		next(&x.Present)
		if x.Spec.Roles > 0 {
			next(&x.Role)
		}
	}
	return in
}

// forward reads the inputs of the update. control holds the learning rate, 1 where the target network is to be copied,
// and the number of this update.
func (f *feeds) forward(root *model.Scope, in []*Node) (x *Forward, control *Node) {
	x = &Forward{sys: f.sys, Online: root.In("online"), Target: root.In("target")}
	control, actions, reward := in[0], in[1], in[2]
	x.Ends, x.Filled = in[3], in[4]
	x.Taken = OneHot(actions, f.spec.Choices(), reward.DType())
	x.Reward = reward
	if f.sys.Train.RewardScale != 1 {
		x.Reward = MulScalar(reward, f.sys.Train.RewardScale)
	}
	all := Inputs{Spec: f.spec, Avail: in[5], made: map[string]any{}}
	in = all.take(f.sys, in[always:])
	if f.sys.Sees.Last {
		all.Last = lastOf(x.Taken)
	}
	if f.sys.Agent.Memory > 0 {
		all.Keep, in = in[0], in[1:]
	}
	if f.sys.Noise != nil {
		all.Noise, in = in[0], in[1:]
	}
	x.All, x.AllTarget = all, all
	if f.sys.Group.on() {
		x.All.Group, x.AllTarget.Group = OneHot(in[0], Slots, reward.DType()), OneHot(in[1], Slots, reward.DType())
	}
	return x, control
}

// lastOf is each agent's last action at all moments, from what was done at each step: one later, and zero at first and
// where nothing was done, as between two episodes.
func lastOf(taken *Node) *Node {
	first := taken.Shape().Clone()
	first.Dimensions[0] = 1
	return Concatenate([]*Node{Zeros(taken.Graph(), first), taken}, 0)
}

// always is the number of inputs of every method, before what this one sees.
const always = 6

// seen returns what the networks see, of fill's result.
func (f *feeds) seen(args []any) []any {
	n := len(seenInputs(f.sys, f.spec, 1, 1))
	return args[always : always+n]
}

// fill gathers the arrays of a sample in that order, groups left out.
func (f *feeds) fill(s *replay.Sample, lr float32, copyTarget bool, update int64) []any {
	f.control = [3]float32{lr, 0, float32(update)}
	if copyTarget {
		f.control[1] = 1
	}
	f.ends = append(f.ends[:0], s.Terminated...)
	if f.sys.Train.TimeOutEnds {
		for i, x := range s.Truncated {
			f.ends[i] = max(f.ends[i], x)
		}
	}
	filled := s.Filled
	if filled == nil { // transitions: all of them were made
		for len(f.ones) < len(f.ends) {
			f.ones = append(f.ones, 1)
		}
		filled = f.ones
	}
	f.args = append(f.args[:0], f.control[:], s.Actions, s.Reward, f.ends, filled, s.Avail)
	if f.sys.Sees.Obs {
		f.args = append(f.args, s.Obs)
	}
	if f.sys.Sees.State {
		f.args = append(f.args, s.State)
	}
	if f.sys.Sees.Entities {
		f.args = append(f.args, s.Entities, s.Hidden, s.Present)
		if f.spec.Roles > 0 {
			f.roles = whole(f.roles, s.Role)
			f.args = append(f.args, f.roles)
		}
	}
	if f.sys.Agent.Memory > 0 {
		f.keep = resized(f.keep, (s.Time+1)*s.Batch, 1)
		for _, e := range s.Episodes {
			f.keep[s.Moment(e, 0)] = 0
		}
		f.args = append(f.args, f.keep)
	}
	if f.sys.Noise != nil {
		n := f.spec.Entities
		f.noise = resized(f.noise, (s.Time+1)*s.Batch*n, 0)
		for i, e := range s.Episodes {
			first := s.Moment(e, 0)
			f.sys.Noise(s.Key.Split("noise", int64(i)).Rand(), s.Present[first*n:(first+1)*n], f.drawn)
			for t := range e.Steps + 1 {
				copy(f.noise[s.Moment(e, t)*n:], f.drawn)
			}
		}
		f.args = append(f.args, f.noise)
	}
	return f.args
}

// whole is role as programs take it, in to's room.
func whole(to []int32, role []uint8) []int32 {
	to = to[:0]
	for _, x := range role {
		to = append(to, int32(x))
	}
	return to
}

// resized is x with n elements, each of them value.
func resized[T any](x []T, n int, value T) []T {
	if cap(x) < n {
		x = make([]T, n)
	}
	x = x[:n]
	for i := range x {
		x[i] = value
	}
	return x
}
