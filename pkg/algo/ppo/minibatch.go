package ppo

import (
	"fmt"
	"math"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
)

// minibatch gathers what one optimiser step is fed.
type minibatch struct {
	rows       moments // whose actions are one of the next two
	discrete   []int32
	continuous []float32
	logp       []float32 // [row, agent, part]
	values     []float32 // [row, agent]
	weights    []float32 // [row, agent], advantages
	targets    []float32 // [row, agent]
	alive      []float32 // [row, agent]
	ratios     []float32 // [row]

	weighed []float32 // [row of the rollout, agent], normalised advantages
	before  []float32 // [row of the rollout], product of the ratios of agents updated earlier
	turn    []float32 // [agent], 1 = is updated
	clip    float64
	critic  float32 // 1 = learns
	step    int64   // of Adam, from 1
}

func newMoments(spec env.Spec, rows int) moments {
	n := spec.Agents
	return moments{
		obs: make([]float32, rows*n*spec.ObsDim), state: make([]float32, rows*spec.StateDim),
		avail: make([]bool, rows*n*spec.Choices()),
	}
}

func newMinibatch(s System, spec env.Spec) minibatch {
	all, n := s.Train.Horizon*s.Train.Envs, spec.Agents
	rows := all / s.Train.Minibatches
	m := minibatch{
		rows: newMoments(spec, rows), logp: make([]float32, rows*n*s.parts(spec)),
		values: make([]float32, rows*n), weights: make([]float32, rows*n), targets: make([]float32, rows*n),
		alive: make([]float32, rows*n), ratios: make([]float32, rows),
		weighed: make([]float32, all*n), before: make([]float32, all),
	}
	m.discrete, m.continuous = make([]int32, rows*n*len(spec.Actions)), make([]float32, rows*n*spec.ActDim)
	if m.rows.actions = m.discrete; spec.ActDim > 0 {
		m.rows.actions = m.continuous
	}
	return m
}

// pick copies rows of from, [row of the rollout, …], to to.
func pick[T any](to, from []T, rows []int32) {
	width := len(to) / len(rows)
	for i, row := range rows {
		copy(to[i*width:(i+1)*width], from[int(row)*width:(int(row)+1)*width])
	}
}

// step makes one optimiser step on these sequences of the rollout, after they have been counted into the running
// normalisation of values.
func (l *learner) step(s *replay.Sample, chosen []int32) error {
	t, m, n := l.sys.Train, &l.part, l.spec.Agents
	rows := l.past.rows(chosen)
	if m.critic == 1 {
		l.norm.add(l.data.target, rows, t.AgentValues)
	}
	pick(m.rows.obs, s.Obs, rows)
	pick(m.rows.state, s.State, rows)
	pick(m.rows.avail, s.Avail, rows)
	pick(m.discrete, s.Actions, rows)
	pick(m.continuous, s.Continuous, rows)
	pick(m.logp, l.logp, rows)
	pick(m.values, l.values, rows)
	pick(m.weights, m.weighed, rows)
	pick(m.alive, s.Alive, rows)
	pick(m.ratios, m.before, rows)
	for a := range n {
		mean, deviation := l.norm.of(a)
		for i, row := range rows {
			m.targets[i*n+a] = float32((l.data.target[int(row)*n+a] - mean) / deviation)
		}
	}
	joint := l.rollouts * int64(t.Horizon*t.Envs) // steps until this rollout began
	control := [controls]float32{
		controlLR: float32(t.LR), controlStep: float32(m.step), controlClip: float32(m.clip),
		controlEntropy: float32(t.Entropy.At(joint)), controlCritic: m.critic,
	}
	args := append(m.rows.args(l.spec), l.past.pick(chosen, rows)...)
	out, err := l.update.Call(append(args, m.logp, m.values, m.weights, m.targets, m.alive, m.ratios, m.turn, control[:])...)
	if err != nil {
		return err
	}
	for i, x := range out[0].([]float32) {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("ppo: %s: %s is %v at rollout %d; the last checkpoint stands: try a smaller learning rate than %g",
				l.sys.Name, metricNames[i], x, l.rollouts+1, t.LR)
		}
		l.metrics[metricNames[i]] += float64(x)
	}
	return nil
}
