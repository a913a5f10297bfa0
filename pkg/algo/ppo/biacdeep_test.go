package ppo

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// deepest is BiACNets for the few steps of tests.
func deepest(steps int64) DeepBiAC {
	d := BiACNets()
	d.LR, d.Batch, d.Warmup, d.Epsilon = 3e-3, 64, 200, Linear{1, 0.1, steps / 2}
	return d
}

// hopeful leaders count on the reply that is best for themselves.
func hopeful(values, _ *Node) *Node { return ReduceMax(values, 2) }

// bilevelPlay trains d and returns what is then chosen greedily.
func bilevelPlay(t *testing.T, d DeepBiAC, w matrix.Game, steps int64) []int32 {
	t.Helper()
	return played{loop: trained(t, w, d, train.Setup{Key: rng.New(1), Backend: xla.Go, Threads: 1}, steps)}.choose(t, w)
}

// In Climbing the leader's best entry, 30, is no reply of the follower: who foresees replies ends at (0, 0), which pays 20
// and 15, who hopes for the best at (1, 1), 10 and 5.
func TestDeepBiACClimbs(t *testing.T) {
	const steps = 4000
	w := matrix.Climbing()
	if got, want := bilevelPlay(t, deepest(steps), w, steps), stackelberg(t, w); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	blind := deepest(steps)
	blind.Expect = hopeful
	if got, want := bilevelPlay(t, blind, w, steps), []int32{1, 1}; !slices.Equal(got, want) {
		t.Errorf("a leader who hopes for the best ends at %v, want %v: the check would not notice a broken method", got, want)
	}
}

// Coordination over ten steps: backward induction gives 29 and 24. Targets go through all of them. A leader who hopes for
// the best takes the row of its 30, to which the follower has a better reply: (1, 1), 10 and 5, after the same 9.
func TestDeepBiACSolvesSteps(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: set MUSTER_LONG=1")
	}
	const steps = 50_000
	d, solved := BiACNets(), 0
	d.Epsilon = Linear{1, 0.1, steps / 2}
	for seed := range uint64(3) {
		value := stepsPlay(t, d, seed, steps)
		t.Logf("seed %d: greedy play is worth %v to both in the mean", seed, value)
		if value == 26.5 {
			solved++
		}
	}
	if solved < 2 {
		t.Errorf("26.5 in %d of 3 seeds, want at least 2", solved)
	}
	d.Expect = hopeful
	if value := stepsPlay(t, d, 0, steps); value != 16.5 {
		t.Errorf("a leader who hopes for the best ends at %v, want 16.5: the check would not notice a broken method", value)
	}
}

// stepsPlay trains d in Coordination and returns what greedy play is then worth, the mean over both agents.
func stepsPlay(t *testing.T, d DeepBiAC, seed uint64, steps int64) float64 {
	t.Helper()
	w := matrix.Coordination()
	l := trained(t, w, d, train.Setup{Key: rng.New(seed), Threads: 1}, steps)
	result, err := eval.Run(t.Context(), w, l.Learner.Policy(), rng.New(1), eval.Plan{Stream: "eval", Episodes: 1, Envs: 1})
	if err != nil {
		t.Fatal(err)
	}
	return result.Returns[0]
}

// A follower who was paid for reply 2 in two states and then is for reply 0 in one of them must change its mind there,
// however sure it was. Without entropy it stays: so the ten steps of Coordination remained unsolved.
func TestDeepBiACRecovers(t *testing.T) {
	for _, c := range []struct {
		entropy float64
		want    int32
	}{{BiACNets().Entropy, 0}, {0, 2}} {
		d := deepest(100)
		d.Batch, d.Warmup, d.Entropy = 6, 6, c.entropy
		l := builtLevels(t, d)
		s := &replay.Sample{
			Time: 1, Batch: 6, Obs: make([]float32, 24), Avail: make([]bool, 72), Terminated: make([]float32, 6), Reward: make([]float32, 12),
			Actions: []int32{2, 0, 2, 1, 2, 2, 2, 0, 2, 1, 2, 2}, // all replies to the leader's 2, in one state and the other
		}
		fill(s.Avail, true)
		fill(s.Terminated, 1)
		fill(s.Obs[6:12], 1)
		for _, paid := range [][6]float32{{0, 0, 10, 0, 0, 10}, {0, 0, 10, 15, 0, 0}} {
			for i, r := range paid {
				s.Reward[2*i+1] = r
			}
			for range 300 {
				if _, err := l.Update(s); err != nil {
					t.Fatal(err)
				}
			}
		}
		p, err := l.acting.Program(1)
		out := call(t, p, err, []float32{1, 1}, []bool{true, true, true, true, true, true})
		if got := out[1].([]int32)[2]; got != c.want {
			t.Errorf("entropy weighs %v: the follower replies %d, want %d", c.entropy, got, c.want)
		}
	}
}

// While exploring, one coin decides for both agents: with ε = ½ a pair stays greedy in 1 − ε + ε/9 of all cases, 0.556,
// where a coin of each gives (1 − ε + ε/3)², 0.444, as in evaluations. Leader and follower see the same in all rows.
func TestDeepBiACExplores(t *testing.T) {
	const envs = 3000
	d := deepest(100)
	d.Epsilon = Linear{0.5, 0.5, 1}
	l := builtLevels(t, d)
	b := env.NewBatch(l.spec, envs)
	fill(b.Avail, true)
	out := env.NewActions(l.spec, envs)
	if err := l.Act(b, nil, policy.Mode{}, rng.New(1), out); err != nil {
		t.Fatal(err)
	}
	greedy := slices.Clone(out.Discrete[:2])
	for _, c := range []struct {
		mode policy.Mode
		want float64
	}{{policy.Mode{Explore: true}, 5. / 9}, {policy.Mode{Epsilon: 0.5}, 4. / 9}} {
		if err := l.Act(b, nil, c.mode, rng.New(1), out); err != nil {
			t.Fatal(err)
		}
		same := 0.0
		for i := range envs {
			if slices.Equal(out.Discrete[2*i:2*i+2], greedy) {
				same++
			}
		}
		near(t, "greedy pairs", same/envs, c.want, 0.04) // over four standard deviations
	}
}

// builtLevels is a learner of Climbing on the pure-Go backend.
func builtLevels(t *testing.T, d DeepBiAC) *levels {
	t.Helper()
	e, err := matrix.Climbing().New()
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := d.Build(train.Setup{Env: e, Key: rng.New(3), Backend: xla.Go, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return l.(*levels)
}

// A target by hand: leaders' values and replies choose the pair whose target values count, unless the task has ended.
func TestDeepBiACPair(t *testing.T) {
	w := matrix.Climbing()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		expect      Expect
		lead, reply []float32
	}{
		{Replies, []float32{0, 0, 1}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}}, // 0, 2 and 5 under the replies 0, 1, 2
		{hopeful, []float32{0, 1, 0}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}}, // 4, 9 and 5 at best
	} {
		l := &levels{method: DeepBiAC{Expect: c.expect}, spec: e.Spec()}
		out := onGo(t, func(_ *model.Scope, in []*Node) []*Node {
			lead, reply := l.pair(in[0], in[1], in[2])
			return []*Node{lead, reply}
		}, []xla.Input{xla.F32(2, 1, 3, 3), xla.F32(1, 3, 3), xla.Bool(1, 2, 3)},
			[]float32{0, 4, 0, 9, 2, 0, 0, 0, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7}, // Q₁, Q₂
			[]float32{-0.1, -3, -4, -2, -0.2, -2, -9, -2, -1}, []bool{true, true, true, true, true, true})
		if lead, reply := out[0].([]float32), out[1].([]float32); !slices.Equal(lead, c.lead) || !slices.Equal(reply, c.reply) {
			t.Errorf("lead %v, replies %v, want %v, %v", lead, reply, c.lead, c.reply)
		}
	}
	l := &levels{method: DeepBiAC{Expect: Replies}, spec: e.Spec()}
	out := onGo(t, func(_ *model.Scope, in []*Node) []*Node {
		lead, _ := l.pair(in[0], in[1], in[2])
		return []*Node{lead}
	}, []xla.Input{xla.F32(2, 1, 3, 3), xla.F32(1, 3, 3), xla.Bool(1, 2, 3)},
		[]float32{0, 4, 0, 9, 2, 0, 0, 0, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7}, []float32{-0.1, -3, -4, -2, -0.2, -2, -9, -2, -1}, []bool{true, true, false, true, true, true})
	if lead := out[0].([]float32); !slices.Equal(lead, []float32{0, 1, 0}) {
		t.Errorf("without choice 2 the leader takes %v, want choice 1", lead)
	}
}

func TestDeepBiACResumes(t *testing.T) {
	for _, backend := range backends(t) {
		t.Run(backend, func(t *testing.T) {
			t.Setenv("GOMLX_BACKEND", backend)
			d := deepest(600)
			d.Hidden, d.Batch, d.Warmup = 6, 8, 40
			traintest.Resume(t, matrix.Coordination(), d, 300)
		})
	}
}

func TestDeepBiACRefuses(t *testing.T) {
	market, err := oligopoly.Market{Firms: 2}.New()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = BiACNets().Build(train.Setup{Env: market})
	wantLine(t, err, "oligopoly/2 has 2 agents, 0 action heads and continuous actions of size 1, want 2, 1 and 0 for biac-deep")
	for _, c := range []struct {
		change func(*DeepBiAC)
		want   string
	}{
		{func(d *DeepBiAC) { d.Tau = 0 }, "τ = 0"},
		{func(d *DeepBiAC) { d.LR = math.NaN() }, "a learning rate of NaN"},
		{func(d *DeepBiAC) { d.Entropy = -1 }, "an entropy weight of -1"},
		{func(d *DeepBiAC) { d.Hidden = 0 }, "layers of 0 and 10 environments"},
		{func(d *DeepBiAC) { d.Batch = 0 }, "batches of 0 steps"},
	} {
		d := BiACNets()
		c.change(&d)
		_, _, err := d.Build(train.Setup{Env: matrix.Climb{}})
		wantLine(t, err, c.want)
	}
}

// The loss of two steps by hand, from what the networks say: the first goes on, to the value of the pair that both levels
// would choose there; the second ends the task, so that only its rewards count.
func TestDeepBiACTargets(t *testing.T) {
	d := deepest(100)
	d.Batch, d.Warmup, d.Gamma = 2, 2, 0.5
	e, err := matrix.Climbing().New()
	if err != nil {
		t.Fatal(err)
	}
	built, _, err := d.Build(train.Setup{Env: e, Key: rng.New(3), Backend: xla.Go})
	if err != nil {
		t.Fatal(err)
	}
	l := built.(*levels)
	look, err := xla.Compile(l.dev, "look", l.store, func(root *model.Scope, in []*Node) []*Node {
		s, state := root.In("online"), Reshape(in[0], 4, -1)
		return []*Node{l.critics(s, state), l.follower(s, state, in[1])}
	}, xla.F32(4, 2, 1), xla.Bool(4, 2, 3))
	obs, avail := []float32{0.3, -1, 0.7, 0, 2, 0.5, -0.4, 1}, make([]bool, 24) // two moments before, two after
	fill(avail, true)
	seen := call(t, look, err, obs, avail)
	q, logp := seen[0].([]float32), seen[1].([]float32)
	at := func(agent, row, a, b int) float64 { return float64(q[((agent*4+row)*3+a)*3+b]) }
	lead, answer := 0, [3]int{}
	for a := range 3 {
		own := logp[(2*3+a)*3 : (2*3+a+1)*3]
		answer[a] = slices.Index(own, slices.Max(own))
		if at(0, 2, a, answer[a]) > at(0, 2, lead, answer[lead]) {
			lead = a
		}
	}
	acts, reward := []int32{1, 2, 0, 1}, []float32{3, -1, 0.5, 4}
	want := 0.0
	for agent := range 2 {
		went := float64(reward[agent]) + 0.5*at(agent, 2, lead, answer[lead]) - at(agent, 0, 1, 2)
		ended := float64(reward[2+agent]) - at(agent, 1, 0, 1)
		want += (went*went + ended*ended) / 2
	}
	m, err := l.Update(&replay.Sample{Time: 1, Batch: 2, Obs: obs, Avail: avail, Actions: acts, Reward: reward, Terminated: []float32{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", m["loss"], want, 1e-4)
}
