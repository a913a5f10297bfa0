package value

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// scene is a sample of two episodes, of 4 and 3 agents in 4 slots, and of 3 and 2 others in as many slots as the spec
// has for them: random entities, absent ones too, a third of all that is present hidden, nothing else special.
type scene struct {
	spec   env.Spec
	sample *replay.Sample
	slots  []int32 // [time+1, batch, agent], of groups drawn at random
}

const sceneAgents = 4

func newScene(others int) scene {
	spec := env.Spec{Name: "scene", Agents: sceneAgents, Entities: sceneAgents + others, EntityDim: 5, Actions: []int{6}, Roles: 3, MaxSteps: 3}
	r, n, e, b, steps := rand.New(rand.NewPCG(4, 5)), sceneAgents, sceneAgents+others, 2, 3
	s := &replay.Sample{
		Time: steps, Batch: b, Key: rng.New(7), Entities: make([]float32, (steps+1)*b*e*spec.EntityDim), Hidden: make([]bool, (steps+1)*b*n*e),
		Present: make([]bool, (steps+1)*b*e), Role: make([]uint8, (steps+1)*b*e), Episodes: []replay.Stretch{{Row: 0, Steps: steps}, {Row: 1, Steps: steps}}, Avail: make([]bool, (steps+1)*b*n*6), Actions: make([]int32, steps*b*n),
		Reward: make([]float32, steps*b*n), Terminated: []float32{0, 0, 0, 0, 0, 1}, Truncated: make([]float32, steps*b), Filled: []float32{1, 1, 1, 1, 1, 1},
	}
	here := func(b, j int) bool { return j < sceneAgents-b || j >= sceneAgents && j < sceneAgents+3-b }
	for i := range s.Present {
		s.Present[i] = here(i/e%b, i%e)
		if s.Role[i] = 3; i%e < n {
			s.Role[i] = uint8(1 + i%e/2) // two leaders, two followers
		}
	}
	slots := make([]int32, (steps+1)*b*n)
	for i := range slots {
		if slots[i] = -1; here(i/n%b, i%n) {
			slots[i] = 2 * int32(r.IntN(2))
		}
	}
	// What is there is drawn first, entity by entity, so that further slots do not change it.
	for _, j := range append([]int{0, 1, 2, 3, 4, 5, 6}, rest(7, e)...) {
		for moment := range (steps + 1) * b {
			for k := range spec.EntityDim {
				s.Entities[(moment*e+j)*spec.EntityDim+k] = float32(r.NormFloat64())
			}
			for a := range n {
				hide := r.Float64() < 0.33 && a != j
				s.Hidden[(moment*n+a)*e+j] = hide || !here(moment%b, j) || !here(moment%b, a)
			}
		}
	}
	r = rand.New(rand.NewPCG(5, 5))
	for i := range s.Actions {
		s.Actions[i], s.Reward[i] = int32(r.IntN(6)), r.Float32()
	}
	for i := range s.Avail {
		s.Avail[i] = i%6 == 0 || r.IntN(2) > 0
	}
	return scene{spec, s, slots}
}

func rest(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// ask computes what out makes of the scene in a graph of the method, with weights drawn from one key and then changed
// by edit, if there is one.
func (c scene) ask(t *testing.T, sys System, edit func(map[string]xla.Value), out func(f *Forward) []*Node) [][]float32 {
	t.Helper()
	sys.Train.Batch = c.sample.Batch
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	feeds, store := newFeeds(sys, c.spec), nn.NewStore(rng.New(1))
	p, err := xla.Compile(d, t.Name(), store, func(root *model.Scope, in []*Node) []*Node {
		f, _ := feeds.forward(root, in)
		f.run()
		return out(f)
	}, feeds.declare(c.sample.Time, c.sample.Batch)...)
	if err != nil {
		t.Fatal(err)
	}
	values, err := xla.Values(store, "/")
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(values)
		if err := xla.SetValues(store, values); err != nil {
			t.Fatal(err)
		}
	}
	args := feeds.fill(c.sample, 0, false, 1)
	if sys.Group.on() {
		args = append(args, c.slots, c.slots)
	}
	answers, err := p.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]float32
	for _, a := range answers {
		list = append(list, a.([]float32))
	}
	return list
}

// alike fails where numbers differ by more than 1e-5, and where there are none.
func alike(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(float64(got[i]-want[i])) <= 1e-5) {
			t.Fatalf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// said is what a method says: values of all actions, of the team, and of the imagined team.
func said(f *Forward) []*Node {
	loss := Imagined(0.5)(f)
	out := []*Node{f.Values.Q, f.Total(), f.reported[0], loss}
	if f.sys.Agent.Scores != nil {
		out = append(out, f.sys.Agent.Scores(f.Online.ResetVisited().In("agent"), f.In))
	}
	return out
}

var saidNames = []string{"q", "Q_tot", "imagined loss", "loss", "scores"}

// attentive are those whose networks read entities.
func attentive() []System {
	return []System{REFIL(0.5, smallest(), briefly()), OOM(smallest(), briefly())}
}

// TestT10OrderOfOthers: enemies that change places, with all that is said of them, change nothing.
func TestT10OrderOfOthers(t *testing.T) {
	for _, sys := range attentive() {
		sys.Noise = ofPlaceless
		a, b := newScene(3), newScene(3)
		order := []int{0, 1, 2, 3, 6, 4, 5} // place → entity
		e, k := b.spec.Entities, b.spec.EntityDim
		for i := range b.sample.Present {
			from := i/e*e + order[i%e]
			b.sample.Present[i], b.sample.Role[i] = a.sample.Present[from], a.sample.Role[from]
		}
		for i := range b.sample.Hidden {
			b.sample.Hidden[i] = a.sample.Hidden[i/e*e+order[i%e]]
		}
		for i := range b.sample.Entities {
			b.sample.Entities[i] = a.sample.Entities[i/(e*k)*e*k+order[i/k%e]*k+i%k]
		}
		want, got := a.ask(t, sys, nil, said), b.ask(t, sys, nil, said)
		for i := range want {
			alike(t, sys.Name+": "+saidNames[i], got[i], want[i])
		}
	}
}

// ofPlaceless tosses no coins: agents 0 and 1 are imagined apart from everybody else, whatever their place.
func ofPlaceless(_ *rand.Rand, _ []bool, entity []float32) {
	clear(entity)
	entity[0], entity[1] = 1, 1
}

// TestT10EmptySlots: slots for more enemies, all of them empty, change nothing; nor does what stands in empty slots.
func TestT10EmptySlots(t *testing.T) {
	for _, sys := range attentive() {
		sys.Noise = ofPlaceless
		a, more, other := newScene(3), newScene(6), newScene(3)
		e, k := other.spec.Entities, other.spec.EntityDim
		for i := range other.sample.Entities {
			if b := i / (e * k) % 2; !other.sample.Present[b*e+i/k%e] {
				other.sample.Entities[i] += 100
			}
		}
		for i := range other.sample.Actions { // of absent agents: T12, too
			if b := i / sceneAgents % 2; !other.sample.Present[b*e+i%sceneAgents] {
				other.sample.Actions[i] = (other.sample.Actions[i] + 1) % 6
			}
		}
		want := a.ask(t, sys, nil, said)
		for name, c := range map[string]scene{"more slots": more, "other contents": other} {
			got := c.ask(t, sys, nil, said)
			for i := range want {
				if saidNames[i] != "scores" { // those of absent agents are read by nobody
					alike(t, sys.Name+", "+name+": "+saidNames[i], got[i], want[i])
				}
			}
		}
	}
}

// TestT11Coins: two entities are in one group with probability ∫ p² + (1−p)² dp = 2/3, and an episode is not like another.
func TestT11Coins(t *testing.T) {
	r, entity := rng.New(3).Rand(), make([]float32, 5)
	const draws = 60_000 // five standard errors of a share of 2/3: 0.0096
	same := [5]float64{}
	for range draws {
		CoinPerEntity(r, nil, entity)
		for j := range entity {
			if entity[j] == entity[0] {
				same[j] += 1. / draws
			}
			if entity[j] != 0 && entity[j] != 1 {
				t.Fatalf("coin %v, want 0 or 1", entity[j])
			}
		}
	}
	for j, p := range same[1:] {
		if math.Abs(p-2./3) > 0.01 {
			t.Errorf("entities 0 and %d are together in %.4f of the draws, want 0.667", j+1, p)
		}
	}
}

// TestT11Views: an agent's two imagined values depend on another entity just where they are to see it: within, on those of
// its own group that it sees; across, on those of the other group that it sees; the real one on both. Agents belong to
// their own group.
func TestT11Views(t *testing.T) {
	sys := REFIL(0.5, smallest(), briefly())
	sys.Noise = func(_ *rand.Rand, _ []bool, entity []float32) { copy(entity, []float32{0, 1, 0, 1, 0, 1, 1}) }
	coins := []float32{0, 1, 0, 1, 0, 1, 1}
	ask := func(c scene) [][]float32 {
		return c.ask(t, sys, nil, func(f *Forward) []*Node {
			in := f.All.moments(0, 1)
			real := f.Again(in).Q
			in.Views = splitViews(in)
			list := []*Node{real, f.Again(in).Q}
			for _, v := range in.Views {
				list = append(list, ConvertDType(v, floatType))
			}
			return list
		})
	}
	a := newScene(3)
	base, n, e, k := ask(a), sceneAgents, a.spec.Entities, a.spec.EntityDim
	for i := range n * e {
		same := coins[i/e] == coins[i%e]
		for b := range 2 {
			if (base[2][b*n*e+i] == 1) != same || (base[3][b*n*e+i] == 1) == same {
				t.Errorf("pair (%d, %d): within %v, across %v", i/e, i%e, base[2][i], base[3][i])
			}
		}
	}
	checked := 0
	for j := range e {
		c := newScene(3)
		for b := range 2 {
			for f := range k {
				c.sample.Entities[(b*e+j)*k+f] += 3
			}
		}
		got := ask(c)
		changed := func(out, at, rows int) bool { // row at of episode b
			return !slices.Equal(got[out][at*6:(at+1)*6], base[out][at*6:(at+1)*6])
		}
		for b := range 2 {
			for i := range n {
				if i == j || !a.sample.Present[b*e+i] {
					continue
				}
				checked++
				seen, same := !a.sample.Hidden[(b*n+i)*e+j], coins[i] == coins[j]
				if got := changed(0, b*n+i, n); got != seen {
					t.Errorf("episode %d: the real value of agent %d changes with entity %d: %v, want %v", b, i, j, got, seen)
				}
				if got := changed(1, b*2*n+i, 2*n); got != (seen && same) {
					t.Errorf("episode %d: the value within of agent %d changes with entity %d: %v, want %v", b, i, j, got, seen && same)
				}
				if got := changed(1, b*2*n+n+i, 2*n); got != (seen && !same) {
					t.Errorf("episode %d: the value across of agent %d changes with entity %d: %v, want %v", b, i, j, got, seen && !same)
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d pairs checked, want more", checked)
	}
}

// TestT12Mixers: the team's value never falls where an agent's rises, and rises with that of each agent who is there.
func TestT12Mixers(t *testing.T) {
	for _, sys := range append(attentive(), func() System {
		s := REFIL(0.5, smallest(), briefly())
		s.Name, s.Mixer = "linear", LinearFlexible(smallest())
		return s
	}()) {
		c := newScene(3)
		got := c.ask(t, sys, nil, func(f *Forward) []*Node {
			q := Mul(f.Chosen(f.Values), Scalar(f.Reward.Graph(), floatType, 20)) // far into the ELU's both sides
			in := f.In
			in.Views = splitViews(f.In)
			both := Concatenate([]*Node{q, MulScalar(q, -1)}, 2)
			return []*Node{Gradient(ReduceAllSum(f.Mix(q, f.Values, f.In)), q)[0], Gradient(ReduceAllSum(f.Mix(both, f.Values, in)), both)[0]}
		})
		for view, g := range got {
			rows := sceneAgents * (view + 1)
			for i, x := range g {
				here := c.sample.Present[i/rows%2*c.spec.Entities+i%sceneAgents]
				if !(x >= 0) || here && x == 0 {
					t.Errorf("%s, %d views: ∂Q_tot/∂q of agent %d (there: %v) is %v, want more than 0", sys.Name, view+1, i%sceneAgents, here, x)
				}
			}
		}
	}
}
