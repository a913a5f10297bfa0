package ppo

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Three steps of two environments, two agents, γ = λ = 1/2. In environment 0 the clock ends the episode with the last
// step, where the next moment is worth 2 to agent 0 and nothing to agent 1. In environment 1 the task ends with
// the first step, and the rest is all 0 but the last reward and what comes after it.
func TestEstimate(t *testing.T) {
	r := newRollout(3, 2, 2)
	r.reward = []float32{1, 0, 8, 0 /**/, 0, -1, 0, 0 /**/, 2, 4, 0, 1}
	copy(r.value, []float64{0.5, 1, 3, 0 /**/, 1, 1, 0, 0 /**/, 0, 1, 0, 0})
	copy(r.over, []bool{false, true, false, false, true, true})
	copy(r.next, []float64{0, 0, 0, 0 /**/, 0, 0, 0, 0 /**/, 2, 0, 0, 4})
	r.estimate(0.5, 0.5, nil)
	// By hand: agent 0, environment 0: δ₂ = 2+½·2−0 = 3, δ₁ = 0+½·0−1 = −1, δ₀ = 1+½·1−½ = 1.
	want := []float64{
		1 + 0.25*(-1+0.25*3), -0.5 + 0.25*(-1.5+0.25*3), 5, 0,
		-1 + 0.25*3, -1.5 + 0.25*3, 0, 0.25 * 3,
		3, 3, 0, 3,
	}
	for k := range want {
		near(t, "advantage", r.advantage[k], want[k], 1e-12)
		near(t, "target", r.target[k], want[k]+r.value[k], 1e-12)
	}
	// λ = 0 at the last step cuts what comes from it.
	r.estimate(0.5, 0.5, []float64{0.5, 0.5, 0.5, 0.5, 0, 0})
	near(t, "advantage before a trace of 0", r.advantage[4], -1, 1e-12)
}

func TestNormalise(t *testing.T) {
	advantage, alive, out := []float64{1, 100, 3, 100.2, 77, 99.8}, []float32{1, 1, 1, 1, 0, 1}, make([]float32, 6)
	normalise(advantage, alive, 2, false, []float64{0, 4}, out)
	// Agent 0: 1 and 3 (77 is dead); agent 1: deviation 0.16, below its floor of 4.
	for k, want := range []float64{-1, 0, 1, 0.05, 0, -0.05} {
		near(t, "advantage", float64(out[k]), want, 1e-6)
	}
	normalise([]float64{0, 0, 0, 4, 9, 0}, alive, 2, true, nil, out) // mean 0.8, variance 2.56
	for k, want := range []float64{-0.5, -0.5, -0.5, 2, 0, -0.5} {
		near(t, "globally", float64(out[k]), want, 1e-4)
	}
}

func TestValueNorm(t *testing.T) {
	v := newValueNorm(2, false)
	if mean, deviation := v.of(0); mean != 0 || deviation != 0.1 {
		t.Errorf("before the first batch: mean %v, deviation %v, want 0 and 0.1", mean, deviation)
	}
	for range 50 {
		v.add([]float64{7, 7, 7, 7}, []int32{0, 1}, false)
	}
	mean, deviation := v.of(1)
	near(t, "mean of a constant", mean, 7, 1e-6)
	near(t, "variance of a constant", deviation*deviation, 0.01, 1e-6)
	v = newValueNorm(2, false)
	v.add([]float64{0, 10, 2, 30}, []int32{0, 1}, true)
	mean, deviation = v.of(1) // 10 and 30
	near(t, "mean of agent 1", mean, 20, 1e-6)
	near(t, "deviation of agent 1", deviation, 10, 1e-6)
	mean, _ = v.of(0)
	near(t, "mean of agent 0", mean, 1, 1e-6)
}

func TestHuberIsSymmetric(t *testing.T) {
	out := onGo(t, func(_ *model.Scope, in []*Node) []*Node { return []*Node{huber(in[0], 10), huber(in[0], 0)} },
		[]xla.Input{xla.F32(5)}, []float32{-20, -4, 0, 4, 20})
	for k, want := range []float32{150, 8, 0, 8, 150} { // 10·(20 − 5), 4²/2
		if got := out[0].([]float32)[k]; got != want {
			t.Errorf("Huber loss %d is %v, want %v", k, got, want)
		}
	}
	if got := out[1].([]float32)[0]; got != 200 {
		t.Errorf("squared loss is %v, want 200", got)
	}
}

// The floor shares f among the available choices, and draws follow it.
func TestFloor(t *testing.T) {
	s := System{Train: Training{Floor: 0.3}}
	const draws = 40_000
	noise := make([]float32, draws*4)
	draw(rng.New(1).Rand(), env.Spec{}, noise)
	out := onGo(t, func(_ *model.Scope, in []*Node) []*Node {
		p := Exp(logChoices(in[0], in[1], 0.3))
		d := []int{draws, 4}
		all := s.choose(BroadcastToDims(in[0], d...), Inputs{}, BroadcastToDims(in[1], d...), in[2], Scalar(in[0].Graph(), in[0].DType(), 1))
		best := s.choose(in[0], Inputs{}, in[1], Slice(in[2], AxisRange(0, 1)), Scalar(in[0].Graph(), in[0].DType(), 0))
		return []*Node{p, ReduceMean(all, 0), best}
	}, []xla.Input{xla.F32(1, 4), xla.Bool(1, 4), xla.F32(draws, 4)}, []float32{0, 0, 50, 9}, []bool{true, true, false, true}, noise)
	p, often, best := out[0].([]float32), out[1].([]float32), out[2].([]float32)
	sum := float32(0)
	for k := range p {
		sum += p[k]
		near(t, "frequency of a choice", float64(often[k]), float64(p[k]), 0.01)
	}
	near(t, "sum", float64(sum), 1, 1e-6)
	near(t, "floor", float64(p[0]), 0.1+0.7*math.Exp(-9)/(2*math.Exp(-9)+1), 1e-6)
	if p[2] != 0 || best[3] != 1 {
		t.Errorf("probability %v of what is not available and greedy choice %v, want 0 and choice 3", p[2], best)
	}
}

func TestLinear(t *testing.T) {
	l := Linear{1, 0.5, 100}
	for at, want := range map[int64]float64{0: 1, 50: 0.75, 100: 0.5, 1000: 0.5} {
		near(t, "schedule", l.At(at), want, 1e-12)
	}
	near(t, "a schedule of no steps", Linear{To: 0.1}.At(0), 0.1, 0)
}

// clock shows the time of an episode, which it ends at 3: an agent at its own speed.
type clock struct{ t *float32 }

func (clock) New() (env.Env, error) { return clock{new(float32)}, nil }
func (clock) Spec() env.Spec {
	return env.Spec{Name: "clock", Agents: 2, Actions: []int{2}, ObsDim: 2, StateDim: 2, MaxSteps: 3}
}
func (c clock) Reset(_ env.Episode, out *env.Step) { *c.t = 0; c.show(out) }
func (c clock) Step(_ env.Actions, out *env.Step) {
	*c.t++
	c.show(out)
	out.Reward[0], out.Reward[1] = 1, *c.t
	out.Truncated = *c.t == 3
	if out.Truncated {
		out.Outcome = env.TimeOut
	}
}
func (c clock) show(out *env.Step) {
	out.Obs[0], out.Obs[1], out.Obs[2], out.Obs[3] = *c.t, 1, 2**c.t, 1
	out.State[0], out.State[1] = *c.t, 1
	fill(out.Avail, true)
}

// player plays one rollout after another with a learner's policy.
type player struct {
	l       *learner
	vec     *env.Vec
	memory  policy.Memory
	rollout *replay.Rollout
	steps   int64
}

func newPlayer(t testing.TB, l *learner, w env.World) *player {
	t.Helper()
	n, key := l.sys.Train.Envs, rng.New(3)
	rollout, err := replay.NewRollout(l.spec, l.sys.Train.Horizon, n)
	if err != nil {
		t.Fatal(err)
	}
	vec, err := env.NewVec(w, n, func(e int64) rng.Key { return key.Split("env", e) })
	if err != nil {
		t.Fatal(err)
	}
	return &player{l, vec, l.Policy().Memory(n), rollout, 0}
}

// roll plays the next rollout.
func (p *player) roll(t testing.TB) *replay.Sample {
	t.Helper()
	n, key := p.vec.N(), rng.New(3)
	acts := env.NewActions(p.l.spec, n)
	for range p.l.sys.Train.Horizon {
		begun := p.vec.Begun()
		before, err := p.vec.Before()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if p.vec.Episode(i) >= begun {
				p.memory.Begin(i)
			}
		}
		if err := p.l.Policy().Act(before, p.memory, exploring, key.Split("act", p.steps), acts); err != nil {
			t.Fatal(err)
		}
		after, err := p.vec.Step(acts)
		if err != nil {
			t.Fatal(err)
		}
		p.rollout.Add(before, acts, after, nil)
		p.steps++
	}
	return p.rollout.Sample(key)
}

// rolled plays a first rollout of w with l's policy.
func rolled(t testing.TB, l *learner, w env.World) *replay.Sample {
	t.Helper()
	return newPlayer(t, l, w).roll(t)
}

// The moment after the clock's end and after the last step is worth what the critic says of it.
func TestBootstrap(t *testing.T) {
	s := MAPPO(MLP{Hidden: 8, Own: true}, small())
	l := build(t, s, clock{}, xla.Go)
	sample := rolled(t, l, clock{}) // 5 steps: 0 1 2 | 0 1, and after the last: 2
	if err := l.prepare(sample); err != nil {
		t.Fatal(err)
	}
	envs, n := s.Train.Envs, 2
	for i := range envs {
		for a := range n {
			at := func(t int) int { return (t*envs+i)*n + a }
			near(t, "value after the last step", l.data.next[at(4)], l.data.value[at(2)], 1e-6)
			if l.data.next[at(2)] == 0 || l.data.next[at(2)] == l.data.value[at(3)] {
				t.Errorf("after the clock's end the value is %v, want that of time 3, not 0 and not that of the next episode", l.data.next[at(2)])
			}
			if l.data.next[at(1)] != 0 || l.data.over[envs+i] {
				t.Errorf("step 1 is over")
			}
		}
	}
	l.sys.Train.TimeOutEnds = true
	if err := l.prepare(sample); err != nil {
		t.Fatal(err)
	}
	if next := l.data.next[2*envs*n]; next != 0 || l.data.next[4*envs*n] == 0 {
		t.Errorf("where the clock's end counts as the task's, %v follows it and %v the last step, want 0 and a value", next, l.data.next[4*envs*n])
	}
}
