package value

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
	"github.com/muster-marl/muster/pkg/xla/xlatest"
)

var backends = xlatest.Backends

func onGo(t *testing.T, f func(s *model.Scope, in []*Node) []*Node, inputs []xla.Input, values ...any) []any {
	t.Helper()
	return xlatest.OnGo(t, nn.NewStore(rng.New(1)), f, inputs, values...)
}

// Two agents, three actions. Agent 0: the online weights prefer action 2, the target weights action 1, and
// action 0, the best of all, is not available. Agent 1 is guided: only action 1 is available.
func TestTargetForms(t *testing.T) {
	online := []float32{9, 2, 3, 7, 1, 5}
	target := []float32{8, 6, 4, 9, 0.5, 3}
	avail := []bool{false, true, true, false, true, false}
	for name, c := range map[string]struct {
		form Target
		want [2]float32
	}{
		"double Q":         {DoubleQ, [2]float32{4, 0.5}},      // Q⁻(s', 2)
		"reverse double Q": {ReverseDoubleQ, [2]float32{2, 1}}, // Q(s', 1)
		"plain Q":          {PlainQ, [2]float32{6, 0.5}},       // Q⁻(s', 1)
	} {
		out := onGo(t, func(_ *model.Scope, in []*Node) []*Node { return []*Node{c.form(in[0], in[1], in[2])} },
			[]xla.Input{xla.F32(1, 1, 2, 3), xla.F32(1, 1, 2, 3), xla.Bool(1, 1, 2, 3)}, online, target, avail)
		if got := [2]float32(out[0].([]float32)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// table is a network without layers: a table of values [agent, action] for every state. Agent 1 of the toy
// has the values of its own row.
func table(s *model.Scope, in Inputs) *Node {
	w := nn.Variable(s, in.Obs.Graph(), "table", nn.FanIn, 1, 1, 2, 3) // [1, agent, action]
	d := in.Obs.Shape().Dimensions
	return Add(BroadcastToDims(Reshape(w, 1, 1, 2, 3), d[0], d[1], 2, 3), MulScalar(ReduceAndKeep(in.Obs, ReduceSum, 3), 0))
}

// The gradient of the team's error through the sum is that of each head with the same error:
// ∂δ²/∂Qᵢ(aᵢ) = −2δ, and 0 for the other actions.
func TestJointGradientIsTheSumOfHeadGradients(t *testing.T) {
	sys := System{Name: "toy", Sees: Sees{Obs: true}, Agent: FeedForward(table), Mixer: Additive, Team: SumOfRewards, Target: DoubleQ, Loss: TD, Train: Training{Batch: 1, Gamma: 0.5, RewardScale: 1}}
	feeds := newFeeds(sys, env.Spec{Agents: 2, Actions: []int{3}, ObsDim: 1})
	out := onGo(t, func(root *model.Scope, in []*Node) []*Node {
		f, _ := feeds.forward(root, in)
		f.run()
		delta := MulScalar(f.Delta(f.Total()), -1)
		p := nn.Params(root.At("online"), in[0].Graph())[0].NodeValue(in[0].Graph())
		return []*Node{delta, f.Total(), p, Gradient(TD(f), p)[0]}
	}, feeds.declare(1, 1), feeds.fill(&replay.Sample{
		Time: 1, Batch: 1, Obs: make([]float32, 4), Avail: slices.Repeat([]bool{true}, 12), Actions: []int32{1, 2},
		Reward: []float32{3, 4}, Terminated: []float32{1}, Truncated: []float32{0},
	}, 0, false, 1)...)
	delta, q, grad := out[0].([]float32)[0], out[2].([]float32), out[3].([]float32)
	if want := 7 - q[1] - q[5]; math.Abs(float64(delta-want)) > 1e-6 { // the end is not bootstrapped
		t.Errorf("δ = %v, want r₁ + r₂ − Q₁(1) − Q₂(2) = %v", delta, want)
	}
	for i, want := range []float32{0, -2 * delta, 0, 0, 0, -2 * delta} {
		if math.Abs(float64(grad[i]-want)) > 1e-5 {
			t.Errorf("gradient of entry %d is %v, want %v", i, grad[i], want)
		}
	}
}

// Where agents learn on their own, each network moves as if the others were not there: another reward of agent 2
// changes agent 2's weights alone.
func TestIndependentAgentsDoNotTouchEachOther(t *testing.T) {
	w := takeout.Mini()
	w.View = 2
	var after [2]map[string]xla.Value
	for i := range after {
		l := build(t, IndependentDQN(TakeoutMini()), w, xla.Go)
		s := filled(t, l, w)
		for k := 2; k < len(s.Reward); k += 4 {
			s.Reward[k] += float32(100 * i)
		}
		if _, err := l.Update(s); err != nil {
			t.Fatal(err)
		}
		after[i] = weights(t, l)
	}
	for path, a := range after[0] {
		b := after[1][path].Flat.([]float32)
		k := len(b) / 4
		for agent := range 4 {
			same := equal(a.Flat.([]float32)[agent*k:(agent+1)*k], b[agent*k:(agent+1)*k])
			if same != (agent != 2) {
				t.Errorf("%s of agent %d: unchanged by agent 2's reward is %v", path, agent, same)
			}
		}
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Specification section 4: 162,116, 215,364 and 346,436 parameters per courier for V = 6, 7, 9, and 446,640 for
// the joint network with V = 9, 12 couriers.
func TestParameterCounts(t *testing.T) {
	for _, c := range []struct {
		view, want int
		joint      bool
	}{{6, 12 * 162_116, false}, {7, 12 * 215_364, false}, {9, 12 * 346_436, false}, {9, 446_640, true}} {
		w := takeout.Paper()
		w.View = c.view
		e, err := w.New()
		if err != nil {
			t.Fatal(err)
		}
		net, _ := Takeout()
		agent := ownNetworks(net)
		if c.joint {
			agent = jointNetwork(net)
		}
		d, err := xla.Open(xla.Go, 1)
		if err != nil {
			t.Fatal(err)
		}
		store, spec := nn.NewStore(rng.New(1)), e.Spec()
		_, err = xla.Compile(d, "q", store, func(s *model.Scope, in []*Node) []*Node {
			return []*Node{agent(s.In("online"), Inputs{Obs: in[0], Spec: spec})}
		}, xla.F32(1, 1, spec.Agents, spec.ObsDim))
		if err != nil {
			t.Fatal(err)
		}
		if got := nn.Count(store.RootScope().At("online")); got != c.want {
			t.Errorf("V = %d, joint %v: %d parameters, want %d", c.view, c.joint, got, c.want)
		}
	}
}

// Specification section 11: ε at t = 0, 1.44e6, 4.7e6 is 1, 0.487, 0.1. The small task reaches 0.1 at 48,000.
func TestEpsilon(t *testing.T) {
	_, paper := Takeout()
	_, mini := TakeoutMini()
	for _, c := range []struct {
		d    Decay
		t    int64
		want float64
	}{{paper.Epsilon, 0, 1}, {paper.Epsilon, 1_440_000, 0.487}, {paper.Epsilon, 4_700_000, 0.1}, {mini.Epsilon, 0, 1}, {mini.Epsilon, 47_900, 0.1005}, {mini.Epsilon, 48_100, 0.1}} {
		if got := c.d.At(c.t); math.Abs(got-c.want) > 5e-4 {
			t.Errorf("ε after %d steps is %.4f, want %.4f", c.t, got, c.want)
		}
	}
}

func TestResume(t *testing.T) {
	net, short := TakeoutMini()
	short.Warmup, short.Buffer, short.Batch, short.TargetEvery = 200, 500, 8, 30 // the buffer is full at half time
	for _, backend := range backends(t) {
		for _, m := range []System{IndependentDQN(net, short), JointDQN(net, short)} {
			t.Run(backend+"/"+m.Name, func(t *testing.T) {
				t.Setenv("GOMLX_BACKEND", backend)
				w := takeout.Mini()
				w.View = 2
				traintest.Resume(t, w, m, 700)
			})
		}
	}
}

func TestBadSystems(t *testing.T) {
	net, good := TakeoutMini()
	e, err := takeout.Mini().New()
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*System){
		"learning rate -1":    func(s *System) { s.Train.LR = -1 },
		"learning rate NaN":   func(s *System) { s.Train.LR = math.NaN() },
		"γ = 1.5":             func(s *System) { s.Train.Gamma = 1.5 },
		"no Agent":            func(s *System) { s.Agent.Values = nil },
		"only one of Mixer":   func(s *System) { s.Team = nil },
		"from a buffer of 31": func(s *System) { s.Train.Buffer = 31 },
		"batches of 0":        func(s *System) { s.Train.Batch = 0 },
		"has no name":         func(s *System) { s.Name = "" },
		"want [time, batch": func(s *System) {
			s.Mixer = func(_ *model.Scope, q *Node, _ Values, _ Inputs) *Node { return ReduceAllSum(q) }
		},
		"scales rewards by 0":  func(s *System) { s.Train.RewardScale = 0 },
		"0 environments":       func(s *System) { s.Train.Envs = 0 },
		"clips gradients to 0": func(s *System) { s.Train.ClipNorm = 0 },
		"a warm-up of 30000":   func(s *System) { s.Train.Warmup = 30_000 },
	} {
		s := JointDQN(net, good)
		change(&s)
		_, _, err := s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
		wantLine(t, err, want)
	}
	market, err := oligopoly.Market{Firms: 2}.New()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = JointDQN(net, good).Build(train.Setup{Env: market, Key: rng.New(1), Backend: xla.Go})
	wantLine(t, err, "oligopoly/2 has 0 action heads and continuous actions of size 1, want 1 and 0")
}
