package value

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// toy is a world of two agents with two actions that is only there for its sizes: samples are written by hand.
type toy struct{ steps int }

func (w toy) Spec() env.Spec {
	return env.Spec{Name: "toy", Agents: 2, Actions: []int{2}, ObsDim: 2, StateDim: 2, MaxSteps: w.steps}
}
func (w toy) New() (env.Env, error)      { return w, nil }
func (toy) Reset(env.Episode, *env.Step) {}
func (toy) Step(env.Actions, *env.Step)  {}

// readOff is an agent who observes what its actions are worth: w times that for the online weights, w being 1 at first,
// and 10 minus it for the target weights. It remembers a number that is always 0.
func readOff() Agent {
	return Agent{Memory: 1, Values: func(s *model.Scope, in Inputs) Values {
		g, d := in.Obs.Graph(), in.Obs.Shape().Dimensions
		q := Mul(in.Obs, Reshape(nn.Variable(s, g, "w", nn.Constant(1), 1, 1), 1, 1, 1, 1))
		if strings.HasPrefix(s.Scope(), "/target") {
			q = AddScalar(Neg(q), 10)
		}
		return Values{Q: q, Memory: Zeros(g, shapes.Make(q.DType(), d[0], d[1], d[2], 1))}
	}}
}

// handMade is a sample of two episodes of three steps. The first is cut off by the clock; agent 0 cannot choose
// action 1 at its moment 2. The second ends with its second step, and what lies behind is padding, with numbers that
// must not matter.
func handMade() *replay.Sample {
	const no = 77 // a number of padding
	s := &replay.Sample{
		Time: 3, Batch: 2, Episodes: []replay.Stretch{{Row: 0, Steps: 3}, {Row: 1, Steps: 2}}, Key: rng.New(1), State: []float32{1, 0, 0.5, -1, 0, 1, 2, 0.5, -1, 1, no, no, 0, 2, no, no}, Avail: slices.Repeat([]bool{true}, 4*2*4),
		Obs: []float32{
			1, 2, 3, 0 /**/, 4, 1, 1, 2,
			2, 1, 1, 4 /**/, 0, 2, 5, 1,
			0, 5, 2, 3 /**/, no, 1, 2, no,
			3, 1, 1, 2 /**/, no, 3, 4, no,
		},
		Actions:    []int32{1, 0 /**/, 0, 1 /**/, 0, 1 /**/, 1, 0 /**/, 0, 0 /**/, 0, 0},
		Reward:     []float32{0, 2 /**/, 1, 1 /**/, 2, 2 /**/, 4, 4 /**/, 3, 3 /**/, no, no},
		Terminated: []float32{0, 0, 0, 1, 0, 0}, Truncated: []float32{0, 0, 0, 0, 1, 0},
		Filled: []float32{1, 1, 1, 1, 1, 0},
	}
	s.Avail[2*8+1] = false
	return s
}

// What follows from handMade for the sum of both agents' values, at steps 0 to 2 of the first and 0 to 1 of the second:
//
//	values of what was done  5, 6, 2, 6, 7
//	greedy after the step    (0, 1) (0, 1) (0, 1), (1, 0)
//	which the target says is 8 + 6, 10 + 7, 7 + 8, 8 + 5
func handTraining() Training {
	t := PyMARL()
	t.Gamma, t.Batch, t.Buffer, t.TimeOutEnds, t.LR = 0.5, 2, 10, false, 0.1
	return t
}

func additive() System {
	sys := VDN(handTraining())
	sys.Sees, sys.Agent = Sees{Obs: true}, readOff()
	return sys
}

// updated makes one update and compares its metrics.
func updated(t *testing.T, l *learner, s *replay.Sample, want map[string]float64) {
	t.Helper()
	m, err := l.Update(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range want {
		if got, ok := m[name]; !ok || math.Abs(got-x) > 1e-4*max(1, math.Abs(x)) {
			t.Errorf("%s: %s is %v, want %v", l.sys.Name, name, got, x)
		}
	}
}

// put sets all weights of l to zero below a path, and then some of them.
func put(t *testing.T, l *learner, path string, some map[string]map[int]float32) {
	t.Helper()
	values, err := xla.Values(l.store, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) == 0 {
		t.Fatalf("no weights below %s", path)
	}
	used := 0
	for p, v := range values {
		flat := v.Flat.([]float32)
		clear(flat)
		if list, ok := some[strings.TrimPrefix(p, path)]; ok {
			used++
			for i, x := range list {
				flat[i] = x
			}
		}
	}
	if used != len(some) {
		t.Fatalf("%d of %d weights below %s are there: %v", used, len(some), path, values)
	}
	if err := xla.SetValues(l.store, values); err != nil {
		t.Fatal(err)
	}
}

// one is the weight of a path that matters in a hand-made network.
func one(i int, x float32) map[int]float32 { return map[int]float32{i: x} }
