package value

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// lamp is a world over entities that is learnt in seconds: two leaders and two followers see a lamp whose colour,
// of two, is drawn anew before each of four steps. Each step pays the share of agents who name the colour, so that random
// agents get 2 an episode and those who read the entities 4.
type lamp struct{}

func (lamp) Spec() env.Spec {
	return env.Spec{Name: "lamp", Agents: 4, Entities: 5, Actions: []int{2}, ObsDim: 1, EntityDim: 3, Roles: 3, MaxSteps: 4}
}

func (lamp) New() (env.Env, error) { return &burning{}, nil }

type burning struct {
	ep     env.Episode
	colour int32
	t      int
}

func (e *burning) Reset(ep env.Episode, out *env.Step) {
	e.ep, e.t = ep, 0
	e.show(out)
}

func (e *burning) Step(act env.Actions, out *env.Step) {
	paid := float32(0)
	for _, a := range act.Discrete {
		if a == e.colour {
			paid += 0.25
		}
	}
	for a := range out.Reward {
		out.Reward[a] = paid
	}
	if e.t++; e.t == 4 {
		out.Terminated, out.Outcome = true, env.Ended
	}
	e.show(out)
}

// show draws a colour. Entities are told by (is it a lamp, is it red, is it green); there is nothing else to see.
func (e *burning) show(out *env.Step) {
	e.colour = int32(e.ep.Rand.IntN(2))
	clear(out.Entities)
	clear(out.Hidden)
	clear(out.Obs)
	for i := range out.Present {
		out.Present[i] = true
	}
	for a := range out.Alive {
		out.Alive[a] = true
	}
	row := out.Entities[4*3:]
	row[0], row[1+e.colour] = 1, 1
	copy(out.Role, []uint8{1, 1, 2, 2, 3})
	for i := range out.Avail {
		out.Avail[i] = true
	}
}

func (*burning) Spec() env.Spec { return lamp{}.Spec() }

// TestEntityMethodsLearn: every method over entities learns to read the lamp. The twin is paid for other episodes.
func TestEntityMethodsLearn(t *testing.T) {
	short, width := Tiny(), TinyWidth()
	short.LR, short.UpdateEpisodes, short.TargetEvery, short.Epsilon.Steps = 3e-3, 8, 20, 8000
	twin := AQMIX(width, short)
	twin.Name, twin.Team = "twin", func(reward *Node) *Node { // [time, batch, agent], moved on by one in the batch
		r := SharedReward(reward)
		return Concatenate([]*Node{Slice(r, AxisRange(), AxisRangeToEnd(1)), Slice(r, AxisRange(), AxisRangeFromStart(1))}, 1)
	}
	for _, s := range []System{AQMIX(width, short), EntityVDN(width, short), REFIL(0.5, width, short), OOM(width, short), SOM(width, short)} {
		if got := named(t, s); got < 3.5 {
			t.Errorf("%s gets %.2f an episode, want at least 3.5", s.Name, got)
		}
	}
	if got := named(t, twin); got > 2.5 {
		t.Errorf("paid for other episodes it gets %.2f: the check would not notice a broken method", got)
	}
}

// named is what a method gets after 8,000 steps.
func named(t *testing.T, s System) float64 {
	t.Helper()
	e := &train.Experiment{Env: lamp{}, Method: s, Steps: 8000, Dir: t.TempDir(), Eval: train.Eval{Episodes: 200}}
	_, final := result(t, e)
	got := stats.Mean(final.Values("return"))
	t.Logf("%s: %.2f after %d updates in %.1f s", s.Name, got, e.Progress().Updates, e.Progress().Seconds)
	return got
}
