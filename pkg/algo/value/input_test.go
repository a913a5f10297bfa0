package value

import (
	"context"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/team"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestWorldsThatDoNotFit: one line names the method, the world, what is missing, and what would fit.
func TestWorldsThatDoNotFit(t *testing.T) {
	refil := REFIL(0.5, TinyWidth(), Tiny())
	led := refil
	led.Name, led.Group = "led", Group{Matcher: team.OOM()}
	led.Agent.Scores = func(_ *model.Scope, in Inputs) *Node { return nil }
	blind := QMIX(Tiny())
	blind.Sees.State = false
	for _, c := range []struct {
		sys  System
		w    env.World
		want string
	}{
		{QMIX(PyMARL()), matrix.Climb{}, "value: qmix needs a global state, which matrix/climb has not; value.IQL, value.VDN would fit"},
		{QPLEX(PyMARL()), matrix.Climb{}, "value: qplex needs a global state, which matrix/climb has not"},
		{OWQMIX(0.5, PyMARL()), matrix.Climb{}, "value: ow-qmix needs a global state, which matrix/climb has not"},
		{QTRAN(1, 0.1, PyMARL()), matrix.Climb{}, "value: qtran needs a global state, which matrix/climb has not"},
		{refil, matrix.TwoStep{}, "value: refil needs entities, which matrix/two-step has not; value.IQL, value.VDN, value.QMIX would fit"},
		{led, shortGroups(), "value: led needs leaders, which matching/groups-4x6 has not; value.IQL, value.VDN, value.QMIX, value.AQMIX, value.REFIL would fit"},
		{IQL(PyMARL()), sized{env.Spec{Name: "dark", Agents: 2, Actions: []int{2}, StateDim: 1, MaxSteps: 3}}, "value: iql needs observations, which dark has not; no method of this package fits it"},
		{IQL(PyMARL()), sized{env.Spec{Name: "endless", Agents: 2, Actions: []int{2}, ObsDim: 1}}, "endless has episodes without a bound"},
	} {
		e, err := c.w.New()
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.sys.Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
		wantLine(t, err, c.want)
	}
}

// sized is a world that only has sizes.
type sized struct{ spec env.Spec }

func (w sized) Spec() env.Spec                 { return w.spec }
func (w sized) New() (env.Env, error)          { return w, nil }
func (sized) Reset(_ env.Episode, _ *env.Step) {}
func (sized) Step(env.Actions, *env.Step)      {}

// TestBadConstants: what a user may get wrong in constants and networks of methods with memory.
func TestBadConstants(t *testing.T) {
	for want, change := range map[string]func(*System){
		"value: qmix has batches of 32 from a buffer of 31":                                       func(s *System) { s.Train.Buffer = 31 },
		"value: qmix carries 64 numbers from step to step and updates every 0 episodes":           func(s *System) { s.Train.UpdateEpisodes = 0 },
		"value: qmix has λ = 1.5, want 0 to 1":                                                    func(s *System) { s.Train.Lambda = 1.5 },
		"value: qmix forms groups by oom but its Agent has no Scores":                             func(s *System) { s.Group.Matcher = team.OOM() },
		"a joint value of the agents' memories needs agents with memory, such as value.Recurrent": func(s *System) { s.Mixer = Unrestricted(8); s.Agent = forgetful() },
	} {
		s := QMIX(PyMARL())
		change(&s)
		e, err := matrix.TwoStep{}.New()
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
		wantLine(t, err, want)
	}
}

// forgetful is Recurrent without the memory.
func forgetful() Agent {
	return FeedForward(func(s *model.Scope, in Inputs) *Node { return layer(s, flat(in), in.Spec.Choices()) })
}

// TestEmptyReplay: neither a buffer without episodes nor one with fewer than a batch is ready, and a sample of nothing
// is refused before it makes every weight NaN.
func TestEmptyReplay(t *testing.T) {
	sys := VDN(handTraining())
	sys.Train.Batch = 3
	e, err := matrix.TwoStep{}.New()
	if err != nil {
		t.Fatal(err)
	}
	l, buffer, err := sys.Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
	if err != nil {
		t.Fatal(err)
	}
	if buffer.Ready() {
		t.Error("an empty replay is ready")
	}
	s := buffer.(*replay.Episodes).Sample(rng.New(2))
	_, err = l.Update(s)
	wantLine(t, err, "value: vdn got a sample without a step: nothing is remembered yet")
	s.Batch = 4
	_, err = l.Update(s)
	wantLine(t, err, "value: vdn takes samples of batch 3")
}

// odd is the two-step game with a mistake.
type odd struct{ mistake func(out *env.Step) }

func (w odd) New() (env.Env, error) {
	e, err := matrix.TwoStep{}.New()
	return &oddGame{Env: e, w: w}, err
}

type oddGame struct {
	env.Env
	w     odd
	steps int
}

func (e *oddGame) Step(act env.Actions, out *env.Step) {
	e.Env.Step(act, out)
	if e.steps++; e.steps > 40 {
		e.w.mistake(out)
	}
}

// TestWorldsMistakes: rewards that are no numbers and agents who cannot do anything stop the run with one line.
func TestWorldsMistakes(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	constants := PyMARL()
	constants.Batch, constants.Buffer = 4, 50
	for want, mistake := range map[string]func(out *env.Step){
		"matrix/two-step pays agent 1 a reward of NaN":  func(out *env.Step) { out.Reward[1] = float32(math.NaN()) },
		"matrix/two-step pays agent 0 a reward of -Inf": func(out *env.Step) { out.Reward[0] = float32(math.Inf(-1)) },
		"action 0 of agent 1 in environment 0 is not available": func(out *env.Step) {
			out.Avail[2], out.Avail[3] = false, false
		},
	} {
		e := &train.Experiment{Env: odd{mistake}, Method: QMIX(constants), Steps: 200, Dir: t.TempDir()}
		wantLine(t, e.Run(context.Background()), want)
	}
	crowd := battle.SZ(3, 4, 5).WithLeaders(3)
	e := &train.Experiment{Env: crowd, Method: AQMIX(TinyWidth(), Tiny()), Steps: 200, Dir: t.TempDir()}
	wantLine(t, e.Run(context.Background()), "no more leaders than followers")
}
