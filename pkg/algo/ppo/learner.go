package ppo

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

const actionType = dtypes.Int32

// learner is the engine: one compiled update per minibatch shape, one evaluation of a rollout, one act per number
// of environments.
type learner struct {
	sys      System
	spec     env.Spec
	dev      *xla.Device
	store    *model.Store
	update   *xla.Program // one optimiser step on a minibatch
	evaluate *xla.Program // log-probabilities and values of a whole rollout
	tail     *xla.Program // values of moments without a stored action, for as many as there are environments
	region   *region      // nil without a trust region
	act      *xla.Program // for Train.Envs environments
	actor    *actor
	norm     *valueNorm
	costs    *multipliers
	past     *chunks
	rollouts int64 // learned from

	data    *rollout
	logp    []float32 // [row, agent, part], before the first epoch
	values  []float32 // [row, agent], likewise, in units of the normalisation
	part    minibatch
	metrics train.Metrics
}

// Build makes a learner and its replay. It compiles all programs but those that act for other numbers of
// environments.
func (s System) Build(setup train.Setup) (train.Learner, replay.Replay, error) {
	if err := s.validate(); err != nil {
		return nil, nil, err
	}
	spec, t := setup.Env.Spec(), s.Train
	if err := s.accepts(spec); err != nil {
		return nil, nil, err
	}
	memory, err := replay.NewRollout(spec, t.Horizon, t.Envs)
	if err != nil {
		return nil, nil, err
	}
	dev, err := xla.Open(setup.Backend, setup.Threads)
	if err != nil {
		return nil, nil, err
	}
	dev.Log = setup.Log
	n, rows := spec.Agents, t.Horizon*t.Envs
	l := &learner{
		sys: s, spec: spec, dev: dev, store: nn.NewStore(setup.Key), norm: newValueNorm(n, t.PlainValues),
		costs: newMultipliers(s.Constraint, t.Envs, n), past: newChunks(s, spec, setup.Key),
		data: newRollout(t.Horizon, t.Envs, n), part: newMinibatch(s, spec), metrics: train.Metrics{},
	}
	l.logp, l.values = make([]float32, rows*n*s.parts(spec)), make([]float32, rows*n)
	l.update, err = xla.Compile(dev, "update", l.store, s.updateGraph(spec), s.updateInputs(spec, rows/t.Minibatches)...)
	if err != nil {
		return nil, nil, err
	}
	l.evaluate, err = xla.Compile(dev, "evaluation", l.store, s.evaluateGraph(spec), s.inputs(spec, l.block(), learning)...)
	if err != nil {
		return nil, nil, err
	}
	l.tail, err = xla.Compile(dev, "tail", l.store, s.actGraph(spec, true), s.actInputs(spec, t.Envs, valuing)...)
	if err != nil {
		return nil, nil, err
	}
	if t.Trust.KL > 0 {
		if l.region, err = newRegion(dev, l.store, s, spec, rows); err != nil {
			return nil, nil, err
		}
	}
	l.actor = newActor(s, spec, dev, l.store, setup.Key)
	if l.act, err = l.actor.acting.Program(t.Envs); err != nil {
		return nil, nil, err
	}
	return l, memory, nil
}

// Policy acts with the newest weights.
func (l *learner) Policy() policy.Policy { return l.actor }

// turns is the number of agents that are updated one after another, or 1.
func (l *learner) turns() int {
	if l.sys.Turns.Next == nil {
		return 1
	}
	return l.spec.Agents
}

// PerUpdate is the number of optimiser steps that Update makes.
func (l *learner) PerUpdate() int64 {
	passes := l.sys.Train.Epochs * l.sys.Train.Minibatches
	if l.region != nil {
		return int64(l.turns() + passes) // of the actors, of the critics
	}
	return int64(l.turns() * passes)
}

// Update learns from one rollout.
func (l *learner) Update(s *replay.Sample) (train.Metrics, error) {
	t := l.sys.Train
	if s.Time != t.Horizon || s.Batch != t.Envs {
		return nil, fmt.Errorf("ppo: %s takes rollouts of %d steps × %d, got %d × %d", l.sys.Name, t.Horizon, t.Envs, s.Time, s.Batch)
	}
	if err := l.prepare(s); err != nil {
		return nil, err
	}
	l.data.reward = l.costs.weigh(s)
	clear(l.metrics)
	r := s.Key.Split("minibatches").Rand()
	rows, n := t.Horizon*t.Envs, l.spec.Agents
	before, turn := l.part.before, make([]float32, n)
	fill(before, 1)
	var trace []float64
	updated := make([]bool, n)
	order := make([]int32, rows/l.past.length)
	for k := range l.turns() {
		l.data.estimate(t.Gamma, t.Lambda, trace)
		if err := l.weigh(s); err != nil {
			return nil, err
		}
		agent := -1
		l.part.turn, l.part.clip, l.part.critic = turn, t.Clip, 1
		fill(turn, 1)
		if l.sys.Turns.Next != nil {
			agent = l.sys.Turns.Next(r, l.strength(s), updated)
			clear(turn)
			turn[agent], updated[agent] = 1, true
			if l.part.critic = 0; k == n-1 {
				l.part.critic = 1 // as many epochs as each actor
			}
			if l.sys.Turns.Range != nil {
				l.part.clip *= l.sys.Turns.Range(k+1, n)
			}
		}
		if l.region != nil {
			if err := l.move(s); err != nil {
				return nil, err
			}
			clear(turn) // what follows is for the critics
		}
		if l.region == nil || l.part.critic == 1 {
			if err := l.pass(s, r, order); err != nil {
				return nil, err
			}
		}
		if k < l.turns()-1 {
			var err error
			if trace, err = l.follow(s, agent, trace); err != nil {
				return nil, err
			}
		}
	}
	l.rollouts++
	l.past.end(s)
	l.actor.acting.Changed()
	l.average()
	maps.Copy(l.metrics, l.costs.report)
	return l.metrics, nil
}

// pass goes over the sequences of the rollout Epochs times.
func (l *learner) pass(s *replay.Sample, r *rand.Rand, order []int32) error {
	t, count := l.sys.Train, len(order)
	for epoch := range t.Epochs {
		for i := range order {
			order[i] = int32(i)
		}
		if t.Minibatches > 1 {
			r.Shuffle(count, func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for m := range t.Minibatches {
			size := count / t.Minibatches
			l.part.step = l.rollouts*int64(t.Epochs*t.Minibatches) + int64(epoch*t.Minibatches+m+1)
			if err := l.step(s, order[m*size:(m+1)*size]); err != nil {
				return err
			}
		}
	}
	return nil
}

// average turns the sums over optimiser steps in metrics into means.
func (l *learner) average() {
	steps, turns := float64(l.PerUpdate()), float64(l.turns())
	if l.region == nil {
		for name := range l.metrics {
			l.metrics[name] /= steps
		}
		return
	}
	// The actors took no part in those steps, and have numbers of their own.
	for _, name := range metricNames {
		l.metrics[name] /= steps - turns
	}
	for _, name := range []string{"entropy", "clip_fraction", "approx_kl"} {
		delete(l.metrics, name)
	}
	gain, kl, kept := l.region.sums()
	l.metrics["policy_loss"], l.metrics["kl"], l.metrics["accepted"] = -gain/turns, kl/turns, kept/turns
}

func fill[T any](x []T, with T) {
	for i := range x {
		x[i] = with
	}
}

// weigh normalises the advantages.
func (l *learner) weigh(s *replay.Sample) error {
	n := l.spec.Agents
	for k, a := range l.data.advantage {
		if math.IsNaN(a) || math.IsInf(a, 0) {
			row := k / n
			return fmt.Errorf("ppo: %s: the advantage of agent %d in environment %d is %v at rollout %d: a value of %v and a reward of %v; try a smaller learning rate than %g",
				l.sys.Name, k%n, row%l.data.envs, a, l.rollouts+1, l.data.value[k], l.data.reward[k], l.sys.Train.LR)
		}
	}
	floor := make([]float64, n)
	for a := range floor {
		if l.norm.weight > 0 {
			_, deviation := l.norm.of(a)
			floor[a] = 0.05 * deviation
		}
	}
	normalise(l.data.advantage, s.Alive, n, l.sys.Train.GlobalNorm, floor, l.part.weighed)
	return nil
}

// strength is the mean of |A| of each agent.
func (l *learner) strength(s *replay.Sample) []float64 {
	n := l.spec.Agents
	sum, count := make([]float64, n), make([]float64, n)
	for k, a := range l.data.advantage {
		if s.Alive[k] == 1 {
			sum[k%n], count[k%n] = sum[k%n]+math.Abs(a), count[k%n]+1
		}
	}
	for a := range sum {
		sum[a] /= max(count[a], 1)
	}
	return sum
}
