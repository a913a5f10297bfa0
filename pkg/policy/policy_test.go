package policy_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
)

// spec has two agents with heads of 3 and 2 choices; open is a batch of three environments with some of them
// available.
var spec = env.Spec{Name: "heads", Agents: 2, Actions: []int{3, 2}, ObsDim: 1}

func open() *env.Batch {
	b := env.NewBatch(spec, 3)
	copy(b.At(0).Avail, []bool{true, false, true, true, true /**/, false, true, false, false, true})
	copy(b.At(1).Avail, []bool{true, true, true, true, false /**/, true, true, false, true, true})
	copy(b.At(2).Avail, []bool{false, false, true, false, true /**/, true, false, false, true, false})
	for i := range 3 {
		b.At(i).Obs[0] = float32(i)
	}
	return b
}

// TestRandom: each available action comes as often as the others, and no other one. Of 6000 draws each of k
// choices has 6000/k within five standard deviations (at most 190).
func TestRandom(t *testing.T) {
	p, b, n := policy.Random(spec), open(), 6000
	out := env.Actions{Discrete: make([]int32, 12)}
	count := make([][3]int, 12)
	for step := range int64(n) {
		if err := p.Act(b, p.Memory(3), policy.Mode{}, rng.New(1).Split("act", step), out); err != nil {
			t.Fatal(err)
		}
		for j, a := range out.Discrete {
			count[j][a]++
		}
	}
	avail := b.Avail
	for j, c := range count {
		k := spec.Actions[j%2]
		choices := 0
		for _, ok := range avail[:k] {
			if ok {
				choices++
			}
		}
		for a, ok := range avail[:k] {
			switch {
			case !ok && c[a] > 0:
				t.Errorf("head %d: action %d, which is not available, comes %d times", j, a, c[a])
			case ok && (c[a] < n/choices-190 || c[a] > n/choices+190):
				t.Errorf("head %d: action %d of %d comes %d times in %d", j, a, choices, c[a], n)
			}
		}
		avail = avail[k:]
	}
}

func TestRandomDependsOnKey(t *testing.T) {
	p, b := policy.Random(spec), env.NewBatch(spec, 20)
	for i := range b.Avail {
		b.Avail[i] = true
	}
	act := func(key rng.Key) []int32 {
		out := env.Actions{Discrete: make([]int32, 80)}
		if err := p.Act(b, policy.None{}, policy.Mode{}, key, out); err != nil {
			t.Fatal(err)
		}
		return out.Discrete
	}
	if a := act(rng.New(1)); !slices.Equal(a, act(rng.New(1))) || slices.Equal(a, act(rng.New(2))) {
		t.Error("random actions do not follow from the key alone")
	}
}

// TestScript: the function sees each environment in turn and writes into its part of the actions.
func TestScript(t *testing.T) {
	var drawn []uint64
	p := policy.Script(spec, func(s *env.Step, r *rand.Rand, act env.Actions) {
		drawn = append(drawn, r.Uint64())
		if len(act.Discrete) != 4 {
			t.Fatalf("room for %d actions, want 4", len(act.Discrete))
		}
		for j := range act.Discrete {
			act.Discrete[j] = int32(10*s.Obs[0]) + int32(j)
		}
	})
	out := env.Actions{Discrete: make([]int32, 12)}
	if err := p.Act(open(), p.Memory(3), policy.Mode{}, rng.New(4), out); err != nil {
		t.Fatal(err)
	}
	if want := []int32{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23}; !slices.Equal(out.Discrete, want) {
		t.Errorf("actions %v, want %v", out.Discrete, want)
	}
	r := rng.New(4).Rand()
	if want := []uint64{r.Uint64(), r.Uint64(), r.Uint64()}; !slices.Equal(drawn, want) {
		t.Errorf("draws %v, want the key's stream %v", drawn, want)
	}
}

// TestContinuous: random policies and scripts also write continuous actions, each environment its own.
func TestContinuous(t *testing.T) {
	spec := env.Spec{Name: "drift", Agents: 2, ActDim: 3, ObsDim: 1}
	b, out := env.NewBatch(spec, 4), env.NewActions(spec, 4)
	if err := policy.Random(spec).Act(b, policy.None{}, policy.Mode{}, rng.New(1), out); err != nil {
		t.Fatal(err)
	}
	seen := map[float32]bool{}
	for _, x := range out.Continuous {
		seen[x] = x >= -1 && x < 1
	}
	if len(seen) != 24 || slices.Contains(slices.Collect(maps.Values(seen)), false) {
		t.Errorf("random actions are %v, want 24 numbers in [−1, 1)", out.Continuous)
	}
	for i := range 4 {
		b.At(i).Obs[0] = float32(i)
	}
	p := policy.Script(spec, func(s *env.Step, _ *rand.Rand, act env.Actions) {
		for j := range act.Continuous {
			act.Continuous[j] = s.Obs[0] + float32(j)/10
		}
	})
	if err := p.Act(b, p.Memory(4), policy.Mode{}, rng.New(4), out); err != nil {
		t.Fatal(err)
	}
	for j, x := range out.Continuous {
		if want := float32(j/6) + float32(j%6)/10; x != want {
			t.Errorf("action %d is %v, want %v", j, x, want)
		}
	}
}
