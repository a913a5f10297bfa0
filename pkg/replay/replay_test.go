package replay_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// tape shows a number that the test gives, so that every value in a buffer can be told from all others: two
// agents with heads of 3 and 2 choices and observations of two values.
type tape struct{}

var _ run.Growing = (*replay.Transitions)(nil)

func (tape) Spec() env.Spec {
	return env.Spec{Name: "tape", Agents: 2, Actions: []int{3, 2}, ObsDim: 2}
}
func (tape) Reset(env.Episode, *env.Step) {}
func (tape) Step(env.Actions, *env.Step)  {}
func (t tape) New() (env.Env, error)      { return t, nil }
func (tape) draw(m int, obs []float32)    { copy(obs, []float32{float32(m), 0.25, -float32(m), 1e-40}) }
func (tape) show(m int, out *env.Step)    { tape{}.draw(m, out.Obs); avail(m, out.Avail) }
func avail(m int, out []bool) { // all patterns of ten bits
	for j := range out {
		out[j] = m>>j&1 == 1
	}
}

// film is a tape whose observations are drawn from snapshots; what a batch shows in their place is not remembered.
type film struct{ tape }

func (film) Spec() env.Spec {
	s := tape{}.Spec()
	s.Name, s.Snapshot, s.Planes = "film", 2, [][3]int{{1, 1, 1}}
	return s
}
func (f film) New() (env.Env, error) { return f, nil }
func (film) Observe(snapshot []byte, obs []float32) {
	tape{}.draw(int(snapshot[0])|int(snapshot[1])<<8, obs)
}

// step k of the tests lasts from moment k to moment k + 500 and ends in one of four ways.
func ended(k int) (terminated, truncated bool) { return k%4 == 1 || k%4 == 3, k%4 >= 2 }

func reward(k, agent int) float32 { return float32(k) + float32(agent)*0.125 }

func action(k, j int) int32 { return int32(k+j) % [2]int32{3, 2}[j%2] }

// tape of steps: fill adds steps first, first+1, … below end, n at a time; the last slot of a batch never plays.
func fill(t *replay.Transitions, e env.Env, first, end, n int) {
	spec := e.Spec()
	before, after := env.NewBatch(spec, n+1), env.NewBatch(spec, n+1)
	act := env.Actions{Discrete: make([]int32, (n+1)*4)}
	for k := first; k < end; k += n {
		for i := range n + 1 {
			for m, b := range map[int]*env.Batch{k + i: before, k + i + 500: after} {
				s := b.At(i)
				tape{}.show(m, s)
				if spec.Snapshot > 0 {
					clear(s.Obs)
					s.Snapshot[0], s.Snapshot[1] = byte(m), byte(m>>8)
				}
			}
			s := after.At(i)
			s.Terminated, s.Truncated = ended(k + i)
			for j := range 2 {
				s.Reward[j] = reward(k+i, j)
			}
			for j := range 4 {
				act.Discrete[i*4+j] = action(k+i, j)
			}
		}
		t.Add(before, act, after, func(i int) bool { return i < n && k+i < end })
	}
}

// check compares every value of a sample with what step k had and returns the steps it holds.
func check(t *testing.T, s *replay.Sample) (steps []int) {
	t.Helper()
	obs, ok := make([]float32, 4), make([]bool, 10)
	for i := range s.Batch {
		k := int(s.Obs[i*4])
		steps = append(steps, k)
		for time := range 2 {
			at := time*s.Batch + i
			tape{}.draw(k+500*time, obs)
			avail(k+500*time, ok)
			if got := s.Obs[at*4 : at*4+4]; !reflect.DeepEqual(got, obs) {
				t.Fatalf("step %d shows %v at %d, want %v", k, got, time, obs)
			}
			if got := s.Avail[at*10 : at*10+10]; !reflect.DeepEqual(got, ok) {
				t.Fatalf("step %d has %v available at %d, want %v", k, got, time, ok)
			}
		}
		for j := range 4 {
			if got := s.Actions[i*4+j]; got != action(k, j) {
				t.Fatalf("step %d has action %d at %d, want %d", k, got, j, action(k, j))
			}
		}
		for j := range 2 {
			if got := s.Reward[i*2+j]; got != reward(k, j) {
				t.Fatalf("step %d pays %v to agent %d, want %v", k, got, j, reward(k, j))
			}
		}
		terminated, truncated := ended(k)
		if (s.Terminated[i] == 1) != terminated || (s.Truncated[i] == 1) != truncated || s.Terminated[i]*(1-s.Terminated[i]) != 0 || s.Truncated[i]*(1-s.Truncated[i]) != 0 {
			t.Fatalf("step %d: terminated %v, truncated %v, want %v, %v", k, s.Terminated[i], s.Truncated[i], terminated, truncated)
		}
	}
	return steps
}

func transitions(t testing.TB, e env.Env, capacity, warmup, batch int) *replay.Transitions {
	t.Helper()
	b, err := replay.NewTransitions(e, capacity, warmup, batch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func each(t *testing.T, f func(t *testing.T, e env.Env)) {
	for _, e := range []env.Env{tape{}, film{}} {
		t.Run(e.Spec().Name, func(t *testing.T) { f(t, e) })
	}
}

// TestRing: what comes out is what went in, of the last steps alone.
func TestRing(t *testing.T) {
	each(t, func(t *testing.T, e env.Env) {
		for _, c := range []struct{ steps, first int }{{1, 0}, {7, 0}, {10, 0}, {11, 1}, {34, 24}, {300, 290}} {
			b := transitions(t, e, 10, 0, 8)
			fill(b, e, 0, c.steps, 3)
			if first, next := b.Records(); int(first) != c.first || int(next) != c.steps || b.Len() != c.steps-c.first {
				t.Fatalf("after %d steps: records %d to %d and length %d, want %d to %d", c.steps, first, next, b.Len(), c.first, c.steps)
			}
			seen := map[int]bool{}
			for u := range int64(40) {
				for _, k := range check(t, b.Sample(rng.New(1).Split("replay", u))) {
					seen[k] = true
				}
			}
			for k := range c.steps {
				if seen[k] != (k >= c.first) {
					t.Errorf("after %d steps: step %d is sampled: %v", c.steps, k, seen[k])
				}
			}
		}
	})
}

func TestReady(t *testing.T) {
	for _, c := range []struct{ warmup, batch, want int }{{0, 4, 4}, {6, 4, 6}, {2, 4, 4}, {10, 1, 10}} {
		b := transitions(t, tape{}, 10, c.warmup, c.batch)
		for k := range 25 {
			if b.Ready() != (k >= c.want) {
				t.Errorf("warm-up %d, batch %d: ready after %d steps: %v", c.warmup, c.batch, k, b.Ready())
			}
			fill(b, tape{}, k, k+1, 1)
		}
	}
}

// TestSampleIsUniform: χ² of 40,000 draws from 100 steps has 99 degrees of freedom; 149 is exceeded with
// probability 0.001, 61 is fallen below with the same.
func TestSampleIsUniform(t *testing.T) {
	b := transitions(t, tape{}, 100, 0, 50)
	fill(b, tape{}, 0, 250, 5)
	count := make([]float64, 250)
	for u := range int64(800) {
		for _, k := range check(t, b.Sample(rng.New(2).Split("replay", u))) {
			count[k]++
		}
	}
	var chi2 float64
	for _, n := range count[150:] {
		chi2 += (n - 400) * (n - 400) / 400
	}
	if chi2 < 61 || chi2 > 149 {
		t.Errorf("χ² = %v, want 61 to 149", chi2)
	}
}

// TestSampleDependsOnKey and on what is held, not on what was drawn before.
func TestSampleDependsOnKey(t *testing.T) {
	each(t, func(t *testing.T, e env.Env) {
		one, two := transitions(t, e, 100, 0, 32), transitions(t, e, 100, 0, 32)
		fill(one, e, 0, 130, 5)
		fill(two, e, 0, 130, 2)
		two.Sample(rng.New(1))
		a := check(t, one.Sample(rng.New(7)))
		if b := check(t, two.Sample(rng.New(7))); !reflect.DeepEqual(a, b) {
			t.Errorf("one key draws %v and %v", a, b)
		}
		if b := check(t, one.Sample(rng.New(8))); reflect.DeepEqual(a, b) {
			t.Errorf("two keys draw the same %v", a)
		}
	})
}

// TestCheckpoints saves a buffer twice into a run directory, as it fills and when its ring has gone around, and
// loads each into a new one, which must go on as the old one does.
func TestCheckpoints(t *testing.T) {
	each(t, func(t *testing.T, e env.Env) {
		path := filepath.Join(t.TempDir(), "run")
		config := run.Config{Method: "m", World: e.Spec().Name}
		old := transitions(t, e, 20, 0, 8)
		filled := 0
		for n, steps := range []int{13, 17, 47} {
			d, err := run.Create(path, config)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 { // a program that goes on has loaded before it saves
				again := transitions(t, e, 20, 0, 8)
				if _, ok, err := d.Load(map[string]run.Checkpoint{"replay": again}); err != nil || !ok {
					t.Fatalf("loading: %v, %v", ok, err)
				}
				same(t, old, again)
				old = again
			}
			fill(old, e, filled, steps, 3)
			filled = steps
			if err := d.Save(int64(steps), map[string]run.Checkpoint{"replay": old}); err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
		loaded := transitions(t, e, 20, 0, 8)
		r, err := run.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.Restore(map[string]run.Checkpoint{"replay": loaded}); err != nil || n != 47 {
			t.Fatalf("restored %d, %v", n, err)
		}
		fill(old, e, 47, 60, 3)
		fill(loaded, e, 47, 60, 3)
		same(t, old, loaded)
		for name, other := range map[string]*replay.Transitions{
			"capacity": transitions(t, e, 21, 0, 8), "width": transitions(t, wider{e}, 20, 0, 8),
		} {
			if _, err := r.Restore(map[string]run.Checkpoint{"replay": other}); err == nil {
				t.Errorf("another %s is loaded", name)
			}
		}
	})
}

// wider is a world with one agent more.
type wider struct{ env.Env }

func (w wider) Spec() env.Spec {
	s := w.Env.Spec()
	s.Agents, s.Snapshot, s.Planes = 3, 0, nil
	return s
}

func same(t *testing.T, a, b *replay.Transitions) {
	t.Helper()
	first, next := a.Records()
	if f, n := b.Records(); f != first || n != next || a.Ready() != b.Ready() {
		t.Fatalf("records %d to %d, want %d to %d", f, n, first, next)
	}
	for n := first; n < next; n++ {
		if !reflect.DeepEqual(a.Record(n), b.Record(n)) {
			t.Fatalf("record %d differs", n)
		}
	}
	x, y := check(t, a.Sample(rng.New(3))), check(t, b.Sample(rng.New(3)))
	if !reflect.DeepEqual(x, y) {
		t.Errorf("one samples %v, the other %v", x, y)
	}
}

func TestLoadRefuses(t *testing.T) {
	var saved strings.Builder
	b := transitions(t, tape{}, 20, 0, 8)
	if err := b.Save(&saved); err != nil {
		t.Fatal(err)
	}
	width := fmt.Sprint(b.Width())
	for text, want := range map[string]string{
		strings.Replace(saved.String(), ":20", ":21", 1):            "replay: a buffer of 21 records of " + width + " bytes was saved, want 20 of " + width,
		strings.Replace(saved.String(), ":"+width, ":7", 1):         "replay: a buffer of 20 records of 7 bytes was saved, want 20 of " + width,
		strings.Replace(saved.String(), `"next":0`, `"next":-1`, 1): "replay: -1 records were saved, want 0 or more",
		saved.String()[:5]: "replay: unexpected EOF",
		"":                 "replay: EOF",
	} {
		if err := b.Load(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

type broken struct {
	tape
	spec env.Spec
}

func (b broken) Spec() env.Spec { return b.spec }

func TestNewRefuses(t *testing.T) {
	spec := tape{}.Spec()
	large, nameless, drift := spec, spec, spec
	large.Actions, nameless.Name, drift.ActDim = []int{2, 257}, "", 2
	for _, c := range []struct {
		spec                    env.Spec
		capacity, warmup, batch int
		want                    string
	}{
		{spec, 10, 0, 0, "replay: batches of 0 steps, want at least 1"},
		{spec, 3, 0, 4, "replay: a buffer of 3 steps, want at least a batch (4)"},
		{spec, 1 << 50, 0, 4, "replay: a buffer of 1125899906842624 steps of 49 bytes each, want at most 22439012811 steps (1 TB)"},
		{spec, 10, 11, 4, "replay: a warm-up of 11 steps, want 0 to the buffer's 10"},
		{spec, 10, -1, 4, "replay: a warm-up of -1 steps, want 0 to the buffer's 10"},
		{large, 10, 0, 4, "replay: tape has a head of 257 choices, want at most 256"},
		{drift, 10, 0, 4, "replay: tape has continuous actions of size 2, want discrete ones only"},
		{nameless, 10, 0, 4, "env: the spec has no name"},
	} {
		if _, err := replay.NewTransitions(broken{spec: c.spec}, c.capacity, c.warmup, c.batch); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestAllocations: a generator for Sample, nothing for Add.
func TestAllocations(t *testing.T) {
	each(t, func(t *testing.T, e env.Env) {
		b := transitions(t, e, 100, 0, 32)
		fill(b, e, 0, 100, 4)
		spec := e.Spec()
		before, after, act := env.NewBatch(spec, 8), env.NewBatch(spec, 8), env.Actions{Discrete: make([]int32, 32)}
		plays := func(i int) bool { return i != 3 }
		if n := testing.AllocsPerRun(50, func() { b.Add(before, act, after, plays) }); n != 0 {
			t.Errorf("Add allocates %v times", n)
		}
		if n := testing.AllocsPerRun(50, func() { b.Sample(rng.New(1)) }); n > 2 {
			t.Errorf("Sample allocates %v times, want at most 2", n)
		}
	})
}

// BenchmarkSample draws batches of 32 steps of two agents with 400 values each.
func BenchmarkSample(b *testing.B) {
	for _, observer := range []bool{false, true} {
		e := env.Env(sized{})
		if observer {
			e = drawn{}
		}
		b.Run(e.Spec().Name, func(b *testing.B) {
			buf := transitions(b, e, 1000, 0, 32)
			before, after := env.NewBatch(e.Spec(), 1000), env.NewBatch(e.Spec(), 1000)
			buf.Add(before, env.Actions{Discrete: make([]int32, 2000)}, after, func(int) bool { return true })
			key, n := rng.New(1), 0
			b.ReportAllocs()
			for b.Loop() {
				n += buf.Sample(key.Split("replay", int64(n))).Batch
			}
			if n != 32*b.N {
				b.Fatalf("%d steps in %d batches", n, b.N)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "steps/s")
		})
	}
}

type sized struct{ tape }

func (sized) Spec() env.Spec {
	return env.Spec{Name: "stored", Agents: 2, Actions: []int{5}, ObsDim: 400}
}

type drawn struct{ sized }

func (drawn) Spec() env.Spec {
	return env.Spec{Name: "drawn", Agents: 2, Actions: []int{5}, ObsDim: 400, Snapshot: 40}
}

func (drawn) Observe(snapshot []byte, obs []float32) {
	clear(obs)
	for i, s := range snapshot {
		obs[10*i] = float32(s)
	}
}
