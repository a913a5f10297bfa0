package ppo

import (
	"math"

	"github.com/muster-marl/muster/pkg/replay"
)

// prepare computes log-probabilities and values of a rollout with the weights that collected it, chunk by chunk, and
// hidden states on the way.
func (l *learner) prepare(s *replay.Sample) error {
	l.past.begin(s)
	d, n, q := l.data, l.spec.Agents, l.past
	copy(q.before, q.begins)
	err := l.evaluated(s, func(from, to int, out []any) {
		copy(l.logp[from*n*l.sys.parts(l.spec):], out[0].([]float32))
		copy(l.values[from*n:], out[1].([]float32))
		if q.numbers > 0 {
			copy(q.after[from*q.numbers:], out[2].([]float32))
			if to < len(q.keep) {
				copy(q.before[to/q.length*q.numbers:], q.after[(to-q.envs)*q.numbers:to*q.numbers])
			}
		}
	})
	if err != nil {
		return err
	}
	d.reward = s.Reward
	for k, v := range l.values {
		mean, deviation := l.norm.of(k % n)
		d.value[k] = float64(v)*deviation + mean
	}
	last := (d.time - 1) * d.envs
	for i := range d.over {
		d.over[i] = over(s, i) || i >= last
	}
	clear(d.next)
	return l.bootstrap(s)
}

// block is the number of rows that are evaluated at once: a rollout, or a chunk of all environments where hidden
// states go on from one to the next.
func (l *learner) block() int {
	if t := l.sys.Train; l.past.numbers == 0 {
		return t.Envs * t.Horizon
	}
	return l.past.envs * l.past.length
}

// evaluated evaluates what was done with the present weights and gives each block of rows to see.
func (l *learner) evaluated(s *replay.Sample, see func(from, to int, out []any)) error {
	rows := s.Time * s.Batch
	for from := 0; from < rows; from += l.block() {
		to := from + l.block()
		out, err := l.evaluate.Call(append(l.whole(s).part(from, to, rows).args(l.spec), l.past.block(from, to)...)...)
		if err != nil {
			return err
		}
		see(from, to, out)
	}
	return nil
}

// bootstrap values the moments after steps that the clock ended, or the rollout, with actions drawn anew where
// values depend on them.
func (l *learner) bootstrap(s *replay.Sample) error {
	n, envs := l.spec.Agents, l.sys.Train.Envs
	m, noise := newMoments(l.spec, envs), make([]float32, noiseSize(l.spec, envs))
	r, q := s.Key.Split("tail").Rand(), l.past
	hidden, orders := make([]float32, envs*q.numbers), make([]int32, len(q.orders)/l.sys.Train.Horizon)
	for from := 0; from < len(s.Tail.Steps); from += envs {
		count := min(envs, len(s.Tail.Steps)-from)
		for i := range m.avail { // rows that are not in use
			m.avail[i] = true
		}
		copyRows(m.obs, s.Tail.Obs, from, count, envs)
		copyRows(m.state, s.Tail.State, from, count, envs)
		copyRows(m.avail, s.Tail.Avail, from, count, envs)
		draw(r, l.spec, noise)
		args := m.args(l.spec)
		if q.random {
			pick(orders[:count*n], q.orders, s.Tail.Steps[from:from+count])
			args = append(args, orders)
		}
		if q.numbers > 0 {
			pick(hidden[:count*q.numbers], q.after, s.Tail.Steps[from:from+count])
			args = append(args, hidden)
		}
		out, err := l.tail.Call(append(args, noise, []float32{1})...)
		if err != nil {
			return err
		}
		values := out[1].([]float32)
		for i := range count {
			step := int(s.Tail.Steps[from+i])
			if l.sys.Train.TimeOutEnds && s.Truncated[step] == 1 {
				continue
			}
			for a := range n {
				mean, deviation := l.norm.of(a)
				l.data.next[step*n+a] = float64(values[i*n+a])*deviation + mean
			}
		}
	}
	return nil
}

// copyRows copies count rows of from, beginning with row first, to the beginning of to, which holds rows of them.
func copyRows[T any](to, from []T, first, count, rows int) {
	width := len(to) / rows
	copy(to, from[first*width:(first+count)*width])
}

// follow multiplies the ratio of an agent that has been updated into that of those before it, and returns λ of
// each step under it.
func (l *learner) follow(s *replay.Sample, agent int, trace []float64) ([]float64, error) {
	parts, n := l.sys.parts(l.spec), l.spec.Agents
	err := l.evaluated(s, func(from, to int, out []any) {
		now := out[0].([]float32)
		for row := from; row < to; row++ {
			change := 0.0
			for p := range parts {
				change += float64(now[((row-from)*n+agent)*parts+p]) - float64(l.logp[(row*n+agent)*parts+p])
			}
			l.part.before[row] *= float32(math.Exp(change))
		}
	})
	if err != nil {
		return nil, err
	}
	if l.sys.Turns.Trace == nil {
		return nil, nil
	}
	if trace == nil {
		trace = make([]float64, len(l.part.before))
	}
	for row, rho := range l.part.before {
		trace[row] = l.sys.Train.Lambda * l.sys.Turns.Trace(float64(rho))
	}
	return trace, nil
}

// whole is all of a rollout.
func (l *learner) whole(s *replay.Sample) moments {
	m := moments{s.Obs, s.State, s.Avail, s.Actions}
	if l.spec.ActDim > 0 {
		m.actions = s.Continuous
	}
	return m
}
