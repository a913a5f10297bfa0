package ppo

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

// recurrent are the methods that can remember, with rollouts of 6 steps in chunks of 2: the clock's episodes of 3
// steps begin at the beginning of a rollout and inside a chunk.
func recurrent() []System {
	t := small()
	t.Horizon, t.Chunk = 6, 2
	net, own := MLP{Hidden: 8, Recurrent: true}, MLP{Hidden: 8, Own: true, Recurrent: true}
	shared := MAPPO(net, t)
	shared.Name = "mappo-shared"
	return []System{IPPO(net, t), MAPPO(own, t), shared, HAPPO(net, t), A2PO(net, t)}
}

// Before the first step every ratio is exactly 1, in the first rollout and in one that begins with hidden states of an
// episode that goes on, whatever was learned in between. (Their logarithms may be off by less than a ratio can show: XLA
// may round those of the two programs differently, by 6e-9 in the mean where processors have AVX2 alone.)
func TestRecurrentRatios(t *testing.T) {
	for _, backend := range backends(t) {
		for _, s := range recurrent() {
			s.Turns = Turns{}
			if backend != xla.Go && s.Name != "mappo" {
				continue // compiling takes long
			}
			s.Train.Horizon, s.Train.Minibatches, s.Train.Epochs, s.Train.Clip = 4, 1, 1, 1e-12
			loop, err := train.NewLoop(clock{}, s, train.Setup{Key: rng.New(1), Backend: backend}, 1)
			if err != nil {
				t.Fatal(err)
			}
			l := loop.Learner.(*learner)
			for range 3 * s.Train.Horizon {
				if err := loop.Iterate(); err != nil {
					t.Fatal(err)
				}
				if m := l.metrics; m["clip_fraction"] != 0 || math.Abs(m["approx_kl"]) > 5e-8 {
					t.Fatalf("%s on %s: at the first step %v of the ratios are not 1, KL %v", s.Name, backend, m["clip_fraction"], m["approx_kl"])
				}
			}
			if l.rollouts != 3 || l.metrics["grad_norm"] == 0 {
				t.Errorf("%s: %d rollouts and a gradient of %v: nothing was learned", s.Name, l.rollouts, l.metrics["grad_norm"])
			}
			loop.Close()
		}
	}
}

// With the weights that collected a rollout, the ratios of an agent are exactly 1 when it is looked at again.
func TestRecurrentFollow(t *testing.T) {
	l := build(t, recurrent()[4], clock{}, xla.Go)
	play := newPlayer(t, l, clock{})
	for range 2 {
		sample := play.roll(t)
		if err := l.prepare(sample); err != nil {
			t.Fatal(err)
		}
		fill(l.part.before, 1)
		if _, err := l.follow(sample, 1, nil); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(l.part.before, func(x float32) bool { return x != 1 }) {
			t.Errorf("ratios %v, want 1", l.part.before)
		}
		l.past.end(sample)
	}
}

// Episodes of the clock show the same, so that each moment's value follows from the time since the episode began,
// wherever chunks and rollouts begin. States that acting and learning find are the same.
func TestHiddenStatesFollowEpisodes(t *testing.T) {
	for _, s := range recurrent() {
		s.Train.Horizon = 4
		l := build(t, s, clock{}, xla.Go)
		play := newPlayer(t, l, clock{})
		var values [3][]float32 // by time in the episode: of all agents of environment 0
		for rollout := range 3 {
			sample := play.roll(t)
			if err := l.prepare(sample); err != nil {
				t.Fatal(err)
			}
			for step := range 4 {
				at, now := (4*rollout+step)%3, l.values[step*s.Train.Envs*2:][:2]
				if values[at] == nil {
					values[at] = slices.Clone(now)
				}
				for a := range now {
					near(t, s.Name+": value of a moment", float64(now[a]), float64(values[at][a]), 1e-6)
				}
			}
			actor, _ := s.Memory(2)
			q := l.past
			last := q.after[3*q.envs*q.numbers:]
			for i := range q.envs {
				for k := range actor {
					near(t, s.Name+": hidden state", float64(play.memory.(*memory).states[i*actor+k]), float64(last[i*q.numbers+k]), 1e-6)
				}
			}
			// The value of the moment after the rollout's last step is that of the next time, or nothing if an episode begins.
			if at := (4*rollout + 4) % 3; at > 0 && values[at] != nil {
				near(t, s.Name+": value after the last step", l.data.next[3*s.Train.Envs*2], float64(values[at][0])*0.1, 1e-6) // its deviation is 0.1 at first
			}
			q.end(sample)
		}
		if values[0][0] == values[1][0] || values[1][0] == values[2][0] {
			t.Errorf("%s: values %v do not depend on time", s.Name, values)
		}
		// Without what came before, the last moment of an episode is worth something else.
		sample := newPlayer(t, l, clock{}).roll(t)
		clear(l.past.begins)
		if err := l.prepare(sample); err != nil {
			t.Fatal(err)
		}
		fill(l.past.keep, 0)
		err := l.evaluated(sample, func(from, _ int, out []any) {
			if v := out[1].([]float32)[s.Train.Envs*2]; from == 0 && math.Abs(float64(v-l.values[s.Train.Envs*2])) < 1e-4 {
				t.Errorf("%s: a moment is worth %v with and without memory", s.Name, v)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The gradient through a chunk equals that of the network written out step by step and differentiated by the library,
// with hidden states passed on within a chunk and taken as given at its beginning.
func TestChunkedGradient(t *testing.T) {
	const steps, envs, n = 6, 2, 2
	spec := sizes(n, 3, 4, 3, 0)
	r := rng.New(9).Rand()
	numbers := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	for _, s := range recurrent()[1:3] {
		for _, chunk := range []int{6, 3} {
			s.Train.Horizon, s.Train.Chunk, s.Train.Envs = steps, chunk, envs
			width := s.numbers(n, learning)
			gradient := func(unrolled bool) []float32 {
				_, store := stored(t, s, spec, xla.Go)
				d, err := xla.Open(xla.Go, 1)
				if err != nil {
					t.Fatal(err)
				}
				p, err := xla.Compile(d, "gradient", store, func(root *model.Scope, in []*Node) []*Node {
					f := bptt{s, spec, steps, envs, chunk, in[0], in[1], in[2], in[3]}
					loss := f.loss(root.In("online"), unrolled)
					var values []*Node
					for _, v := range nn.Params(root.At("online"), loss.Graph()) {
						values = append(values, v.NodeValue(loss.Graph()))
					}
					return []*Node{together(Gradient(loss, values...))}
				}, xla.F32(steps*envs, n, 3), xla.F32(steps*envs, 4), xla.F32(envs, width), xla.F32(steps*envs))
				keep := []float32{1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1} // environment 1 begins again at step 1, environment 0 at 4
				r = rng.New(9).Rand()
				return call(t, p, err, numbers(steps*envs*n*3), numbers(steps*envs*4), numbers(envs*width), keep)[0].([]float32)
			}
			got, want := gradient(false), gradient(true)
			most := 0.0
			for i := range want {
				most = max(most, math.Abs(float64(want[i])))
			}
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-5*most {
					t.Fatalf("%s, chunks of %d: number %d of the gradient is %v, want %v", s.Name, chunk, i, got[i], want[i])
				}
			}
			if most < 0.01 {
				t.Errorf("%s: the largest number of the gradient is %v: nothing is compared", s.Name, most)
			}
		}
	}
}

// bptt is a loss of heads and values of a rollout of some steps of some environments.
type bptt struct {
	System
	spec                    env.Spec
	steps, envs, chunk      int
	obs, state, begin, keep *Node
}

func (f bptt) loss(s *model.Scope, unrolled bool) *Node {
	at := func(x *Node, from, to int) *Node { return Slice(x, AxisRange(from*f.envs, to*f.envs)) }
	length := f.chunk
	if unrolled {
		length = 1
	}
	var loss *Node
	h := f.begin
	for t := 0; t < f.steps; t += length {
		past := &Past{rows: length * f.envs, before: h, keep: at(f.keep, t, t+length)}
		if unrolled { // a chunk of one step has no other way to begin anew
			past.before, past.keep = Mul(h, ExpandAxes(past.keep, -1)), nil
		}
		in := Inputs{Obs: at(f.obs, t, t+length), State: at(f.state, t, t+length), Past: past, Spec: f.spec}
		in.Avail = OnesLike(Slice(in.Obs, AxisRange(), AxisRange(), AxisRange(0, 3)))
		heads, values := f.networks(s.ResetVisited(), in)
		part := Add(ReduceAllSum(Sin(heads)), ReduceAllSum(Square(values)))
		if loss == nil {
			loss = part
		} else {
			loss = Add(loss, part)
		}
		h = at(past.append(nil)[0], length-1, length)
		if (t+length)%f.chunk == 0 {
			h = StopGradient(h)
		}
	}
	return loss
}

// A run that was stopped and went on equals one that was never interrupted, bit for bit. Rollouts of 6 steps of 4
// environments end within the games of 4 steps.
func TestResumeOfMemory(t *testing.T) {
	for _, backend := range backends(t) {
		for _, s := range recurrent() {
			if backend != xla.Go && s.Name != "a2po" {
				continue // compiling takes long
			}
			t.Run(s.Name+"/"+backend, func(t *testing.T) {
				t.Setenv("GOMLX_BACKEND", backend)
				s.Train.LR = 0.05 // so that actions depend on what is remembered
				traintest.Resume(t, recaller{Steps: 4}, s, 60)
			})
		}
	}
}

// What a policy carries is saved to the last bit, and taken up by a memory of as many environments alone.
func TestMemorySavesItself(t *testing.T) {
	l := build(t, recurrent()[1], clock{}, xla.Go)
	play := newPlayer(t, l, clock{})
	play.roll(t)
	own, again := play.memory.(*memory), l.Policy().Memory(4).(*memory)
	var saved bytes.Buffer
	if err := own.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := again.Load(bytes.NewReader(saved.Bytes())); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(own.states, again.states) || own.states[5] == 0 || !slices.Equal(own.begun, again.begun) {
		t.Errorf("loaded %v, %v, want %v, %v", again.begun, again.states, own.begun, own.states)
	}
	again.Begin(2)
	if n := own.numbers; slices.ContainsFunc(again.states[2*n:3*n], func(x float32) bool { return x != 0 }) || again.states[3*n] != own.states[3*n] {
		t.Errorf("after environment 2 began another episode %v is remembered", again.states)
	}
	wantLine(t, l.Policy().Memory(5).Load(&saved), "ppo: saved memory of 5 environments × 16 hidden numbers: unexpected EOF")
	err := l.Policy().Act(env.NewBatch(l.spec, 4), policy.None{}, exploring, rng.New(1), env.NewActions(l.spec, 4))
	wantLine(t, err, "ppo: clock: a memory policy.None was given, want that of this policy for 4 environments")
}

// recaller shows a cue of 0 or 1 to each agent at the beginning of an episode, and pays each 1 for the action of that
// number at the last step.
type recaller struct {
	Steps int
	cue   *[2]int32
	t     *int
}

func (r recaller) New() (env.Env, error) { return recaller{r.Steps, new([2]int32), new(int)}, nil }
func (r recaller) Spec() env.Spec {
	return env.Spec{Name: "recall", Agents: 2, Actions: []int{2}, ObsDim: 3, MaxSteps: r.Steps}
}
func (r recaller) Reset(ep env.Episode, out *env.Step) {
	*r.t, *r.cue = 0, [2]int32{ep.Rand.Int32N(2), ep.Rand.Int32N(2)}
	r.show(out)
}
func (r recaller) Step(act env.Actions, out *env.Step) {
	*r.t++
	r.show(out)
	if *r.t < r.Steps {
		return
	}
	out.Terminated, out.Outcome = true, env.Ended
	for a, cue := range r.cue {
		if act.Discrete[a] == cue {
			out.Reward[a] = 1
		}
	}
}
func (r recaller) show(out *env.Step) {
	clear(out.Obs)
	for a, cue := range r.cue {
		if out.Obs[3*a+2] = float32(*r.t) / float32(r.Steps); *r.t == 0 {
			out.Obs[3*a+int(cue)] = 1
		}
	}
	fill(out.Avail, true)
}

// What was seen five steps ago decides at the end. With memory agents are right nearly always, without it every other
// time.
func TestMemoryIsLearned(t *testing.T) {
	c := Released(Spreading())
	c.Envs, c.Horizon, c.Minibatches, c.Clip, c.LR = 32, 12, 1, 0.2, 2e-3
	mean := func(net MLP) float64 {
		start := time.Now()
		l, err := train.NewLoop(recaller{Steps: 6}, MAPPO(net, c), train.Setup{Key: rng.New(1)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for l.Steps() < 50*384 {
			if l.Steps() == 45*384 {
				l.Drain()
			}
			if err := l.Iterate(); err != nil {
				t.Fatal(err)
			}
		}
		m := l.Drain()["train_return"]
		t.Logf("recurrent: %v, %.3f per episode, %.1f s", net.Recurrent, m, time.Since(start).Seconds())
		return m
	}
	if m := mean(MLP{Hidden: 32, Recurrent: true}); m < 0.9 {
		t.Errorf("agents with memory earn %.2f, want at least 0.9 of 1", m)
	}
	if m := mean(MLP{Hidden: 32}); m > 0.6 {
		t.Errorf("agents without memory earn %.2f, want about 0.5: the check would not notice a broken memory", m)
	}
}
