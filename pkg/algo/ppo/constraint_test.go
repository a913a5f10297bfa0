package ppo

import (
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// Two rollouts of two steps of two environments, two agents, two costs, of which the second is 10 times the first.
// Environment 0 ends an episode at each step, environment 1 with the second rollout.
func TestMultipliers(t *testing.T) {
	m := newMultipliers(Constraint{Limits: []float64{1, 100}, LR: 0.5}, 2, 2)
	roll := func(cost ...float32) *replay.Sample {
		s := &replay.Sample{Time: 2, Batch: 2, Reward: []float32{1, 2, 3, 4, 5, 6, 7, 8}, Terminated: []float32{1, 0, 0, 0}, Truncated: []float32{0, 0, 1, 0}}
		for _, c := range cost {
			s.Cost = append(s.Cost, c, 10*c)
		}
		return s
	}
	s := roll(1, 3 /**/, 2, 2 /**/, 6, 2 /**/, 0, 4) // [step, env, agent]: episodes cost 2 and 4; environment 1 is at 4
	reward := m.weigh(s)
	// λ = 0.5·(3 − 1) = 1, and max(0, 0.5·(30 − 100)) = 0
	if want := []float64{1, 0}; !slices.Equal(m.lambda, want) {
		t.Errorf("multipliers %v, want %v", m.lambda, want)
	}
	if want := []float32{0, -1, 1, 2, -1, 4, 7, 4}; !slices.Equal(reward, want) {
		t.Errorf("rewards less costs are %v, want %v", reward, want)
	}
	if m.report["episode_cost_0"] != 3 || m.report["episode_cost_1"] != 30 || m.report["multiplier_0"] != 1 {
		t.Errorf("reported: %v", m.report)
	}
	s = roll(0, 0 /**/, 1, 1 /**/, 0, 0 /**/, 1, 1)
	s.Terminated[3] = 1
	m.weigh(s) // episodes cost 0, 0 and 4 + 2 = 6: 2 on average
	if want := []float64{1.5, 0}; !slices.Equal(m.lambda, want) {
		t.Errorf("multipliers %v, want %v", m.lambda, want)
	}
	s.Terminated, s.Truncated = make([]float32, 4), make([]float32, 4)
	m.weigh(s)
	if _, ok := m.report["episode_cost_0"]; ok || m.lambda[0] != 1.5 {
		t.Errorf("without an episode's end: multipliers %v, reported %v, want no change and no cost", m.lambda, m.report)
	}
	plain := newMultipliers(Constraint{}, 2, 2)
	if got := plain.weigh(s); &got[0] != &s.Reward[0] {
		t.Error("without limits rewards are copied")
	}
}

// The advantage of rewards less costs is that of rewards less λ times that of costs.
func TestAdvantagesAreLinear(t *testing.T) {
	r := rng.New(1).Rand()
	const time, envs, n, lambda = 5, 2, 2, 0.7
	all := make([]*rollout, 3) // of rewards, of costs, of both
	for k := range all {
		all[k] = newRollout(time, envs, n)
		all[k].reward = make([]float32, time*envs*n)
		for i := range all[k].value {
			all[k].reward[i], all[k].value[i], all[k].next[i] = float32(r.NormFloat64()), r.NormFloat64(), r.NormFloat64()
		}
		for i := range all[k].over {
			all[k].over[i] = i%4 == 3 || i >= (time-1)*envs
		}
	}
	for i := range all[2].value {
		all[2].reward[i] = all[0].reward[i] - lambda*all[1].reward[i]
		all[2].value[i] = all[0].value[i] - lambda*all[1].value[i]
		all[2].next[i] = all[0].next[i] - lambda*all[1].next[i]
	}
	for _, d := range all {
		d.estimate(0.9, 0.8, nil)
	}
	for i, a := range all[2].advantage {
		near(t, "advantage", a, all[0].advantage[i]-lambda*all[1].advantage[i], 1e-5)
	}
}

// risk pays an agent for each risky step, 1 for the first and 0.1 less for each one after it, and charges 1.
type risk struct{ t *int }

func (risk) New() (env.Env, error) { return risk{new(int)}, nil }
func (risk) Spec() env.Spec {
	return env.Spec{Name: "risk", Agents: 2, Actions: []int{2}, ObsDim: 1, Costs: 1, MaxSteps: 10}
}
func (r risk) Reset(_ env.Episode, out *env.Step) { *r.t = 0; r.show(out) }
func (r risk) Step(act env.Actions, out *env.Step) {
	for a, risky := range act.Discrete {
		out.Reward[a], out.Cost[a] = float32(risky)*(1-float32(*r.t)/10), float32(risky)
	}
	*r.t++
	r.show(out)
	if *r.t == 10 {
		out.Terminated, out.Outcome = true, env.Ended
	}
}
func (r risk) show(out *env.Step) { fill(out.Obs, float32(*r.t)/10); fill(out.Avail, true) }

func TestRiskContract(t *testing.T) { envtest.Check(t, risk{}) }

func TestResumeOfConstraint(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	s := MAPPO(MLP{Hidden: 8}, small())
	s.Constraint = Constraint{Limits: []float64{2}, LR: 0.1}
	traintest.Resume(t, risk{}, s, 120)
}

// With a limit of 2 the first two steps are risky, and the multiplier lies between what the second and the third pay:
// 0.9 and 0.8. Without a limit nearly all steps are.
func TestConstraintIsKept(t *testing.T) {
	c := small()
	c.Envs, c.Horizon, c.Minibatches, c.Epochs, c.LR, c.Entropy = 16, 20, 1, 4, 5e-3, Linear{To: 0.01}
	play := func(limits ...float64) train.Metrics {
		s := MAPPO(MLP{Hidden: 16}, c)
		s.Constraint = Constraint{Limits: limits, LR: 0.02}
		l, err := train.NewLoop(risk{}, s, train.Setup{Key: rng.New(1), Backend: xla.Go}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for rollout := range 160 {
			if rollout == 80 {
				l.Drain()
			}
			for range c.Horizon {
				if err := l.Iterate(); err != nil {
					t.Fatal(err)
				}
			}
		}
		m := l.Drain()
		t.Logf("limits %v: %.2f earned, a cost of %.2f, multiplier %.3f", limits, m["train_return"], m["episode_cost"], m["multiplier"])
		return m
	}
	m := play(2)
	if cost, multiplier := m["episode_cost"], m["multiplier"]; cost < 1.5 || cost > 2.5 || multiplier < 0.7 || multiplier > 1 {
		t.Errorf("with a limit of 2 an episode costs %.2f at a multiplier of %.2f, want 1.5 to 2.5 at 0.7 to 1", cost, multiplier)
	}
	if m["train_return"] < 1.5 {
		t.Errorf("with a limit of 2 agents earn %.2f, want at least 1.5 of 1.9", m["train_return"])
	}
	if got := play()["train_return"]; got < 4.9 { // seven steps and more
		t.Errorf("without a limit agents earn %.2f of 5.5, which 7 risky steps do not: the check would not notice a missing limit", got)
	}
}
