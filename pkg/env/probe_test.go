package env

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/rng"
)

type wrong struct{}

func (wrong) New() (Env, error) { return nil, errors.New("test: Size is 0, want at least 1") }

func TestProbe(t *testing.T) {
	change := func(f func(s *Spec)) World { return clock{spec: f} }
	charge := func(f func(out *Step)) World {
		return clock{spec: func(s *Spec) { s.Costs = 2 }, after: func(_ *clockEnv, out *Step) { f(out) }}
	}
	write := func(f func(e *clockEnv, out *Step)) World { return clock{after: f} }
	for _, c := range []struct {
		name  string
		world World
		want  string
	}{
		{"no world", nil, "env: no world given"},
		{"constants", wrong{}, "test: Size is 0"},
		{"name", change(func(s *Spec) { s.Name = "" }), "no name"},
		{"agents", change(func(s *Spec) { s.Agents = 0 }), "has 0 agents"},
		{"heads", change(func(s *Spec) { s.Actions = nil }), "no actions"},
		{"continuous", change(func(s *Spec) { s.ActDim = -1 }), "continuous actions of size -1"},
		{"choices", change(func(s *Spec) { s.Actions = []int{2, 0} }), "0 choices in action head 1"},
		{"observation", change(func(s *Spec) { s.ObsDim = 0 }), "observations of size 0"},
		{"images", change(func(s *Spec) { s.Planes = [][3]int{{1, 1, 2}, {1, 1, 1}} }), "images of 3 values in observations of 2"},
		{"steps", change(func(s *Spec) { s.MaxSteps = -1 }), "at most -1 steps"},
		{"snapshot", change(func(s *Spec) { s.Snapshot = -1 }), "snapshots of -1 bytes"},
		{"state", change(func(s *Spec) { s.StateDim = -1 }), "a state of size -1"},
		{"fewer entities than agents", change(func(s *Spec) { s.Agents, s.Entities, s.EntityDim = 3, 2, 1 }), "2 entities, want 0 (none) or at least its 3 agents"},
		{"entities without values", change(func(s *Spec) { s.Entities = 1 }), "1 entities of 0 values"},
		{"values without entities", change(func(s *Spec) { s.EntityDim = 1 }), "0 entities of 1 values"},
		{"costs", change(func(s *Spec) { s.Costs = -1 }), "has -1 costs"},
		{"cost", charge(func(out *Step) { out.Cost[1] = float32(math.NaN()) }), "charges agent 0 a cost 1 of NaN"},
		{"roles without entities", change(func(s *Spec) { s.Roles = 1 }), "1 roles for 0 entities"},
		{"no observer", change(func(s *Spec) { s.Snapshot = 4 }), "snapshots of 4 bytes, but Observe is implemented: false"},
		{"no snapshot", painter{}, "snapshots of 0 bytes, but Observe is implemented: true"},
		{"reward", write(func(_ *clockEnv, out *Step) { out.Reward[0] = float32(math.Inf(1)) }), "a reward of +Inf"},
		{"observation value", write(func(_ *clockEnv, out *Step) { out.Obs[1] = float32(math.NaN()) }), "observation 1 of agent 0"},
		{"availability", write(func(_ *clockEnv, out *Step) { clear(out.Avail) }), "without an available action"},
		{"outcome", write(func(_ *clockEnv, out *Step) { out.Outcome = Loss }), `outcome "loss" where terminated is false`},
		{"panic", write(func(*clockEnv, *Step) { panic("lost") }), "does not keep to its spec (1 agents, 2 choices, observations of 2): lost"},
	} {
		if _, err := Probe(c.world); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", c.name, err, c.want)
		}
	}
	if s, err := Probe(clock{}); err != nil || s.Name != "test/clock" || s.Choices() != 2 || s.PlaneDim() != 0 {
		t.Errorf("a good world gives %+v, %v", s, err)
	}
}

// TestBatchHoldsWhatTheSpecHas: a small world pays for nothing else, and an idle slot shows nobody.
func TestBatchHoldsWhatTheSpecHas(t *testing.T) {
	s := clock{}.mustSpec()
	b := NewBatch(s, 2)
	if b.State != nil || b.Entities != nil || b.Hidden != nil || b.Present != nil || b.Alive != nil || b.Role != nil || b.Cost != nil || b.At(1).Hidden != nil {
		t.Errorf("a world without entities has %+v", *b)
	}
	s.Agents, s.StateDim, s.Entities, s.EntityDim, s.Roles, s.Costs = 2, 5, 3, 4, 1, 3
	b = NewBatch(s, 2)
	for what, c := range map[string][2]int{
		"state": {len(b.At(1).State), 5}, "entities": {len(b.At(1).Entities), 12}, "hidden": {len(b.At(1).Hidden), 6},
		"present": {len(b.At(1).Present), 3}, "alive": {len(b.At(1).Alive), 2}, "role": {len(b.At(1).Role), 3},
		"cost": {len(b.At(1).Cost), 6},
	} {
		if c[0] != c[1] {
			t.Errorf("%s has %d values for one environment, want %d", what, c[0], c[1])
		}
	}
	out := b.At(1)
	out.State[4], out.Entities[11], out.Present[2], out.Alive[1], out.Role[2] = 1, 1, true, true, 1
	out.blank(s)
	if err := out.Check(s); err != nil {
		t.Error(err)
	}
	if out.State[4] != 0 || out.Entities[11] != 0 || out.Present[2] || out.Alive[1] || out.Role[2] != 0 || !out.Hidden[5] || b.At(0).Hidden[0] {
		t.Errorf("an idle slot shows %+v", *out)
	}
}

func TestRandomActions(t *testing.T) {
	spec, r := Spec{Agents: 2, Actions: []int{3, 2}}, rng.New(1).Rand()
	avail := []bool{true, false, true, false, true, false, true, false, true, true} // [agent][3 + 2]
	act, first, last := make([]int32, 4), 0, 0
	for range 1000 {
		RandomActions(spec, avail, r, act)
		if act[0] == 1 || !slices.Equal(act[1:3], []int32{1, 1}) {
			t.Fatalf("actions %v are not available", act)
		}
		first, last = first+int(act[0])/2, last+int(act[3])
	}
	if first < 420 || first > 580 || last < 420 || last > 580 { // 500 ± 5 standard deviations
		t.Errorf("one of two choices came %d and %d times of 1000, want about 500", first, last)
	}
	if a := RandomAction([]bool{false, false}, r); a != 0 {
		t.Errorf("of no choice %d, want 0", a)
	}
}

func TestOutcomeNames(t *testing.T) {
	for o, want := range map[Outcome]string{Running: "running", Win: "win", Loss: "loss", Draw: "draw", TimeOut: "time_out", Ended: "ended", 9: "outcome(9)"} {
		if o.String() != want {
			t.Errorf("outcome %d is %q, want %q", uint8(o), o, want)
		}
	}
}
