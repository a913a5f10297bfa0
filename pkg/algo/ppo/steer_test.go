package ppo

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

func sizes(agents, obs, state, choices, continuous int) env.Spec {
	s := env.Spec{Name: "sizes", Agents: agents, ObsDim: obs, StateDim: state, ActDim: continuous}
	if choices > 0 {
		s.Actions = []int{choices}
	}
	return s
}

// The numbers are those of the authors' code without what it does not use (the specification's table in 3).
func TestParameterCounts(t *testing.T) {
	one, two := Transformer{64, 1, 1}, Transformer{64, 1, 2}
	for _, c := range []struct {
		what string
		sys  System
		spec env.Spec
		want int
	}{
		{"one-step games", STEER(one, Token, small()), sizes(2, 1, 2, 3, 0), 68_422},
		{"coordination", STEER(one, Token, small()), sizes(2, 15, 30, 3, 0), 69_346},
		{"cooperation", STEER(one, Token, small()), sizes(2, 15, 30, 2, 0), 69_217},
		{"highway, density 1", STEER(one, Token, small()), sizes(2, 27, 54, 5, 0), 70_396},
		{"football, 3 against 1", STEER(one, Token, small()), sizes(3, 105, 105, 19, 0), 77_414},
		{"spread", STEER(one, StateSlot, small()), sizes(3, 21, 63, 5, 0), 74_222},
		{"half cheetah", STEER(two, StateSlot, small()), sizes(6, 15, 17, 0, 1), 120_963},
		// STEER less positions 3d and the outer block 6d² + 10d, and with layer norm 2d and two layers of 6d² + 6d.
		{"one-step games, recurrent", STEERGRU(one, Token, small()), sizes(2, 1, 2, 3, 0), 68_422 - 3*64 - (6*64*64 + 640) + 128 + 2*(6*64*64+6*64)},
		// By hand, d = 64: encoder 2o + d(o+1) + 2d, block 6d²+10d, value head d²+3d+d+1; decoder d(A+1) + 2d, block
		// 10d²+16d, policy head d²+3d+(d+1)A.
		{"MAT, one-step games", MAT(one, small()), sizes(2, 1, 0, 3, 0), 2 + 64*2 + 128 + (6*64*64 + 640) + 64*64 + 4*64 + 1 + 64*4 + 128 + (10*64*64 + 16*64) + 64*64 + 3*64 + 65*3},
		// Layer norm 2o, dense layers o·h+h and h²+h with layer norms 2h each, head (h+1)A; two networks.
		{"IPPO's actors", System{Actor: MLP{Hidden: 64, Own: true}.actor()}, sizes(2, 5, 0, 3, 0), 2 * (10 + 6*64 + 128 + 65*64 + 128 + 65*3)},
	} {
		store := nn.NewStore(rng.New(1))
		d, err := xla.Open(xla.Go, 1)
		if err != nil {
			t.Fatal(err)
		}
		graph := c.sys.evaluateGraph(c.spec)
		if c.sys.Surrogate == nil {
			graph = c.sys.actGraph(c.spec, false)
			_, err = xla.Compile(d, "act", store, graph, c.sys.actInputs(c.spec, 2, acting)...)
		} else {
			_, err = xla.Compile(d, "evaluation", store, graph, inputs(c.spec, 2, true)...)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := nn.Count(store.Scope("/online")); got != c.want {
			t.Errorf("%s: %d parameters, want %d", c.what, got, c.want)
		}
	}
}

// world is random rows of a world of these sizes: what agents see, and what is drawn there.
type world struct {
	spec    env.Spec
	rows    int
	m       moments
	noise   []float32
	explore []float32
}

func randomRows(spec env.Spec, rows int) world {
	w := world{spec: spec, rows: rows, m: newMoments(spec, rows), noise: make([]float32, noiseSize(spec, rows)), explore: []float32{1}}
	r := rng.New(4).Rand()
	for _, x := range [][]float32{w.m.obs, w.m.state} {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
	}
	for i := range w.m.avail {
		w.m.avail[i] = i%spec.Actions[0] == 0 || r.IntN(3) > 0
	}
	draw(r, spec, w.noise)
	return w
}

// sequences are the systems whose agents choose one after another.
func sequences() []System {
	t := small()
	t.Floor, t.Components = 0, true
	ordered := InOrder(STEER(tiny(), StateSlot, t), 2, 0, 1)
	ordered.Name = "steer in another order"
	return []System{STEER(tiny(), Token, t), ordered, STEERGRU(tiny(), Token, t), MAT(tiny(), t), STEP(Hyper{6, 5}, t)}
}

// stored makes all weights that training would change from zero or almost zero large enough to matter.
func stored(t *testing.T, s System, spec env.Spec, backend string) (*xla.Device, *model.Store) {
	t.Helper()
	store := nn.NewStore(rng.New(2))
	host, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xla.Compile(host, "evaluation", store, s.evaluateGraph(spec), s.inputs(spec, s.chunk(), learning)...); err != nil {
		t.Fatal(err)
	}
	values, err := xla.Values(store, "/")
	if err != nil {
		t.Fatal(err)
	}
	for path, v := range values {
		r := rng.New(3).Split(path).Rand()
		for i := range v.Flat.([]float32) {
			v.Flat.([]float32)[i] += float32(0.3 * r.NormFloat64())
		}
	}
	store = nn.NewStore(rng.New(2))
	if err := xla.SetValues(store, values); err != nil {
		t.Fatal(err)
	}
	d, err := xla.Open(backend, 2)
	if err != nil {
		t.Fatal(err)
	}
	return d, store
}

func call(t testing.TB, p *xla.Program, err error, args ...any) []any {
	t.Helper()
	if err == nil {
		var out []any
		if out, err = p.Call(args...); err == nil {
			out = slices.Clone(out) // the program keeps its own
			for i := range out {
				switch x := out[i].(type) {
				case []float32:
					out[i] = slices.Clone(x)
				case []int32:
					out[i] = slices.Clone(x)
				}
			}
			return out
		}
	}
	t.Fatal(err)
	return nil
}

// What one pass over stored actions gives, heads and so probabilities, and values, equals what choosing one after
// another gave.
func TestParallelEqualsSequential(t *testing.T) {
	for _, backend := range backends(t) {
		heads := sizes(3, 4, 5, 4, 0)
		heads.Actions = []int{2, 2}
		for _, spec := range []env.Spec{sizes(3, 4, 5, 4, 0), sizes(3, 4, 0, 0, 2), heads} {
			for k, s := range sequences() {
				if backend != xla.Go && (k == 1 || len(spec.Actions) != 1) {
					continue // compiling takes long
				}
				d, store := stored(t, s, spec, backend)
				w := randomRows(spec, 16)
				p, err := xla.Compile(d, "act", store, s.headsGraph(spec), s.actInputs(spec, w.rows, acting)...)
				out := call(t, p, err, append(w.m.args(spec), w.noise, w.explore)...)
				values, heads := out[1].([]float32), out[2].([]float32)
				w.m.actions = out[0]
				p, err = xla.Compile(d, "heads", store, s.parallelGraph(spec), inputs(spec, w.rows, true)...)
				again := call(t, p, err, w.m.args(spec)...)
				compare(t, s.Name+" values", values, again[1].([]float32))
				compare(t, s.Name+" heads", heads, again[0].([]float32))
			}
		}
	}
}

func compare(t *testing.T, what string, a, b []float32) {
	t.Helper()
	spread := 0.0
	for i := range a {
		spread = max(spread, math.Abs(float64(a[i]-a[0])))
		if math.Abs(float64(a[i]-b[i])) > 1e-5*max(1, math.Abs(float64(a[i]))) {
			t.Errorf("%s: number %d is %v one after another and %v in one pass", what, i, a[i], b[i])
			return
		}
	}
	if len(a) != len(b) || spread < 0.1 {
		t.Errorf("%s: %d and %d numbers that differ by at most %v: nothing is compared", what, len(a), len(b), spread)
	}
}

// Another action of one agent changes nothing at its level and above, bit for bit, and something below; another
// observation changes all levels. (STEP reads the state.)
func TestCausality(t *testing.T) {
	spec := sizes(3, 4, 5, 4, 0)
	for _, s := range sequences() {
		order := []int{0, 1, 2}
		if s.Name == "steer in another order" {
			order = []int{2, 0, 1}
		}
		d, store := stored(t, s, spec, xla.Go)
		p, err := xla.Compile(d, "heads", store, s.parallelGraph(spec), inputs(spec, 2, true)...)
		w := randomRows(spec, 2)
		act := []int32{0, 0, 0, 0, 0, 0}
		w.m.actions = act
		before := call(t, p, err, w.m.args(spec)...)
		heads, values := before[0].([]float32), before[1].([]float32)
		changed := func() (h, v [3]bool) { // by agent, in the first row
			now := call(t, p, nil, w.m.args(spec)...)
			for a := range 3 {
				h[a] = !slices.Equal(heads[a*4:(a+1)*4], now[0].([]float32)[a*4:(a+1)*4])
				v[a] = values[a] != now[1].([]float32)[a]
			}
			if !slices.Equal(heads[12:], now[0].([]float32)[12:]) {
				t.Errorf("%s: another row changes", s.Name)
			}
			return h, v
		}
		for level, agent := range order {
			act[agent] = 1
			h, v := changed()
			for other, a := range order {
				lower := other > level
				if h[a] != lower || v[a] != (lower && s.Name != "mat") { // MAT's values do not see actions
					t.Errorf("%s: another action at level %d changes head %v and value %v at level %d", s.Name, level, h[a], v[a], other)
				}
			}
			act[agent] = 0
			if s.Name == "step" {
				continue
			}
			seen := w.m.obs[agent*4]
			w.m.obs[agent*4]++
			if h, v := changed(); h != [3]bool{true, true, true} || v != h {
				t.Errorf("%s: another observation at level %d changes heads %v and values %v, want all", s.Name, level, h, v)
			}
			w.m.obs[agent*4] = seen
		}
	}
}

// parallelGraph gives heads and values of stored actions.
func (s System) parallelGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		in, _ := look(spec, nodes, true)
		heads, values := s.networks(root.In("online"), in)
		return []*Node{heads, values}
	}
}

// headsGraph is actGraph that also gives the heads from which the actions were drawn.
func (s System) headsGraph(spec env.Spec) func(*model.Scope, []*Node) []*Node {
	return func(root *model.Scope, nodes []*Node) []*Node {
		heads, decode := make([]*Node, spec.Agents), s.Decode
		logged := s
		logged.Decode = func(scope *model.Scope, in Inputs, choose func(int, *Node) *Node) *Node {
			return decode(scope, in, func(agent int, head *Node) *Node {
				heads[agent] = head
				return choose(agent, head)
			})
		}
		out := logged.actGraph(spec, true)(root, nodes)
		return append(out, Stack(heads, 1))
	}
}
