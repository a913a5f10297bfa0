package train

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Loop collects steps and makes updates. It needs no run directory and can serve inside other methods.
type Loop struct {
	Learner Learner
	Replay  replay.Replay
	Vec     *env.Vec

	spec    env.Spec
	pace    Pace
	key     rng.Key
	policy  policy.Policy
	memory  policy.Memory
	acts    env.Actions
	returns []float64 // of the running episodes
	state   loopState
	times   times
	ahead   int64 // of Steps, as policies see them: Estimate probes how the middle of a run explores
}

// loopState is what Save writes of the loop itself.
type loopState struct {
	Steps      int64 // joint decisions
	AgentSteps int64 // decisions of agents
	Updates    int64
	Episodes   int64 // finished
	Debt       int64 // steps or, by Pace, finished episodes since the last update, once the replay is ready
	Returns    []float64
	Tally      tally
}

// times is wall time by kind of work.
type times struct{ Env, Act, Update time.Duration }

// NewLoop builds the learner and makes the environments. workers step them; results do not depend on it.
func NewLoop(w env.World, m Method, s Setup, workers int) (*Loop, error) {
	if _, err := env.Probe(w); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("train: no method given, want one such as value.JointDQN(value.TakeoutMini())")
	}
	pace := m.Pace()
	if err := pace.check(m); err != nil {
		return nil, err
	}
	e, err := w.New()
	if err != nil {
		return nil, err
	}
	s.Env = e
	l := &Loop{spec: e.Spec(), pace: pace, key: s.Key}
	if l.Learner, l.Replay, err = m.Build(s); err != nil {
		return nil, err
	}
	if l.Vec, err = env.NewVec(w, pace.Envs, func(n int64) rng.Key { return s.Key.Split("env", n) }); err != nil {
		return nil, err
	}
	l.Vec.Workers = max(workers, 1)
	l.policy = l.Learner.Policy()
	l.memory = l.policy.Memory(pace.Envs)
	l.acts = env.NewActions(l.spec, pace.Envs)
	l.returns = make([]float64, pace.Envs)
	l.state.Tally = tally{}
	return l, nil
}

// Steps is the number of joint decisions so far.
func (l *Loop) Steps() int64 { return l.state.Steps }

// Updates is the number of optimiser steps so far.
func (l *Loop) Updates() int64 { return l.state.Updates }

// Iterate lets all environments take one step, and the learner as many updates as are due.
func (l *Loop) Iterate() error {
	start := time.Now()
	begun := l.Vec.Begun()
	before, err := l.Vec.Before()
	if err != nil {
		return err
	}
	for i := range l.returns {
		if l.Vec.Episode(i) >= begun {
			l.memory.Begin(i)
			l.returns[i] = 0
		}
	}
	t1 := time.Now()
	mode := policy.Mode{Explore: true, Steps: l.state.Steps + l.ahead}
	if err := l.policy.Act(before, l.memory, mode, l.key.Split("act", l.state.Steps), l.acts); err != nil {
		return err
	}
	t2 := time.Now()
	after, err := l.Vec.Step(l.acts)
	if err != nil {
		return err
	}
	l.Replay.Add(before, l.acts, after, func(i int) bool { return l.Vec.Episode(i) >= 0 })
	if err := l.count(after); err != nil {
		return err
	}
	t3 := time.Now()
	if err := l.learn(); err != nil {
		return err
	}
	t4 := time.Now()
	l.times.Env += t1.Sub(start) + t3.Sub(t2)
	l.times.Act += t2.Sub(t1)
	l.times.Update += t4.Sub(t3)
	return nil
}

func (l *Loop) count(after *env.Batch) error {
	n := int64(l.Vec.Active())
	l.state.Steps += n
	l.state.AgentSteps += n * int64(l.spec.Agents)
	finished := l.state.Episodes
	for i := range l.returns {
		step := after.At(i)
		for a, r := range step.Reward {
			if !finite(float64(r)) {
				return fmt.Errorf("train: %s pays agent %d a reward of %v at step %d, want a finite number", l.spec.Name, a, r, l.state.Steps)
			}
			l.returns[i] += float64(r) / float64(l.spec.Agents)
		}
		for k, c := range step.Cost {
			if !finite(float64(c)) {
				return fmt.Errorf("train: %s charges agent %d a cost of %v at step %d, want a finite number", l.spec.Name, k/l.spec.Costs, c, l.state.Steps)
			}
		}
		if !step.Over() {
			continue
		}
		l.state.Episodes++
		l.state.Tally.add("train_return", l.returns[i])
		for k, name := range l.spec.Metrics {
			x := float64(step.Metrics[k])
			if !finite(x) {
				return fmt.Errorf("train: %s counts a %s of %v at step %d, want a finite number", l.spec.Name, name, x, l.state.Steps)
			}
			l.state.Tally.add("train_"+name, x)
		}
		switch step.Outcome {
		case env.Win:
			l.state.Tally.add("train_win_rate", 1)
		case env.Loss, env.Draw, env.TimeOut:
			l.state.Tally.add("train_win_rate", 0)
		}
	}
	if l.Replay.Ready() && l.pace.UpdateEpisodes > 0 {
		l.state.Debt += l.state.Episodes - finished
	} else if l.Replay.Ready() {
		l.state.Debt += n
	}
	return nil
}

func (l *Loop) learn() error {
	for every := l.pace.every(); l.state.Debt >= every; {
		l.state.Debt -= every
		m, err := l.Learner.Update(l.Replay.Sample(l.key.Split("replay", l.state.Updates)))
		if err != nil {
			return err
		}
		l.state.Updates += perUpdate(l.Learner)
		for name, x := range m {
			l.state.Tally.add(name, x)
		}
	}
	return nil
}

// perUpdate is the number of optimiser steps that one Update makes.
func perUpdate(l Learner) int64 {
	if s, ok := l.(interface{ PerUpdate() int64 }); ok {
		return s.PerUpdate()
	}
	return 1
}

// Drain returns the means of all that was counted since the last call: the learner's metrics, and of finished
// episodes "train_return" (mean over agents) and the world's metrics, "train_" before their names. Numbers of a
// learner that are not finite are left out.
func (l *Loop) Drain() Metrics {
	m := Metrics{}
	for name, x := range l.state.Tally {
		m[name] = x.Sum / x.N
	}
	clear(l.state.Tally)
	return m
}

// Close ends the goroutines that step environments.
func (l *Loop) Close() { l.Vec.Close() }

// Parts are what a checkpoint of the loop consists of.
func (l *Loop) Parts() map[string]run.Checkpoint {
	parts := map[string]run.Checkpoint{"loop": l, "environments": l.Vec, "memory": l.memory, "learner": l.Learner}
	if r, ok := l.Replay.(run.Checkpoint); ok {
		parts["replay"] = r
	}
	return parts
}

// Save writes counters and what has been counted since the last Drain.
func (l *Loop) Save(w io.Writer) error {
	l.state.Returns = l.returns
	return json.NewEncoder(w).Encode(l.state)
}

// Load reads what Save wrote.
func (l *Loop) Load(r io.Reader) error {
	var s loopState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("train: saved loop: %w", err)
	}
	if len(s.Returns) != len(l.returns) {
		return fmt.Errorf("train: %d environments were saved, want %d", len(s.Returns), len(l.returns))
	}
	copy(l.returns, s.Returns)
	if s.Tally == nil {
		s.Tally = tally{}
	}
	l.state = s
	return nil
}

// tally adds numbers up by name.
type tally map[string]sum

type sum struct{ Sum, N float64 }

func (t tally) add(name string, x float64) {
	s := t[name]
	if s = (sum{s.Sum + x, s.N + 1}); finite(s.Sum) { // JSON, in which it is saved, knows no others
		t[name] = s
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
