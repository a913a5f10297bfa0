package eval_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// walk is a world whose episodes have a length of 1 to 9 steps and a number of their own, both from their key.
// Agent a is paid its action times a + 1; observations are the steps so far. The longest run out of time.
type walk struct{}

type walker struct{ length, number, t int }

func (walk) New() (env.Env, error) { return new(walker), nil }

var spec = env.Spec{Name: "walk", Agents: 2, Actions: []int{2}, ObsDim: 1, MaxSteps: 9, Metrics: []string{"steps", "number"}}

func (*walker) Spec() env.Spec { return spec }

func (w *walker) Reset(ep env.Episode, out *env.Step) {
	*w = episode(ep.Rand)
	w.show(out)
}

func episode(r *rand.Rand) walker { return walker{length: 1 + r.IntN(9), number: r.IntN(1 << 20)} }

func (w *walker) Step(act env.Actions, out *env.Step) {
	w.t++
	w.show(out)
	out.Reward[0], out.Reward[1] = float32(act.Discrete[0]), 2*float32(act.Discrete[1])
	if w.t == w.length {
		out.Outcome = w.outcome()
		out.Truncated = out.Outcome == env.TimeOut
		out.Terminated = !out.Truncated
	}
}

func (w *walker) outcome() env.Outcome {
	if w.length == 9 {
		return env.TimeOut
	}
	return []env.Outcome{env.Win, env.Loss, env.Draw}[w.number%3]
}

func (w *walker) show(out *env.Step) {
	out.Obs[0], out.Obs[1] = float32(w.t), float32(w.t)
	out.Metrics[0], out.Metrics[1] = float32(w.t), float32(w.number)
	for i := range out.Avail {
		out.Avail[i] = true
	}
}

// always lets every agent choose a.
func always(a int32) policy.Policy {
	return policy.Script(spec, func(_ *env.Step, _ *rand.Rand, act env.Actions) {
		act.Discrete[0], act.Discrete[1] = a, a
	})
}

func play(t *testing.T, p policy.Policy, plan eval.Plan) run.Evaluation {
	t.Helper()
	got, err := eval.Run(context.Background(), walk{}, p, rng.New(1), plan)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRun plays with fewer, as many and more environments than episodes: each episode is counted once, whatever
// its length, with what the documented stream says of it.
func TestRun(t *testing.T) {
	for _, c := range []struct{ episodes, envs int }{{1, 1}, {1, 5}, {7, 7}, {40, 1}, {40, 6}, {101, 16}} {
		want := run.Evaluation{
			Stream: "eval", Cell: "shifted", World: "walk", Episodes: c.episodes,
			Outcomes: map[string]int{}, Metrics: map[string][]float64{},
		}
		for e := range c.episodes {
			w := episode(rng.New(1).Split("eval", 3, int64(e)).Rand())
			want.Outcomes[w.outcome().String()]++
			want.Lengths = append(want.Lengths, w.length)
			want.Returns = append(want.Returns, 1.5*float64(w.length)) // the mean of 1 and 2 a step
			want.Metrics["steps"] = append(want.Metrics["steps"], float64(w.length))
			want.Metrics["number"] = append(want.Metrics["number"], float64(w.number))
		}
		got := play(t, always(1), eval.Plan{Stream: "eval", Cell: "shifted", Number: 3, Episodes: c.episodes, Envs: c.envs, Workers: 1})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d episodes in %d environments:\n%+v, want\n%+v", c.episodes, c.envs, got, want)
		}
		if c.episodes == 101 && len(want.Outcomes) != 4 {
			t.Errorf("outcomes %v, want all four", want.Outcomes)
		}
	}
}

// TestSameEpisodes: every policy meets the same ones; other streams, cells and keys have others.
func TestSameEpisodes(t *testing.T) {
	plan := eval.Plan{Stream: "eval", Episodes: 30, Envs: 4, Workers: 1}
	one := play(t, always(0), plan)
	two := play(t, policy.Random(spec), plan)
	if !reflect.DeepEqual(one.Metrics, two.Metrics) || !reflect.DeepEqual(one.Lengths, two.Lengths) {
		t.Errorf("two policies meet %v and %v", one.Metrics, two.Metrics)
	}
	if reflect.DeepEqual(one.Returns, two.Returns) {
		t.Errorf("two policies have the same returns %v", one.Returns)
	}
	final, cell := plan, plan
	final.Stream, cell.Number = "final", 1
	other, err := eval.Run(context.Background(), walk{}, always(0), rng.New(2), plan)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]run.Evaluation{"final": play(t, always(0), final), "cell": play(t, always(0), cell), "key": other} {
		met := map[float64]bool{}
		for _, n := range one.Metrics["number"] {
			met[n] = true
		}
		for e, n := range r.Metrics["number"] {
			if met[n] {
				t.Errorf("episode %d of another %s is one of the first", e, name)
			}
		}
	}
}

// TestWorkers: results, random actions included, do not depend on how many goroutines step.
func TestWorkers(t *testing.T) {
	plan := eval.Plan{Stream: "eval", Episodes: 50, Envs: 8}
	want := play(t, policy.Random(spec), plan)
	for _, workers := range []int{1, 2, 5} {
		plan.Workers = workers
		if got := play(t, policy.Random(spec), plan); !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers find %+v, want %+v", workers, got, want)
		}
	}
}

// recaller checks that its memory of an environment begins with each episode.
type recaller struct{ began *int }

type steps struct {
	policy.None
	n     []int
	began *int
}

func (s steps) Begin(i int) { s.n[i] = 0; *s.began++ }

func (r recaller) Memory(n int) policy.Memory { return steps{n: make([]int, n), began: r.began} }

func (r recaller) Act(b *env.Batch, m policy.Memory, mode policy.Mode, _ rng.Key, out env.Actions) error {
	if mode != (policy.Mode{Epsilon: 0.25}) {
		return fmt.Errorf("mode %+v", mode)
	}
	clear(out.Discrete)
	for i, n := range m.(steps).n {
		if now := int(b.At(i).Obs[0]); now != 0 && now != n { // 0: idle, or the first step
			return fmt.Errorf("environment %d is at step %d and its memory at %d", i, now, n)
		}
		if b.At(i).Obs[0] == 0 && b.At(i).Avail[1] && n != 0 {
			return fmt.Errorf("environment %d has begun and its memory is at step %d", i, n)
		}
		m.(steps).n[i]++
	}
	return nil
}

func TestMemoryBegins(t *testing.T) {
	began := 0
	play(t, recaller{&began}, eval.Plan{Stream: "eval", Episodes: 23, Envs: 4, Mode: policy.Mode{Epsilon: 0.25}})
	if began != 23 {
		t.Errorf("memory began %d times in 23 episodes", began)
	}
}

type failing struct{ policy.Policy }

var errActing = errors.New("no action")

func (failing) Act(*env.Batch, policy.Memory, policy.Mode, rng.Key, env.Actions) error {
	return errActing
}

type noWorld struct{}

func (noWorld) New() (env.Env, error) { return nil, errors.New("walk: no such map") }

func TestRunRefuses(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	ctx := context.Background()
	for _, c := range []struct {
		ctx            context.Context
		w              env.World
		p              policy.Policy
		episodes, envs int
		want           string
	}{
		{ctx, walk{}, always(0), 0, 1, "eval: 0 episodes, want at least 1"},
		{ctx, walk{}, always(0), -2, 1, "eval: -2 episodes, want at least 1"},
		{ctx, walk{}, always(0), 3, 0, "env: 0 environments, want at least 1"},
		{ctx, noWorld{}, always(0), 3, 1, "walk: no such map"},
		{ctx, walk{}, always(7), 3, 1, "env: walk: action 7 of agent 0 in environment 0 is not available (head 0 has 2 choices)"},
		{ctx, walk{}, failing{always(0)}, 3, 1, errActing.Error()},
		{cancelled, walk{}, always(0), 3, 1, context.Canceled.Error()},
	} {
		_, err := eval.Run(c.ctx, c.w, c.p, rng.New(1), eval.Plan{Stream: "eval", Episodes: c.episodes, Envs: c.envs})
		if err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := eval.Run(cancelled, walk{}, always(0), rng.New(1), eval.Plan{Stream: "eval", Episodes: 1, Envs: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want the context's error", err)
	}
}

// TestCancelledMidway: an evaluation of many steps ends soon after its context.
func TestCancelledMidway(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	acts := 0
	p := policy.Script(spec, func(_ *env.Step, _ *rand.Rand, act env.Actions) {
		clear(act.Discrete)
		if acts++; acts == 5 {
			cancel()
		}
	})
	_, err := eval.Run(ctx, walk{}, p, rng.New(1), eval.Plan{Stream: "eval", Episodes: 1_000_000, Envs: 1})
	if !errors.Is(err, context.Canceled) || acts != 5 {
		t.Errorf("after %d steps: %v, want the context's error after 5", acts, err)
	}
}

// TestRecorded: the world plays a recorded episode again, with the same length, return and outcome.
func TestRecorded(t *testing.T) {
	plan := eval.Plan{Stream: "final", Cell: "shifted", Number: 2, Episodes: 9, Envs: 4, Workers: 1, Record: 5}
	got := play(t, policy.Random(spec), plan)
	if len(got.Recorded) != 5 {
		t.Fatalf("%d episodes recorded, want 5", len(got.Recorded))
	}
	for i, e := range got.Recorded {
		sum, length, last := 0.0, 0, env.Running
		err := env.Play(walk{}, e.Key, e.Actions, e.Continuous, func(t int, _ env.Env, s *env.Step) error {
			length, last = t, s.Outcome
			for _, r := range s.Reward {
				sum += float64(r) / float64(spec.Agents)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if e.Number != i || e.Stream != "final" || e.Cell != "shifted" || e.World != "walk" || length != got.Lengths[i] || sum != e.Return || sum != got.Returns[i] || last.String() != e.Outcome {
			t.Errorf("%+v: played again it takes %d steps, returns %v and ends with %v; counted were %d and %v", e, length, sum, last, got.Lengths[i], got.Returns[i])
		}
	}
	if plan.Record = 20; len(play(t, policy.Random(spec), plan).Recorded) != 9 {
		t.Error("more recordings than episodes")
	}
}

// sail is a walk in which agents also say how far they go, which is what they are paid.
type sail struct{}

type sailor struct{ walker }

func (sail) New() (env.Env, error) { return new(sailor), nil }

func (*sailor) Spec() env.Spec {
	s := spec
	s.Name, s.Actions, s.ActDim = "sail", nil, 2
	return s
}

func (w *sailor) Step(act env.Actions, out *env.Step) {
	w.walker.Step(env.Actions{Discrete: make([]int32, 2)}, out)
	for i, x := range act.Continuous {
		out.Reward[i/2] += env.Clip(x)
	}
}

// TestRecordedContinuous: so are recorded episodes of continuous actions.
func TestRecordedContinuous(t *testing.T) {
	w := sail{}
	p := policy.Random(new(sailor).Spec())
	got, err := eval.Run(context.Background(), w, p, rng.New(1), eval.Plan{Stream: "eval", Episodes: 6, Envs: 2, Record: 6})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got.Recorded {
		sum := 0.0
		err := env.Play(w, e.Key, e.Actions, e.Continuous, func(_ int, _ env.Env, s *env.Step) error {
			for _, r := range s.Reward {
				sum += float64(r) / 2
			}
			return nil
		})
		if err != nil || sum != e.Return || sum != got.Returns[i] || sum == 0 || e.Actions != nil || e.Length() != got.Lengths[i] {
			t.Errorf("%+v: played again it returns %v (%v), counted were %v in %d steps", e, sum, err, got.Returns[i], got.Lengths[i])
		}
	}
}

// insights is a policy that claims something about agents; what it says of a step is its number.
type insights struct {
	policy.Policy
	groups, scores int
}

type claims struct {
	policy.None
	of *insights
}

func (p *insights) Memory(int) policy.Memory { return claims{of: p} }

func (c claims) Insight(int) policy.Insight {
	return policy.Insight{Groups: make([]int32, c.of.groups), Scores: make([]float32, c.of.scores)}
}

// TestInsight: recorded episodes hold what a policy thought at each step, of which it may have either or none.
func TestInsight(t *testing.T) {
	for _, c := range []struct{ groups, scores int }{{2, 4}, {2, 0}, {0, 4}, {0, 0}} {
		got := play(t, &insights{always(1), c.groups, c.scores}, eval.Plan{Stream: "eval", Episodes: 9, Envs: 4, Record: 5})
		for i, e := range got.Recorded {
			if want := min(c.groups, 1) * e.Length(); len(e.Groups) != want || want > 0 && len(e.Groups[0]) != 2 {
				t.Errorf("episode %d of %d steps: groups %v, want %d steps of 2", i, e.Length(), e.Groups, want)
			}
			if want := min(c.scores, 1) * e.Length(); len(e.Scores) != want || want > 0 && len(e.Scores[0]) != 4 {
				t.Errorf("episode %d of %d steps: scores %v, want %d steps of 4", i, e.Length(), e.Scores, want)
			}
		}
	}
	for _, c := range []struct{ groups, scores int }{{3, 4}, {2, 3}} {
		_, err := eval.Run(context.Background(), walk{}, &insights{always(1), c.groups, c.scores}, rng.New(1), eval.Plan{Stream: "eval", Episodes: 2, Envs: 1, Record: 1})
		want := fmt.Sprintf("eval: the policy's insight on walk is %d groups and %d scores, want 2 (or none) and 4 (or none)", c.groups, c.scores)
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
