package env

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/rng"
)

// clock is a world of one agent whose episodes last as long as the first draw says. It observes the draw and
// the time, and may take action 1 at even times only.
type clock struct {
	spec  func(s *Spec)                // changes the spec
	after func(e *clockEnv, out *Step) // runs at the end of Reset and Step
}

type clockEnv struct {
	clock
	draw uint64
	t    int
}

const clockSteps = 5

// lasts is the length of the episode that begins with draw.
func lasts(draw uint64) int { return 1 + int(draw%clockSteps) }

func (c clock) New() (Env, error) { return &clockEnv{clock: c}, nil }

func (e *clockEnv) Spec() Spec {
	s := Spec{Name: "test/clock", Agents: 1, Actions: []int{2}, ObsDim: 2, MaxSteps: clockSteps, Metrics: []string{"time"}}
	if e.clock.spec != nil {
		e.clock.spec(&s)
	}
	return s
}

func (c clock) mustSpec() Spec { return (&clockEnv{clock: c}).Spec() }

func (e *clockEnv) Reset(ep Episode, out *Step) {
	e.draw, e.t = ep.Rand.Uint64(), 0
	e.show(out)
}

func (e *clockEnv) Step(act Actions, out *Step) {
	e.t++
	out.Reward[0] = float32(act.Discrete[0])
	if e.t == lasts(e.draw) {
		out.Terminated, out.Outcome = true, Draw
	}
	e.show(out)
}

func (e *clockEnv) show(out *Step) {
	out.Obs[0], out.Obs[1] = float32(e.draw%1000), float32(e.t)
	out.Avail[0], out.Avail[1] = true, e.t%2 == 0
	out.Metrics[0] = float32(e.t)
	if e.clock.after != nil {
		e.clock.after(e, out)
	}
}

func testKey(e int64) rng.Key { return rng.New(1).Split("env", e) }

func drawOf(e int64) uint64 { return testKey(e).Rand().Uint64() }

func newVec(t *testing.T, w World, n int) *Vec {
	t.Helper()
	v, err := NewVec(w, n, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func before(t *testing.T, v *Vec) *Batch {
	t.Helper()
	b, err := v.Before()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func step(t *testing.T, v *Vec, act ...int32) *Batch {
	t.Helper()
	if len(act) == 0 {
		act = make([]int32, v.N())
	}
	b, err := v.Step(Actions{Discrete: act})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVecNumbersEpisodes plays what Vec must do by hand: episodes are numbered in order of beginning and by
// slot, an episode's last moment is in after, the first of the next in the following before.
func TestVecNumbersEpisodes(t *testing.T) {
	v := newVec(t, clock{}, 3)
	next, plays, time := int64(3), []int64{0, 1, 2}, []int{0, 0, 0}
	for range 40 {
		b := before(t, v)
		for i, e := range plays {
			if v.Episode(i) != e || b.At(i).Obs[0] != float32(drawOf(e)%1000) || b.At(i).Obs[1] != float32(time[i]) || b.At(i).Over() {
				t.Fatalf("slot %d plays episode %d and shows %v, want episode %d, time %d", i, v.Episode(i), b.At(i).Obs, e, time[i])
			}
		}
		if v.Begun() != next || v.Active() != 3 {
			t.Fatalf("%d begun, %d active, want %d and 3", v.Begun(), v.Active(), next)
		}
		shown := slices.Clone(b.Obs)
		a := step(t, v)
		if !slices.Equal(b.Obs, shown) {
			t.Fatal("Step changes the moment before it")
		}
		for i, e := range plays {
			time[i]++
			over := time[i] == lasts(drawOf(e))
			if a.At(i).Over() != over || a.At(i).Obs[1] != float32(time[i]) || v.Episode(i) != e {
				t.Fatalf("slot %d after %d steps of episode %d: over %v, observes %v", i, time[i], v.Episode(i), a.At(i).Over(), a.At(i).Obs)
			}
			if over {
				plays[i], time[i] = next, 0
				next++
			}
		}
	}
}

func TestVecLimit(t *testing.T) {
	v := newVec(t, clock{}, 3)
	v.Limit = 5
	ended := 0
	for range 30 {
		b := before(t, v)
		for i := range 3 {
			s := b.At(i)
			if v.Episode(i) >= 0 {
				continue
			}
			if s.Over() || s.Obs[0] != 0 || s.Obs[1] != 0 || s.Metrics[0] != 0 || s.Reward[0] != 0 || !s.Avail[0] || s.Avail[1] {
				t.Fatalf("idle slot %d shows %+v, want zeros and one choice", i, *s)
			}
		}
		a := step(t, v)
		for i := range 3 {
			if a.At(i).Over() {
				ended++
			}
		}
	}
	if v.Begun() != 5 || ended != 5 || v.Active() != 0 {
		t.Errorf("%d begun, %d ended, %d active, want 5, 5, 0", v.Begun(), ended, v.Active())
	}
	v = newVec(t, clock{}, 3)
	v.Limit = 2
	before(t, v)
	if v.Active() != 2 || v.Episode(2) != -1 {
		t.Errorf("%d active and slot 2 plays %d, want 2 and −1 with two episodes for three slots", v.Active(), v.Episode(2))
	}
	step(t, v, 1, 1, 99) // what an idle slot does is not looked at
}

func TestVecErrors(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := NewVec(clock{}, n, testKey); err == nil || err.Error() != fmt.Sprintf("env: %d environments, want at least 1", n) {
			t.Errorf("%d environments give %v", n, err)
		}
	}
	v := newVec(t, clock{}, 2)
	for _, c := range []struct {
		act  []int32
		want string
	}{
		{[]int32{0, 0}, "env: test/clock: Step before Before"},
		{[]int32{0}, "env: test/clock: 1 actions, want 2 (environments × agents × heads)"},
		{[]int32{0, 2}, "env: test/clock: action 2 of agent 0 in environment 1 is not available (head 0 has 2 choices)"},
		{[]int32{-1, 0}, "env: test/clock: action -1 of agent 0 in environment 0 is not available (head 0 has 2 choices)"},
	} {
		if _, err := v.Step(Actions{Discrete: c.act}); err == nil || err.Error() != c.want {
			t.Errorf("%v gives %v, want %s", c.act, err, c.want)
		}
		before(t, v)
	}
	v.now.At(1).Avail[1] = false
	if _, err := v.Step(Actions{Discrete: []int32{1, 1}}); err == nil || !strings.Contains(err.Error(), "in environment 1 is not available") {
		t.Errorf("an action that is in range and not available gives %v", err)
	}
	if a := step(t, v); a.Metrics[0] != 1 || a.Metrics[1] != 1 {
		t.Errorf("times are %v after refused actions and one step, want 1 and 1", a.Metrics)
	}
}

// heads is a clock of two agents with two heads of different sizes; the second agent's second head has only
// its last choice.
func heads() clock {
	return clock{
		spec: func(s *Spec) { s.Agents, s.Actions, s.ObsDim = 2, []int{2, 3}, 1 },
		after: func(_ *clockEnv, out *Step) {
			copy(out.Avail, []bool{true, true, true, true, true, true, true, false, false, true})
		},
	}
}

func TestVecSeveralHeads(t *testing.T) {
	v := newVec(t, heads(), 1)
	before(t, v)
	_, err := v.Step(Actions{Discrete: []int32{1, 2, 1, 1}})
	if err == nil || err.Error() != "env: test/clock: action 1 of agent 1 in environment 0 is not available (head 1 has 3 choices)" {
		t.Errorf("the wrong choice of the second head gives %v", err)
	}
	step(t, v, 1, 2, 1, 2)
}

func TestVecNamesWhoPanics(t *testing.T) {
	longest := int64(0)
	for lasts(drawOf(longest)) < clockSteps {
		longest++
	}
	w := clock{after: func(e *clockEnv, _ *Step) {
		if e.draw == drawOf(longest) && e.t == clockSteps-1 {
			panic("lost its way")
		}
	}}
	v := newVec(t, w, int(longest)+1)
	var err error
	for range clockSteps {
		if _, err = v.Before(); err == nil {
			_, err = v.Step(Actions{Discrete: make([]int32, v.N())})
		}
		if err != nil {
			break
		}
	}
	if want := fmt.Sprintf("env: test/clock failed in environment %d: lost its way", longest); err == nil || err.Error() != want {
		t.Errorf("a world that panics in Step gives %v, want %s", err, want)
	}
	first := drawOf(1)
	v = newVec(t, clock{after: func(e *clockEnv, _ *Step) {
		if e.draw == first || e.draw == drawOf(2) {
			panic("no start")
		}
	}}, 4)
	if _, err := v.Before(); err == nil || err.Error() != "env: test/clock failed in environment 1: no start" {
		t.Errorf("a world that panics in Reset gives %v", err)
	}
}

func TestVecRefusesWrongSizes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *Spec)
		want   string
	}{
		"too many observations": {func(s *Spec) { s.ObsDim = 3 }, "leaves observation 2 of agent 0 unwritten"},
		"too few observations":  {func(s *Spec) { s.ObsDim = 1 }, "does not keep to its spec (1 agents, 2 choices, observations of 1)"},
		"too few choices":       {func(s *Spec) { s.Actions = []int{1} }, "does not keep to its spec"},
		"too many metrics":      {func(s *Spec) { s.Metrics = append(s.Metrics, "more") }, `leaves metric "more" unwritten`},
		"an agent too many":     {func(s *Spec) { s.Agents = 2 }, "agent 1"},
	} {
		_, err := NewVec(clock{spec: c.change}, 2, testKey)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, c.want)
		}
	}
}

func TestVecSaveAndLoad(t *testing.T) {
	for steps := range 12 { // also before the first step, at ends of episodes, and with idle slots
		a := newVec(t, clock{}, 3)
		a.Limit = 6
		if steps > 0 {
			before(t, a)
		}
		for k := range steps {
			if k > 0 {
				before(t, a)
			}
			step(t, a)
		}
		var saved, again bytes.Buffer
		if err := a.Save(&saved); err != nil {
			t.Fatal(err)
		}
		text := saved.String()
		b := newVec(t, clock{}, 3)
		b.Limit = 6
		if err := b.Load(&saved); err != nil {
			t.Fatal(err)
		}
		if err := b.Save(&again); err != nil || again.String() != text {
			t.Errorf("after %d steps: saved %s, loaded and saved %s (%v)", steps, text, again.String(), err)
		}
		for k := range 10 {
			x, y := before(t, a), before(t, b)
			for i := range 3 {
				if a.Episode(i) != b.Episode(i) || fmt.Sprint(*x.At(i)) != fmt.Sprint(*y.At(i)) {
					t.Fatalf("%d steps after loading at step %d, slot %d shows %v, want %v", k, steps, i, *y.At(i), *x.At(i))
				}
			}
			step(t, a)
			step(t, b)
		}
	}
}

func TestVecRefusesWhatItCannotLoad(t *testing.T) {
	for text, want := range map[string]string{
		`torn`:                      "env: saved environments of test/clock",
		`{"Slots":[{"Episode":0}]}`: "env: test/clock: 1 environments were saved, want 2",
		`{"Started":true,"Slots":[{"Episode":0},{"Episode":1,"Actions":[7,7,7]}]}`: "env: test/clock: 3 saved actions in environment 1, want a multiple of 4",
	} {
		v := newVec(t, heads(), 2)
		if err := v.Load(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", text, err, want)
		}
	}
}

func TestVecDoesNotAllocate(t *testing.T) {
	v := newVec(t, clock{}, 16)
	act := Actions{Discrete: make([]int32, 16)}
	both := func() {
		if _, err := v.Before(); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Step(act); err != nil {
			t.Fatal(err)
		}
	}
	both()
	if n := testing.AllocsPerRun(200, both); n != 0 {
		t.Errorf("Before and Step allocate %v times, want 0", n)
	}
}

// painter is a clock that observes an image, the time as brightness.
type painter struct{ clock }

type painterEnv struct {
	clockEnv
	drawn *int
}

var drawings int

func (p painter) New() (Env, error) {
	return &painterEnv{clockEnv{clock: p.clock}, &drawings}, nil
}

func (e *painterEnv) Observe(snapshot []byte, obs []float32) {
	*e.drawn++
	obs[0], obs[1] = float32(snapshot[0])/clockSteps, float32(snapshot[0])
}

func TestBatchObservesOncePerMoment(t *testing.T) {
	v := newVec(t, painter{clock{
		spec:  func(s *Spec) { s.Snapshot, s.Planes = 1, [][3]int{{1, 1, 1}} },
		after: func(e *clockEnv, out *Step) { out.Snapshot[0] = uint8(e.t) },
	}}, 2)
	drawings = 0
	want := 0
	for range 10 {
		begun := v.Begun()
		b := before(t, v)
		if v.Begun() > begun { // otherwise this is the moment that the last step led to
			want += 2
		}
		b.Observe()
		b.Observe()
		a := step(t, v)
		a.Observe()
		want += 2
		for i := range 2 {
			if a.At(i).Obs[0] != a.At(i).Metrics[0]/clockSteps {
				t.Errorf("slot %d at time %v shows %v", i, a.At(i).Metrics[0], a.At(i).Obs[0])
			}
		}
		if drawings != want {
			t.Fatalf("%d drawings, want %d", drawings, want)
		}
	}
}
