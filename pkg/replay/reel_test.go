package replay_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
)

const reelSteps = 12

// reel shows what the test gives: moment t of episode e is number 100·e + t, and every value tells it.
type reel struct{}

func (reel) Spec() env.Spec {
	return env.Spec{Name: "reel", Agents: 2, Entities: 3, EntityDim: 2, StateDim: 1, Roles: 3, Actions: []int{3, 2}, ObsDim: 2, MaxSteps: reelSteps}
}
func (reel) Reset(env.Episode, *env.Step) {}
func (reel) Step(env.Actions, *env.Step)  {}

// drawnReel draws its observations from snapshots.
type drawnReel struct{ reel }

func (drawnReel) Spec() env.Spec {
	s := reel{}.Spec()
	s.Name, s.Snapshot = "drawn reel", 2
	return s
}
func (drawnReel) Observe(b []byte, obs []float32) { series(obs, int(b[0])|int(b[1])<<8, 0.125) }

// series is m, m + step, …
func series(out []float32, m int, step float32) {
	for j := range out {
		out[j] = float32(m) + float32(j)*step
	}
}

func reelMoment(s *env.Step, m int) {
	series(s.Obs, m, 0.125)
	series(s.State, -m, 0.5)
	series(s.Entities, m, -0.25)
	for j := range s.Hidden {
		s.Hidden[j] = (m+j*j)%3 == 0
	}
	for j := range s.Avail {
		s.Avail[j] = (m+j*j)%5 < 2
	}
	for j := range s.Present {
		s.Present[j], s.Role[j] = (m/100+j)%2 == 0, uint8((m/100+j)%4)
	}
	if s.Snapshot != nil {
		clear(s.Obs)
		s.Snapshot[0], s.Snapshot[1] = byte(m), byte(m>>8)
	}
}

func reelAction(m, j int) int32 { return int32(m+j) % [2]int32{3, 2}[j%2] }

// player plays episodes e of length(e) steps in slots, of which the last is idle; episodes are numbered as they
// begin. The task ends even ones, the clock odd ones.
type player struct {
	length        func(e int) int
	episode, time []int // of each slot
	begun         int
	finished      []int // episodes in order of finishing
}

func newPlayer(slots int, length func(e int) int) *player {
	p := &player{length: length, episode: make([]int, slots), time: make([]int, slots)}
	for i := range slots {
		p.episode[i] = i
	}
	p.begun = slots
	return p
}

// step adds one step of all slots.
func (p *player) step(r *replay.Episodes, spec env.Spec) {
	n := len(p.episode)
	before, after, act := env.NewBatch(spec, n+1), env.NewBatch(spec, n+1), env.NewActions(spec, n+1)
	for i, e := range p.episode {
		m := 100*e + p.time[i]
		reelMoment(before.At(i), m)
		reelMoment(after.At(i), m+1)
		for j := range 4 {
			act.Discrete[i*4+j] = reelAction(m, j)
		}
		for j := range 2 {
			after.At(i).Reward[j] = reward(m, j)
		}
		if p.time[i]++; p.time[i] == p.length(e) {
			after.At(i).Terminated, after.At(i).Truncated = e%2 == 0, e%2 == 1
			p.finished = append(p.finished, e)
			p.episode[i], p.time[i] = p.begun, 0
			p.begun++
		}
	}
	r.Add(before, act, after, func(i int) bool { return i < n })
}

// mixed are lengths of 1 to 12 steps.
func mixed(e int) int { return 1 + (e*5+e/7)%reelSteps }

func episodes(t testing.TB, e env.Env, keep replay.Keeps, envs, capacity, batch int) *replay.Episodes {
	t.Helper()
	r, err := replay.NewEpisodes(e, keep, envs, capacity, batch)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var all = replay.Keeps{Obs: true, State: true, Entities: true}

// wantSample compares every value of a sample with what the episodes in it had, and returns these.
func wantSample(t *testing.T, s *replay.Sample, spec env.Spec, keep replay.Keeps, batch int, length func(int) int) (list []int) {
	t.Helper()
	if s.Time != spec.MaxSteps || !slices.Contains(replay.Rows(batch), s.Batch) {
		t.Fatalf("%d rows of %d steps, want %v of %d", s.Batch, s.Time, replay.Rows(batch), spec.MaxSteps)
	}
	at := map[[2]int]int{} // row and moment → moment of an episode
	for _, e := range s.Episodes {
		first := -int(s.State[e.From*s.Batch+e.Row])
		list = append(list, first/100)
		for k := range e.Steps + 1 {
			if _, taken := at[[2]int{e.Row, e.From + k}]; taken {
				t.Fatalf("two episodes are at moment %d of row %d: %v", e.From+k, e.Row, s.Episodes)
			}
			at[[2]int{e.Row, e.From + k}] = first + k
		}
	}
	want := &replay.Sample{Time: s.Time, Batch: s.Batch, Key: s.Key, Episodes: s.Episodes}
	step := env.NewBatch(spec, 1).At(0)
	for k := range s.Time + 1 {
		for row := range s.Batch {
			m, ok := at[[2]int{row, k}]
			e := m / 100
			reelMoment(step, m)
			if !ok {
				clear(step.Obs)
				clear(step.State)
				clear(step.Entities)
				clear(step.Present)
				clear(step.Role)
				step.Hidden = []bool{false, true, true, true, false, true}
				step.Avail = []bool{true, false, false, true, false, true, false, false, true, false}
			} else if spec.Snapshot > 0 {
				series(step.Obs, m, 0.125)
			}
			if keep.Obs {
				want.Obs = append(want.Obs, step.Obs...)
			}
			if keep.State {
				want.State = append(want.State, step.State...)
			}
			want.Avail = append(want.Avail, step.Avail...)
			if keep.Entities {
				want.Entities = append(want.Entities, step.Entities...)
				want.Hidden = append(want.Hidden, step.Hidden...)
				want.Present, want.Role = append(want.Present, step.Present...), append(want.Role, step.Role...)
			}
			if k == s.Time {
				continue
			}
			on := ok && m%100 < length(e)
			for j := range 4 {
				want.Actions = append(want.Actions, -1)
				if on {
					want.Actions[len(want.Actions)-1] = reelAction(m, j)
				}
			}
			want.Reward = append(want.Reward, one(on)*reward(m, 0), one(on)*reward(m, 1))
			last := one(on && m%100 == length(e)-1)
			want.Terminated = append(want.Terminated, last*float32(1-e%2))
			want.Truncated = append(want.Truncated, last*float32(e%2))
			want.Filled = append(want.Filled, one(on))
		}
	}
	got, wanted := reflect.ValueOf(*s), reflect.ValueOf(*want)
	for k := range got.NumField() {
		a, b := got.Field(k), wanted.Field(k)
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			continue
		}
		name := got.Type().Field(k).Name
		if a.Kind() != reflect.Slice || a.Len() != b.Len() {
			t.Fatalf("episodes %v: %s is %v, want %v", list, name, a, b)
		}
		for j := range a.Len() {
			if !a.Index(j).Equal(b.Index(j)) {
				t.Fatalf("episodes %v: %s[%d] is %v, want %v", list, name, j, a.Index(j), b.Index(j))
			}
		}
	}
	return list
}
