package ppo

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// Two heads of 2 and 3 choices, of which the last is not available: probabilities of each head sum to 1, those of a
// joint action multiply, and the entropy is the mean of both.
func TestHeads(t *testing.T) {
	spec := sizes(1, 1, 0, 0, 0)
	spec.Actions = []int{2, 3}
	logits, avail := []float32{1, 0 /**/, 2, 0, 9}, []bool{true, true, true, true, false}
	p, q := 1/(1+math.Exp(-1)), 1/(1+math.Exp(-2)) // of the first choices
	entropy := func(p float64) float64 { return -p*math.Log(p) - (1-p)*math.Log(1-p) }
	for _, parts := range []bool{false, true} {
		s := System{Train: Training{Components: parts}}
		out := onGo(t, func(_ *model.Scope, in []*Node) []*Node {
			x := Inputs{Avail: in[1], Spec: spec, Actions: show(in[2], spec, in[0].DType())}
			logp, spread := s.judge(in[0], x)
			greedy := s.choose(in[0], x, in[1], in[3], Scalar(in[0].Graph(), in[0].DType(), 0))
			return []*Node{Exp(s.logChoices(in[0], x)), logp, spread, chosen(x.Actions, spec), chosen(greedy, spec)}
		}, []xla.Input{xla.F32(1, 1, 5), xla.Bool(1, 1, 5), xla.I32(1, 1, 2), xla.F32(1, 1, 5)},
			logits, avail, []int32{0, 1}, []float32{0.5, 0.5, 0.5, 0.5, 0.5})
		for k, want := range []float64{p, 1 - p, q, 1 - q, 0} {
			near(t, "probability", float64(out[0].([]float32)[k]), want, 1e-6)
		}
		want := []float64{math.Log(p) + math.Log(1-q)}
		if parts {
			want = []float64{math.Log(p), math.Log(1 - q)}
		}
		if got := out[1].([]float32); len(got) != len(want) || s.parts(spec) != len(want) {
			t.Errorf("%d log-probabilities, of %d parts, want %d", len(got), s.parts(spec), len(want))
		}
		for k := range want {
			near(t, "log-probability", float64(out[1].([]float32)[k]), want[k], 1e-6)
		}
		near(t, "entropy", float64(out[2].([]float32)[0]), (entropy(p)+entropy(q))/2, 1e-6)
		if a, b := out[3].([]int32), out[4].([]int32); !slices.Equal(a, []int32{0, 1}) || !slices.Equal(b, []int32{0, 0}) {
			t.Errorf("choices %v and greedily %v, want 0 1 and 0 0", a, b)
		}
	}
}

// locks pays each agent ½ for each of two wheels that is set as shown: one of 2 places, one of 3, of which one is stuck.
type locks struct{ want *[4]int32 }

func (locks) New() (env.Env, error) { return locks{new([4]int32)}, nil }
func (locks) Spec() env.Spec {
	return env.Spec{Name: "locks", Agents: 2, Actions: []int{2, 3}, ObsDim: 2, MaxSteps: 1}
}
func (l locks) Reset(ep env.Episode, out *env.Step) {
	for k := range l.want {
		l.want[k] = ep.Rand.Int32N(2 + int32(k)%2)
	}
	l.show(out)
}
func (l locks) Step(act env.Actions, out *env.Step) {
	l.show(out)
	for k, place := range act.Discrete {
		if place == l.want[k] {
			out.Reward[k/2] += 0.5
		}
	}
	out.Terminated, out.Outcome = true, env.Ended
}
func (l locks) show(out *env.Step) {
	fill(out.Avail, true)
	for a := range 2 {
		out.Obs[2*a], out.Obs[2*a+1] = float32(l.want[2*a]), float32(l.want[2*a+1])-1
		if stuck := (l.want[2*a+1] + 1) % 3; stuck != 0 {
			out.Avail[5*a+2+int(stuck)] = false
		}
	}
}

func TestLocksContract(t *testing.T) { envtest.Check(t, locks{}) }

func TestResumeOfHeads(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	for _, s := range methods() {
		switch s.Name {
		case "mappo", "a2po", "mat", "step", "steer":
			s.Train.Components = s.Name == "steer"
			traintest.Resume(t, locks{}, s, 50)
		}
	}
}

// Agents learn both heads. Without the second one's logits they set that wheel at random.
func TestHeadsAreLearned(t *testing.T) {
	c := small()
	c.Envs, c.Horizon, c.Minibatches, c.Epochs, c.LR, c.Entropy = 64, 1, 1, 4, 5e-3, Linear{To: 0.01}
	both := MAPPO(MLP{Hidden: 16}, c)
	first := both
	first.Actor = func(s *model.Scope, in Inputs) (heads, values *Node) {
		heads, values = both.Actor(s, in)
		return Mul(heads, Const(heads.Graph(), [][][]float32{{{1, 1, 0, 0, 0}}})), values
	}
	earned := func(s System) float64 {
		l, err := train.NewLoop(locks{}, s, train.Setup{Key: rng.New(1), Backend: xla.Go}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for rollout := range 150 {
			if rollout == 140 {
				l.Drain()
			}
			if err := l.Iterate(); err != nil {
				t.Fatal(err)
			}
		}
		m := l.Drain()["train_return"]
		t.Logf("%.2f per play", m)
		return m
	}
	if m := earned(both); m < 0.9 {
		t.Errorf("agents with two heads earn %.2f, want at least 0.9 of 1", m)
	}
	if m := earned(first); m > 0.8 {
		t.Errorf("agents that set the second wheel at random earn %.2f, want 0.8 and less", m)
	}
}

// Where an agent has no choice in one head, the error says which.
func TestHeadWithoutChoice(t *testing.T) {
	l := build(t, MAPPO(MLP{Hidden: 8}, small()), locks{}, xla.Go)
	batch := env.NewBatch(l.spec, 4)
	fill(batch.Avail, true)
	fill(batch.Avail[10+5+2:10+10], false) // the second head of agent 1 in environment 1
	err := l.actor.Act(batch, policy.None{}, exploring, rng.New(1), env.NewActions(l.spec, 4))
	wantLine(t, err, "ppo: locks: agent 1 in environment 1 has no available action in head 1, want at least one")
}
