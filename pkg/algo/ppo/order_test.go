package ppo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
)

func shuffled(s System) System {
	s.Name, s.Train.RandomOrder = s.Name+"-shuffled", true
	return s
}

// An order follows from the environment's slot and the episode, and all orders occur.
func TestDrawOrder(t *testing.T) {
	seen := map[string]int{}
	for slot := range 2 {
		for episode := range int64(300) {
			order, again := make([]int32, 3), make([]int32, 3)
			drawOrder(rng.New(1), slot, episode, order)
			drawOrder(rng.New(1), slot, episode, again)
			if !slices.Equal(order, again) {
				t.Fatalf("episode %d has the orders %v and %v", episode, order, again)
			}
			seen[fmt.Sprint(order)]++
			if slices.Sort(order); !slices.Equal(order, []int32{0, 1, 2}) {
				t.Fatalf("%v is no permutation", again)
			}
		}
	}
	for order, n := range seen {
		if n < 60 || len(seen) != 6 {
			t.Errorf("of 600 orders %d are %s, want about 100 of each of 6", n, order)
		}
	}
}

// Rows in which agents choose in different orders give what InOrder gives for each order: actions, probabilities and
// values, bit for bit.
func TestRandomOrderEqualsInOrder(t *testing.T) {
	spec := sizes(3, 4, 5, 4, 0)
	c := small()
	base := STEER(tiny(), StateSlot, c)
	s := shuffled(base)
	d, store := stored(t, base, spec, xla.Go)
	w := randomRows(spec, 6)
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	var fed []int32
	for _, order := range orders {
		for _, agent := range order {
			fed = append(fed, int32(agent))
		}
	}
	p, err := xla.Compile(d, "act", store, s.actGraph(spec, true), s.actInputs(spec, 6, valuing)...)
	out := call(t, p, err, append(w.m.args(spec), fed, w.noise, w.explore)...)
	act, values := out[0].([]int32), out[1].([]float32)
	w.m.actions = act
	p, err = xla.Compile(d, "evaluation", store, s.evaluateGraph(spec), s.inputs(spec, 6, learning)...)
	logp := call(t, p, err, append(w.m.args(spec), fed)...)[0].([]float32)
	differ := 0
	for row, order := range orders {
		one := InOrder(base, order...)
		w.m.actions = nil
		p, err := xla.Compile(d, "act", store, one.actGraph(spec, true), one.actInputs(spec, 6, valuing)...)
		out := call(t, p, err, append(w.m.args(spec), w.noise, w.explore)...)
		if a, v := out[0].([]int32)[3*row:3*row+3], out[1].([]float32)[3*row:3*row+3]; !slices.Equal(a, act[3*row:3*row+3]) || !slices.Equal(v, values[3*row:3*row+3]) {
			t.Errorf("in the order %v agents do %v, worth %v, want %v, %v", order, act[3*row:3*row+3], values[3*row:3*row+3], a, v)
		}
		w.m.actions = act
		p, err = xla.Compile(d, "evaluation", store, one.evaluateGraph(spec), one.inputs(spec, 6, learning)...)
		all := call(t, p, err, w.m.args(spec)...)[0].([]float32)
		if got, want := logp[3*row:3*row+3], all[3*row:3*row+3]; !slices.Equal(got, want) {
			t.Errorf("in the order %v the log-probabilities are %v, want %v", order, got, want)
		}
		if !slices.Equal(logp[:3], all[:3]) {
			differ++
		}
	}
	if differ != 5 {
		t.Errorf("%d of 5 other orders change the probabilities of row 0", differ)
	}
}

// The learner finds the orders in which agents chose, episode by episode and over the ends of rollouts.
func TestLearnerKnowsOrders(t *testing.T) {
	c := small()
	c.Horizon = 4
	l := build(t, shuffled(STEER(tiny(), Token, c)), clock{}, xla.Go)
	play, changes := newPlayer(t, l, clock{}), 0
	for range 5 {
		sample := play.roll(t)
		if err := l.prepare(sample); err != nil {
			t.Fatal(err)
		}
		now, all := play.memory.(*memory).orders, l.past.orders
		if last := all[3*4*2:]; !slices.Equal(last, now) {
			t.Errorf("agents chose in the orders %v, the learner has %v", now, last)
		}
		if !slices.Equal(all[:8], all[24:]) {
			changes++
		}
		l.past.end(sample)
	}
	if changes == 0 {
		t.Error("no order ever changed")
	}
}

func TestResumeOfRandomOrder(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	c := small()
	c.LR = 0.05
	traintest.Resume(t, matrix.Coordination(), shuffled(MAT(tiny(), c)), 60)
}
