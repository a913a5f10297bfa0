package env

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/rng"
)

// drift is a clock of two agents whose continuous actions, of two numbers each, move a place that is observed;
// with heads, each agent's discrete action is added, too.
func drift(heads ...int) World { return drifting{heads} }

type drifting struct{ heads []int }

type driftEnv struct {
	spec  Spec
	draw  uint64
	t     int
	place [4]float32
}

func (d drifting) New() (Env, error) {
	return &driftEnv{spec: Spec{Name: "test/drift", Agents: 2, Actions: d.heads, ActDim: 2, ObsDim: 2, MaxSteps: clockSteps}}, nil
}

func (e *driftEnv) Spec() Spec { return e.spec }

func (e *driftEnv) Reset(ep Episode, out *Step) {
	e.draw, e.t, e.place = ep.Rand.Uint64(), 0, [4]float32{}
	e.show(out)
}

func (e *driftEnv) Step(act Actions, out *Step) {
	e.t++
	for i, x := range act.Continuous {
		e.place[i] += Clip(x)
	}
	for i, a := range act.Discrete {
		e.place[i/len(e.spec.Actions)*2] += float32(a)
	}
	if e.t == lasts(e.draw) {
		out.Truncated, out.Outcome = true, TimeOut
	}
	e.show(out)
}

func (e *driftEnv) show(out *Step) {
	copy(out.Obs, e.place[:])
	for i := range out.Avail {
		out.Avail[i] = true
	}
}

// longKey begins an episode that lasts clockSteps.
func longKey(e int64) rng.Key {
	for n := int64(0); ; n++ {
		if k := testKey(1000*e + n); lasts(k.Rand().Uint64()) == clockSteps {
			return k
		}
	}
}

func longVec(t *testing.T, w World, n int) *Vec {
	t.Helper()
	v, err := NewVec(w, n, longKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// TestVecPlaysContinuousActions by hand: two environments, two agents, two numbers each, one of them to be clipped.
func TestVecPlaysContinuousActions(t *testing.T) {
	for _, c := range []struct {
		world World
		act   Actions
		want  []float32 // places after two steps
	}{
		{drift(), Actions{nil, []float32{0.5, -0.25, 3, -4 /**/, 0, 0.125, -1, 1}}, []float32{1, -0.5, 2, -2 /**/, 0, 0.25, -2, 2}},
		{drift(3), Actions{[]int32{2, 0 /**/, 1, 1}, []float32{0.5, -0.25, 3, -4 /**/, 0, 0.125, -1, 1}}, []float32{5, -0.5, 2, -2 /**/, 2, 0.25, 0, 2}},
	} {
		v := longVec(t, c.world, 2)
		for range 2 {
			before(t, v)
			if _, err := v.Step(c.act); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(v.now.Obs, c.want) {
			t.Errorf("%v leads to %v, want %v", c.act, v.now.Obs, c.want)
		}
		once := c.act.At(v.Spec(), 1)
		if got := v.PlayedContinuous(1); !slices.Equal(got, append(slices.Clone(once.Continuous), once.Continuous...)) {
			t.Errorf("played %v, want %v twice", got, once.Continuous)
		}
		if got := v.Played(1); !slices.Equal(got, append(slices.Clone(once.Discrete), once.Discrete...)) {
			t.Errorf("played %v, want %v twice", got, once.Discrete)
		}
		if n := len(once.Discrete); n != 0 && n != 2 || len(once.Continuous) != 4 {
			t.Errorf("actions of one environment are %v", once)
		}
	}
}

func TestVecRefusesContinuousActions(t *testing.T) {
	v := longVec(t, drift(), 2)
	before(t, v)
	for _, c := range []struct {
		at   int
		x    float64
		want string
	}{
		{7, math.NaN(), "env: test/drift: continuous action 1 of agent 1 in environment 1 is NaN, want a finite number"},
		{2, math.Inf(1), "env: test/drift: continuous action 0 of agent 1 in environment 0 is +Inf, want a finite number"},
		{1, math.Inf(-1), "env: test/drift: continuous action 1 of agent 0 in environment 0 is -Inf, want a finite number"},
	} {
		act := NewActions(v.Spec(), 2)
		act.Continuous[c.at] = float32(c.x)
		if _, err := v.Step(act); err == nil || err.Error() != c.want {
			t.Errorf("%v gives %v, want %s", act.Continuous, err, c.want)
		}
	}
	for _, c := range []struct {
		world World
		act   Actions
		want  string
	}{
		{drift(), Actions{}, "env: test/drift: 0 continuous actions, want 8 (environments × agents × numbers)"},
		{drift(), Actions{make([]int32, 4), make([]float32, 8)}, "env: test/drift: 4 actions, want 0 (environments × agents × heads)"},
		{drift(2), Actions{nil, make([]float32, 8)}, "env: test/drift: 0 actions, want 4 (environments × agents × heads)"},
		{clock{}, Actions{make([]int32, 2), make([]float32, 2)}, "env: test/clock: 2 continuous actions, want 0 (environments × agents × numbers)"},
	} {
		v := longVec(t, c.world, 2)
		before(t, v)
		if _, err := v.Step(c.act); err == nil || err.Error() != c.want {
			t.Errorf("%v gives %v, want %s", c.act, err, c.want)
		}
	}
	v = longVec(t, drift(), 2)
	v.Limit = 1
	before(t, v)
	idle := NewActions(v.Spec(), 2)
	idle.Continuous[5] = float32(math.NaN())
	if _, err := v.Step(idle); err != nil { // what an idle slot does is not looked at
		t.Error(err)
	}
}

// TestVecSavesContinuousActions: also numbers that decimals would spoil, and what ends in the middle.
func TestVecSavesContinuousActions(t *testing.T) {
	for _, w := range []World{drift(), drift(2, 2)} {
		for steps := range clockSteps {
			a, b := longVec(t, w, 2), longVec(t, w, 2)
			act := NewActions(a.Spec(), 2)
			for k := range steps {
				before(t, a)
				for i := range act.Continuous {
					act.Continuous[i] = 1 / float32(3+i+k) * float32(1-2*(i%2))
				}
				for i := range act.Discrete {
					act.Discrete[i] = int32(i+k) % 2
				}
				if _, err := a.Step(act); err != nil {
					t.Fatal(err)
				}
			}
			var saved, again bytes.Buffer
			if err := a.Save(&saved); err != nil {
				t.Fatal(err)
			}
			text := saved.String()
			if err := b.Load(&saved); err != nil {
				t.Fatal(err)
			}
			if err := b.Save(&again); err != nil || again.String() != text || !slices.Equal(a.now.Obs, b.now.Obs) {
				t.Errorf("after %d steps: saved %s, loaded and saved %s (%v); places %v and %v", steps, text, again.String(), err, a.now.Obs, b.now.Obs)
			}
		}
	}
	for text, want := range map[string]string{
		`{"Episode":0,"Actions":[1,1]}`:                               "2 saved actions in environment 0, want a multiple of 0",
		`{"Episode":0,"Continuous":"AAAA"}`:                           "3 bytes of saved continuous actions in environment 0, want a multiple of 16",
		`{"Episode":0,"Continuous":"AAAAAAAAAAAAAAAAAAAAAA==","x":1}`: "",
	} {
		v := longVec(t, drift(), 1)
		err := v.Load(strings.NewReader(`{"Started":true,"Slots":[` + text + `]}`))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
	v := longVec(t, drift(2), 1)
	text, _ := json.Marshal(vecState{Started: true, Slots: []slotState{{0, []int32{1, 1, 0, 0}, make([]byte, 16)}}})
	if err := v.Load(bytes.NewReader(text)); err == nil || !strings.Contains(err.Error(), "saved actions of 2 steps and continuous ones of 1 in environment 0, want as many") {
		t.Errorf("torn actions give %v", err)
	}
}

func TestPlayContinuous(t *testing.T) {
	continuous := [][]float32{{0.5, 0, 0, 0}, {0.25, 0, 0, -9}}
	for _, c := range []struct {
		world      World
		discrete   [][]int32
		continuous [][]float32
		want       string // the places at the end, or an error
	}{
		{drift(), nil, continuous, "[0.75 0 0 -1]"},
		{drift(2), [][]int32{{1, 0}, {1, 1}}, continuous, "[2.75 0 1 -1]"},
		{drift(2), [][]int32{{1, 0}}, continuous, "env: test/drift: discrete actions of 1 steps and continuous ones of 2, want as many"},
		{drift(2), nil, continuous, "env: test/drift: 0 actions, want 2 (environments × agents × heads)"},
	} {
		got := ""
		err := Play(c.world, longKey(0), c.discrete, c.continuous, func(_ int, _ Env, s *Step) error {
			got = fmt.Sprint(s.Obs)
			return nil
		})
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v, %v give %s, want %s", c.discrete, c.continuous, got, c.want)
		}
	}
}

func TestContinuousActionsDoNotAllocate(t *testing.T) {
	v := newVec(t, drift(2), 4)
	act := NewActions(v.Spec(), 4)
	both := func() {
		before(t, v)
		if _, err := v.Step(act); err != nil {
			t.Fatal(err)
		}
	}
	both()
	if n := testing.AllocsPerRun(100, both); n != 0 {
		t.Errorf("Before and Step allocate %v times, want 0", n)
	}
}

// TestRandomContinuous: mean 0 and variance 1/3 of 10,000 draws, within five standard deviations.
func TestRandomContinuous(t *testing.T) {
	x, sum, squares := make([]float32, 10_000), 0.0, 0.0
	RandomContinuous(rng.New(1).Rand(), x)
	for _, v := range x {
		if v < -1 || v >= 1 {
			t.Fatalf("drew %v, want −1 to 1", v)
		}
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	if mean, square := sum/1e4, squares/1e4; math.Abs(mean) > 0.029 || math.Abs(square-1.0/3) > 0.015 {
		t.Errorf("mean %v and mean square %v, want 0 and 1/3", mean, square)
	}
}
