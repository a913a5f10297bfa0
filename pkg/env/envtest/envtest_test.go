package envtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
)

// line is a small world with everything a world can have: two agents walk on ten cells, slip now and then,
// and observe an image of their cell and the vector position, time. Its fields break the contract.
type line struct {
	spec      func(s *env.Spec, steps int)               // changes what Spec returns
	show      func(e *walkers, out *env.Step)            // runs at the end of Reset and Step
	observe   func(e *walkers, snap []byte, o []float32) // runs at the end of Observe
	act       func(e *walkers, act env.Actions)          // runs at the beginning of Step
	keepAvail bool                                       // true = Avail is only ever set to true
	lazy      bool                                       // true = only Observe writes the vector
}

const lineSteps = 30

type walkers struct {
	line
	rand  *rand.Rand
	at    [2]uint8
	t     int
	steps int // never set back
	moves float32
	kept  []byte
	place float32
}

func (l line) New() (env.Env, error) { return &walkers{line: l}, nil }

func (e *walkers) Spec() env.Spec {
	s := env.Spec{
		Name: "test/line", Agents: 2, Actions: []int{3}, ObsDim: 12, Planes: [][3]int{{1, 1, 10}}, Snapshot: 3,
		MaxSteps: lineSteps, Metrics: []string{"moves"},
	}
	if e.line.spec != nil {
		e.line.spec(&s, e.steps)
	}
	return s
}

func (e *walkers) Reset(ep env.Episode, out *env.Step) {
	e.rand, e.t, e.moves = ep.Rand, 0, 0
	e.at = [2]uint8{uint8(e.rand.IntN(10)), uint8(e.rand.IntN(10))}
	e.write(out)
}

func (e *walkers) Step(act env.Actions, out *env.Step) {
	e.t++
	e.steps++
	if e.line.act != nil {
		e.line.act(e, act)
	}
	for a := range e.at {
		if d := act.Discrete[a]; d != 1 && e.rand.IntN(10) > 0 {
			e.at[a] += uint8(d) - 1
			e.moves++
			out.Reward[a] = 1
		}
	}
	if e.t == lineSteps {
		out.Truncated, out.Outcome = true, env.TimeOut
	}
	e.write(out)
}

func (e *walkers) write(out *env.Step) {
	out.Snapshot[0], out.Snapshot[1], out.Snapshot[2] = e.at[0], e.at[1], uint8(e.t)
	out.Metrics[0] = e.moves
	for a, x := range e.at {
		for i, ok := range [3]bool{x > 0, true, x < 9} {
			if ok || !e.keepAvail {
				out.Avail[3*a+i] = ok
			}
		}
		if !e.lazy {
			out.Obs[12*a+10], out.Obs[12*a+11] = float32(x), float32(e.t)
		}
	}
	if e.line.show != nil {
		e.line.show(e, out)
	}
}

func (e *walkers) Observe(snapshot []byte, obs []float32) {
	for a := range 2 {
		o := obs[12*a : 12*a+12]
		clear(o)
		o[snapshot[a]] = 1
		o[10], o[11] = float32(snapshot[a]), float32(snapshot[2])
	}
	if e.line.observe != nil {
		e.line.observe(e, snapshot, obs)
	}
}

// crowd is line with a state and three entities: the walkers and an empty slot. Walker 1 is dead from step 10 on.
func crowd(change func(e *walkers, out *env.Step)) line {
	return line{
		spec: func(s *env.Spec, _ int) { s.StateDim, s.Entities, s.EntityDim, s.Roles = 1, 3, 1, 2 },
		show: func(e *walkers, out *env.Step) {
			dead := e.t >= 10
			out.State[0] = float32(e.t)
			copy(out.Entities, []float32{float32(e.at[0]), float32(e.at[1]), 0})
			copy(out.Hidden, []bool{false, dead, true, dead, dead, true})
			copy(out.Present, []bool{true, true, false})
			copy(out.Alive, []bool{true, !dead})
			copy(out.Role, []uint8{1, 2, 0})
			if dead {
				copy(out.Avail[3:], []bool{false, true, false})
			}
			if change != nil {
				change(e, out)
			}
		},
	}
}

// adrift is line with a continuous action of two numbers besides, which clip makes usable, and a metric that adds them up.
func adrift(clip func(x float32) float32) line {
	return line{
		spec: func(s *env.Spec, _ int) { s.ActDim, s.Metrics = 2, append(s.Metrics, "place") },
		act: func(e *walkers, act env.Actions) {
			if e.t == 1 {
				e.place = 0
			}
			for i, x := range act.Continuous {
				e.place += float32(i+1) * clip(x)
			}
		},
		show: func(e *walkers, out *env.Step) {
			if out.Metrics[1] = e.place; e.t == 0 {
				out.Metrics[1] = 0
			}
		},
	}
}

// recorder is a testing.TB that keeps the complaints.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func TestCheckAcceptsAGoodWorld(t *testing.T) {
	Check(t, line{})
	Check(t, crowd(nil))
	Check(t, adrift(env.Clip))
}

func TestCheckCatches(t *testing.T) {
	nan := float32(math.NaN())
	shared := 0
	for _, c := range []struct {
		name  string
		world env.World
		want  string
	}{
		{"no world", nil, "sizes: env: no world given"},
		{"impossible size", line{spec: func(s *env.Spec, _ int) { s.Agents = 0 }}, "0 agents"},
		{"observations shorter than the spec", line{spec: func(s *env.Spec, _ int) { s.ObsDim = 13 }}, "unwritten"},
		{"observations longer than the spec", line{spec: func(s *env.Spec, _ int) { s.ObsDim = 11 }}, "does not keep to its spec"},
		{"snapshots shorter than what is written", line{spec: func(s *env.Spec, _ int) { s.Snapshot = 2 }}, "does not keep to its spec"},
		{"a spec that changes", line{spec: func(s *env.Spec, n int) { s.MaxSteps += min(n, 1) }}, "sizes: the spec after 1 steps"},
		{"a panic late in the episode", line{show: func(e *walkers, _ *env.Step) {
			if e.t == 20 {
				panic("lost")
			}
		}}, "sizes: panic: lost"},
		{"a reward that is not finite", line{show: func(e *walkers, out *env.Step) { out.Reward[1] = 1 / float32(e.t-15) }}, "moments: step 15 of episode 0: env: test/line pays agent 1"},
		{"an unwritten observation", line{show: func(e *walkers, out *env.Step) { e.steps, out.Snapshot[2] = 0, 0 }, observe: func(_ *walkers, _ []byte, o []float32) { o[3] = nan }}, "observation 3 of agent 0"},
		{"an unwritten metric", line{show: func(e *walkers, out *env.Step) { out.Metrics[0] = nan }}, `metric "moves"`},
		{"nothing available", line{show: func(e *walkers, out *env.Step) {
			if e.t == 20 {
				clear(out.Avail[3:])
			}
		}}, "step 20 of episode 0: env: test/line leaves agent 1 without an available action"},
		{"an outcome without an end", line{show: func(e *walkers, out *env.Step) { out.Outcome = env.Win }}, `outcome "win"`},
		{"an end without an outcome", line{show: func(e *walkers, out *env.Step) { out.Outcome = env.Running }}, `outcome "running" where terminated is false and truncated true`},
		{"an episode that is too long", line{spec: func(s *env.Spec, _ int) { s.MaxSteps = lineSteps - 1 }}, "not over after 29 steps"},
		{"over at once", line{show: func(e *walkers, out *env.Step) { out.Terminated, out.Outcome = true, env.Loss }}, "over before its first step"},
		{"availability never taken back", line{keepAvail: true}, "same key, same bytes"},
		{"an unwritten snapshot", line{spec: func(s *env.Spec, _ int) { s.Snapshot = 4 }}, "same key, same bytes"},
		{"an unwritten state", crowd(func(e *walkers, out *env.Step) { out.State[0] = nan }), "value 0 of the state"},
		{"an unwritten entity", crowd(func(e *walkers, out *env.Step) { out.Entities[2] = nan }), "value 0 of entity 2"},
		{"an agent alive in an empty slot", crowd(func(e *walkers, out *env.Step) { out.Present[0] = false }), "agent 0 that is alive in an empty slot"},
		{"hidden and seen confused", crowd(func(e *walkers, out *env.Step) { out.Hidden[0] = true }), "hides agent 0"},
		{"an empty slot that is seen", crowd(func(e *walkers, out *env.Step) { out.Hidden[5] = false }), "shows agent 1 the empty slot of entity 2"},
		{"the dead choose", crowd(func(e *walkers, out *env.Step) { out.Avail[4], out.Avail[5] = true, true }), "step 10 of episode 0: env: test/line offers agent 1"},
		{"a role that does not exist", crowd(func(e *walkers, out *env.Step) { out.Role[1] = 3 }), "gives entity 1 (present: true) role 3"},
		{"a role for nobody", crowd(func(e *walkers, out *env.Step) { out.Role[2] = 1 }), "gives entity 2 (present: false) role 1"},
		{"a state that outlives the episode", crowd(func(e *walkers, out *env.Step) { out.State[0] = float32(e.steps) }), "same key, same bytes: episode 1"},
		{"sight that outlives the episode", crowd(func(e *walkers, out *env.Step) { out.Hidden[1] = e.steps > 40 }), "same key, same bytes: episode 1"},
		{"roles that outlive the episode", crowd(func(e *walkers, out *env.Step) { out.Role[1] = uint8(1 + min(e.steps/40, 1)) }), "same key, same bytes: episode 1"},
		{"a state drawn from global randomness", crowd(func(e *walkers, out *env.Step) { out.State[0] = rand.Float32() }), "state 0 is"},
		{"global randomness", line{show: func(e *walkers, out *env.Step) { out.Metrics[0] = rand.Float32() }}, "metric 0 is"},
		{"state that outlives the episode", line{show: func(e *walkers, out *env.Step) { out.Metrics[0] = float32(e.steps) }}, "same key, same bytes: episode 1"},
		{"continuous actions not clipped", adrift(func(x float32) float32 { return x }), "continuous actions: with actions beyond [−1, 1] and with the same ones clipped: step 1: metric 1 is"},
		{"state shared by environments", line{show: func(e *walkers, out *env.Step) { shared++; out.Metrics[0] = float32(shared) }}, "same key, same bytes"},
		{"a vector that waits for Observe", line{lazy: true}, "observer: step 0: Step leaves NaN"},
		{"a vector of another opinion", line{observe: func(_ *walkers, _ []byte, o []float32) { o[23]++ }}, "observation 11 of agent 1, want the same"},
		{"images that show the present instead of the snapshot", line{observe: func(e *walkers, _ []byte, o []float32) { o[0] = float32(e.steps) }}, "observer"},
		{"Observe that writes the snapshot", line{observe: func(_ *walkers, s []byte, _ []float32) { s[2] = 99 }}, "observer: step 0: Observe changes the snapshot"},
		{"Reset that allocates", line{show: func(e *walkers, _ *env.Step) {
			if e.t == 0 {
				e.kept = make([]byte, 100)
			}
		}}, "allocations: one Reset allocates 1 times"},
		{"Step that allocates once in an episode", line{show: func(e *walkers, _ *env.Step) {
			if e.t == 17 {
				e.kept = make([]byte, 100)
			}
		}}, "allocations: the steps of one episode (30) allocate 1 times"},
	} {
		r := new(recorder)
		Check(r, c.world)
		if len(r.said) != 1 || !strings.Contains(r.said[0], c.want) || strings.Contains(r.said[0], "\n") {
			t.Errorf("%s: said %q, want one line with %q", c.name, r.said, c.want)
		}
	}
}

// TestVecChecksCatch calls the checks that Check reaches last, past those that would complain earlier.
func TestVecChecksCatch(t *testing.T) {
	shared := 0
	counting := line{show: func(_ *walkers, out *env.Step) { shared++; out.Metrics[0] = float32(shared) }}
	remembering := line{show: func(e *walkers, out *env.Step) { out.Metrics[0] = float32(e.steps) }}
	for _, c := range []struct {
		name  string
		run   func(env.World) error
		world env.World
	}{
		{"workers", workers, counting}, {"resume", resume, remembering}, {"apart", func(w env.World) error {
			return together(mustPlay(t, w), mustPlay(t, w), 0)
		}, counting},
	} {
		if err := c.run(c.world); err == nil {
			t.Errorf("%s finds nothing", c.name)
		}
		if err := c.run(line{}); err != nil {
			t.Errorf("%s finds fault with a good world: %v", c.name, err)
		}
	}
}

func mustPlay(t *testing.T, w env.World) *player {
	t.Helper()
	p, err := newPlayer(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func BenchmarkStep(b *testing.B) {
	b.Run("test/line", func(b *testing.B) { BenchStep(b, line{}) })
}

func BenchmarkVec(b *testing.B) {
	b.Run("test/line/64", func(b *testing.B) { BenchVec(b, line{}, 64, 1) })
}
