package value

import (
	"bytes"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// acted plays one episode with a method's first weights and returns the learner, the sample of that episode, and the slots
// in which acting had its agents at each step.
func acted(t *testing.T, s System, w battle.World) (*learner, *replay.Sample, [][]int32) {
	t.Helper()
	s.Train.Envs, s.Train.Batch, s.Train.Buffer = 1, 1, 1
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	m, buffer, err := s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
	if err != nil {
		t.Fatal(err)
	}
	l := m.(*learner)
	vec, err := env.NewVec(w, 1, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
	if err != nil {
		t.Fatal(err)
	}
	mem, acts := l.actor.Memory(1), env.NewActions(l.spec, 1)
	mem.Begin(0)
	var slots [][]int32
	for step := int64(0); ; step++ {
		before, err := vec.Before()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.actor.Act(before, mem, policy.Mode{Epsilon: 0.5}, rng.New(3).Split("act", step), acts); err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slices.Clone(mem.(*memory).slots))
		after, err := vec.Step(acts)
		if err != nil {
			t.Fatal(err)
		}
		buffer.Add(before, acts, after, func(int) bool { return true })
		if after.At(0).Over() {
			return l, buffer.Sample(rng.New(4)), slots
		}
	}
}

// TestLearningFormsTheGroupsOfActing: a sampled episode is matched as it was when it was played, in slots drawn anew; who is
// not there, and who is behind the end, is in no group; groups that are held for three steps stay for three.
func TestLearningFormsTheGroupsOfActing(t *testing.T) {
	for _, every := range []int{0, 3} {
		for _, s := range []System{OOM(smallest(), briefly()), SOM(smallest(), briefly())} {
			s.Group.Every = every
			l, sample, played := acted(t, s, brief(2, 5))
			const end = 20 // the steps behind it are made padding
			if len(played) <= end+1 {
				t.Fatalf("an episode of %d steps, want some behind step %d", len(played), end)
			}
			played = played[:end+1]
			clear(sample.Filled[end:])
			sample.Episodes[0].Steps = end
			args := l.feeds.fill(sample, 0, false, 1)
			online, target, err := l.groups.match(sample, l.feeds.seen(args))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(online, target) {
				t.Errorf("%s: targets that are copies form other groups", s.Name)
			}
			n := l.spec.Agents
			renamed, distinct := map[int32]int32{-1: -1}, map[int32]bool{}
			for step, want := range played {
				got := online[step*n : (step+1)*n]
				for a := range want {
					if _, ok := renamed[want[a]]; !ok {
						renamed[want[a]], distinct[got[a]] = got[a], true
					}
					if got[a] != renamed[want[a]] || (got[a] < 0) != !sample.Present[a] || got[a] >= Slots {
						t.Fatalf("%s, step %d: groups %v, played with %v", s.Name, step, got, want)
					}
				}
				if step > 0 && step%max(1, every) != 0 && !slices.Equal(want, played[step-1]) {
					t.Errorf("%s: step %d has other groups than the one before, want them held for %d", s.Name, step, every)
				}
			}
			if len(renamed) != 3 || len(distinct) != 2 {
				t.Errorf("%s: slots %v, want two groups in two slots", s.Name, renamed)
			}
			for _, slot := range online[(end+1)*n:] {
				if slot != -1 {
					t.Fatalf("%s: somebody is in slot %d behind the end", s.Name, slot)
				}
			}
		}
	}
}

// TestSlotsAreShuffled: two groups of many sampled episodes are in all four slots.
func TestSlotsAreShuffled(t *testing.T) {
	var places [Slots]int32
	seen := map[int32]int{}
	for i := range int64(400) {
		shuffle(places[:], rng.New(1).Split("slots", i))
		seen[places[0]]++
		all := slices.Clone(places[:])
		slices.Sort(all)
		if !slices.Equal(all, []int32{0, 1, 2, 3}) {
			t.Fatalf("slots %v", places)
		}
	}
	for slot := range int32(Slots) {
		if seen[slot] < 60 { // of 100; five standard deviations are 43, and these draws are fixed
			t.Errorf("the first group is in slot %d in %d of 400 episodes", slot, seen[slot])
		}
	}
}

// TestGroupMemory: groups, their slots and scores are part of what a checkpoint holds.
func TestGroupMemory(t *testing.T) {
	sys := OOM(smallest(), briefly())
	e, err := brief(2, 5).New()
	if err != nil {
		t.Fatal(err)
	}
	a, b := newMemory(sys, e.Spec(), 3), newMemory(sys, e.Spec(), 3)
	for i := range a.slots {
		a.slots[i], a.last[i] = int32(i%4), int32(i)
	}
	for i := range a.scores {
		a.scores[i] = float32(i) / 7
	}
	copy(a.places, []int32{3, 1, 0, 2})
	copy(a.step, []int32{5, 6, 7})
	var file bytes.Buffer
	if err := a.Save(&file); err != nil {
		t.Fatal(err)
	}
	if err := b.Load(&file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.slots, b.slots) || !slices.Equal(a.scores, b.scores) || !slices.Equal(a.places, b.places) || !slices.Equal(a.step, b.step) || !slices.Equal(a.last, b.last) {
		t.Errorf("loaded %+v, saved %+v", b, a)
	}
	b.Begin(1)
	if n := e.Spec().Agents; b.slots[n] != -1 || b.step[1] != 0 || b.slots[0] != a.slots[0] || b.step[2] != 7 {
		t.Errorf("a new episode of environment 1 leaves slots %v, steps %v", b.slots, b.step)
	}
}

// TestMatchingNeedsLeaders: a world that has roles but nobody who leads is refused at the first step.
func TestMatchingNeedsLeaders(t *testing.T) {
	s := OOM(smallest(), briefly())
	e, err := brief(0, 4).New()
	if err != nil {
		t.Fatal(err)
	}
	l := build(t, s, brief(0, 4), xla.Go)
	vec, err := env.NewVec(brief(0, 4), 1, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
	if err != nil {
		t.Fatal(err)
	}
	b, err := vec.Before()
	if err != nil {
		t.Fatal(err)
	}
	err = l.actor.Act(b, l.actor.Memory(1), policy.Mode{}, rng.New(3), env.NewActions(e.Spec(), 1))
	wantLine(t, err, "oom matches 4 followers with leaders, of whom there are none, want some")
}
