package replay_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

var _ run.Checkpoint = (*replay.Rollout)(nil)

// strip is a tape with a state and entities, so that agents can be dead.
func strip() env.Spec {
	return env.Spec{Name: "strip", Agents: 2, Actions: []int{3}, ObsDim: 1, StateDim: 1, Entities: 2, EntityDim: 1, Costs: 1}
}

// record adds steps first … end−1 of two environments: step t of environment i shows 10·t + i before and 10·t + i + 5
// after, ends as ended says for 2·t + i, and agent 1 of environment 1 is dead.
func record(r *replay.Rollout, first, end int) {
	spec := strip()
	for t := first; t < end; t++ {
		before, after, act := env.NewBatch(spec, 2), env.NewBatch(spec, 2), env.NewActions(spec, 2)
		for i := range 2 {
			for a := range 2 {
				before.At(i).Obs[a], after.At(i).Obs[a] = float32(10*t+i)+float32(a)/2, float32(10*t+i+5)+float32(a)/2
				before.At(i).Alive[a] = i == 0 || a == 0
				after.At(i).Reward[a], after.At(i).Cost[a] = reward(10*t+i, a), 2*reward(10*t+i, a)
				act.Discrete[2*i+a] = action(t+i, 0)
			}
			before.At(i).State[0], after.At(i).State[0] = -float32(10*t+i), -float32(10*t+i+5)
			before.At(i).Avail[t%6], after.At(i).Avail[(t+1)%6] = true, true
			s := after.At(i)
			s.Terminated, s.Truncated = ended(2*t + i)
		}
		r.Add(before, act, after, nil)
	}
}

// Steps 0 to 5 of both environments: all have even numbers 2t + 0 in environment 0, which ended turns into "goes on"
// and "the clock ended it" in turn, and odd ones in environment 1, where the task ends at every step.
func TestRollout(t *testing.T) {
	r, err := replay.NewRollout(strip(), 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []int{0, 3} { // nothing of the first rollout is left in the second
		record(r, first, first+4) // one step too many
		s := r.Sample(rng.New(7))
		if s.Time != 3 || s.Batch != 2 || s.Key != rng.New(7) {
			t.Errorf("%d × %d with key %v", s.Time, s.Batch, s.Key)
		}
		var obs, state, rewards, costs, alive, over, clock []float32
		var tails []int32
		var tail, tailState []float32
		for k := range 3 {
			for i := range 2 {
				x := float32(10*(first+k) + i)
				obs, state = append(obs, x, x+0.5), append(state, -x)
				rewards = append(rewards, reward(int(x), 0), reward(int(x), 1))
				costs = append(costs, 2*reward(int(x), 0), 2*reward(int(x), 1))
				alive = append(alive, 1, float32(1-i))
				terminated, truncated := ended(2*(first+k) + i)
				over, clock = append(over, one(terminated)), append(clock, one(truncated))
				if !terminated && (truncated || k == 2) {
					tails, tail, tailState = append(tails, int32(2*k+i)), append(tail, x+5, x+5.5), append(tailState, -x-5)
				}
			}
		}
		for name, pair := range map[string][2]any{
			"observations": {s.Obs, obs}, "state": {s.State, state}, "rewards": {s.Reward, rewards}, "costs": {s.Cost, costs}, "alive": {s.Alive, alive},
			"terminated": {s.Terminated, over}, "truncated": {s.Truncated, clock}, "tails": {s.Tail.Steps, tails},
			"tail": {s.Tail.Obs, tail}, "tail state": {s.Tail.State, tailState},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("from step %d: %s are %v, want %v", first, name, pair[0], pair[1])
			}
		}
		if len(s.Tail.Avail) != 6*len(tails) || !s.Avail[first%6] || s.Actions[0] != action(first, 0) {
			t.Errorf("from step %d: available %v and after the tails %v, actions %v", first, s.Avail, s.Tail.Avail, s.Actions)
		}
	}
}

func one(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// A rollout that is saved after some steps and loaded by another one goes on as if nothing had happened.
func TestRolloutResumes(t *testing.T) {
	for _, at := range []int{0, 1, 2} {
		whole, _ := replay.NewRollout(strip(), 3, 2)
		part, _ := replay.NewRollout(strip(), 3, 2)
		rest, _ := replay.NewRollout(strip(), 3, 2)
		for _, r := range []*replay.Rollout{whole, part} {
			record(r, 10, 13)
			r.Sample(rng.New(1))
		}
		record(whole, 0, 3)
		record(part, 0, at)
		var file bytes.Buffer
		if err := part.Save(&file); err != nil {
			t.Fatal(err)
		}
		data := file.Bytes()
		if err := rest.Load(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := rest.Save(&again); err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("after %d steps: saved again differs (%v)", at, err)
		}
		record(rest, at, 3)
		got, want := rest.Sample(rng.New(1)), whole.Sample(rng.New(1))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("after %d steps: %+v, want %+v", at, got, want)
		}
		other, _ := replay.NewRollout(strip(), 4, 2)
		if err := other.Load(bytes.NewReader(data)); err == nil {
			t.Error("a rollout of another length is loaded")
		}
		if err := rest.Load(bytes.NewReader(data[:len(data)-1])); err == nil {
			t.Error("a rollout that is cut off is loaded")
		}
	}
	if _, err := replay.NewRollout(strip(), 0, 2); err == nil {
		t.Error("a rollout of no steps is made")
	}
}
