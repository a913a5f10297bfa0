package ppo

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

func TestBadSystems(t *testing.T) {
	good := MAPPO(MLP{Hidden: 8, Own: true}, small())
	for want, change := range map[string]func(s *System){
		"has no name":                      func(s *System) { s.Name = "" },
		"no Actor or no Surrogate":         func(s *System) { s.Surrogate = nil },
		"learning rate 0":                  func(s *System) { s.Train.LR = 0 },
		"λ = 2":                            func(s *System) { s.Train.Lambda = 2 },
		"γ = NaN":                          func(s *System) { s.Train.Gamma = math.NaN() },
		"clips ratios to 1 ± 0, want":      func(s *System) { s.Train.Clip = 0 },
		"clips ratios to 1 ± -0.2":         func(s *System) { s.Train.Clip = -0.2 },
		"clips gradients to -1":            func(s *System) { s.Train.ClipNorm = -1 },
		"0 epochs":                         func(s *System) { s.Train.Epochs = 0 },
		"4 environments × 0 steps":         func(s *System) { s.Train.Horizon = 0 },
		"rollout of 4 × 5 steps into 3":    func(s *System) { s.Train.Minibatches = 3 },
		"a policy floor of 1":              func(s *System) { s.Train.Floor = 1 },
		"has the trust region {KL:-1":      func(s *System) { *s = HATRPO(MLP{Hidden: 8}, small()); s.Train.Trust.KL = -1 },
		"trust region for agents that are": func(s *System) { s.Train.Trust.KL = 1 },
		"value loss × -1":                  func(s *System) { s.Train.ValueCoef = -1 },
		"from -1 to 0.01 over 500":         func(s *System) { s.Train.Entropy.From = -1 },
		"want networks of their own (Own)": func(s *System) { s.Turns.Next, s.Own = anyTurn, false },
		"together, want Turns.Next too":    func(s *System) { s.Turns.Trace = func(float64) float64 { return 1 } },
		"has a horizon of 5 steps, want at least a chunk of 6":      func(s *System) { *s = remembering(6) },
		"has a horizon of 5 steps, want a multiple of a chunk of 2": func(s *System) { *s = remembering(2) },
		"cannot deal 4 chunks to 3 minibatches": func(s *System) {
			*s = remembering(5)
			s.Train.Envs, s.Train.Horizon, s.Train.Minibatches = 4, 15, 3
			s.Train.Chunk = 15
		},
		"chunks of -1 steps": func(s *System) { *s = remembering(-1) },
		"recurrent networks and agents that choose one after":        func(s *System) { *s = HATRPO(MLP{Hidden: 8, Recurrent: true}, small()) },
		"keep 16 numbers of an environment and more, Memory says 1":  func(s *System) { *s = remembering(5); s.Memory = func(int) (int, int) { return 0, 1 } },
		"keep 32 numbers of an environment, Memory says 40":          func(s *System) { *s = remembering(5); s.Memory = func(int) (int, int) { return 20, 20 } },
		"RandomOrder for agents that choose at once":                 func(s *System) { s.Train.RandomOrder = true },
		"climb reports no costs, want a world with 1 for the limits": func(s *System) { s.Constraint = Constraint{Limits: []float64{3}, LR: 1} },
		"the constraint {Limits:[NaN] LR:1}":                         func(s *System) { s.Constraint = Constraint{Limits: []float64{math.NaN()}, LR: 1} },
		"the constraint {Limits:[1] LR:0}":                           func(s *System) { s.Constraint = Constraint{Limits: []float64{1}} },
		"has the order [0 0], want a permuta":                        func(s *System) { *s = InOrder(STEER(tiny(), Token, small()), 0, 0) },
		"has the order [0], want a permutati":                        func(s *System) { *s = InOrder(STEER(tiny(), Token, small()), 0) },
		"has the order [1 2], want a permuta":                        func(s *System) { *s = InOrder(MAT(tiny(), small()), 1, 2) },
	} {
		s := good
		change(&s)
		_, _, err := s.Build(train.Setup{Env: matrix.Climb{}, Key: rng.New(1), Backend: xla.Go})
		wantLine(t, err, want)
	}
}

func remembering(chunk int) System {
	c := small()
	c.Chunk = chunk
	return MAPPO(MLP{Hidden: 8, Own: true, Recurrent: true}, c)
}

// headed is a world of other action heads.
type headed struct {
	env.Env
	spec env.Spec
}

func (h headed) Spec() env.Spec { return h.spec }

func TestBadWorlds(t *testing.T) {
	s := MAT(tiny(), small())
	spec := matrix.Climb{}.Spec()
	spec.Actions = []int{3, 2}
	trust := HATRPO(MLP{Hidden: 8}, small())
	_, _, err := trust.Build(train.Setup{Env: headed{matrix.Climb{}, spec}, Key: rng.New(1), Backend: xla.Go})
	wantLine(t, err, "matrix/climb has 2 action heads, want one for hatrpo, which has a trust region")
	spec.Actions, spec.Costs = []int{3}, 2
	limited := MAPPO(MLP{Hidden: 8}, small())
	limited.Constraint = Constraint{Limits: []float64{1}, LR: 1}
	_, _, err = limited.Build(train.Setup{Env: headed{matrix.Climb{}, spec}, Key: rng.New(1), Backend: xla.Go})
	wantLine(t, err, "matrix/climb reports 2 costs and mappo limits 1, want a limit of each")
	spec.Actions, spec.ActDim = []int{3}, 1
	_, _, err = s.Build(train.Setup{Env: headed{matrix.Climb{}, spec}, Key: rng.New(1), Backend: xla.Go})
	wantLine(t, err, "matrix/climb has 1 action heads and continuous actions of size 1")
	market, err := oligopoly.Market{Firms: 2}.New()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Build(train.Setup{Env: market, Key: rng.New(1), Backend: xla.Go})
	wantLine(t, err, "oligopoly/2 has continuous actions, want Floor 0 for mat")
}

func TestBadMoments(t *testing.T) {
	l := build(t, MAPPO(MLP{Hidden: 8, Own: true}, small()), clock{}, xla.Go)
	batch := env.NewBatch(l.spec, 4)
	fill(batch.Avail, true)
	batch.Avail[6], batch.Avail[7] = false, false // agent 1 in environment 1
	err := l.actor.Act(batch, policy.None{}, exploring, rng.New(1), env.NewActions(l.spec, 4))
	wantLine(t, err, "ppo: clock: agent 1 in environment 1 has no available action, want at least one")

	sample := rolled(t, l, clock{})
	sample.Reward[(2*4+3)*2] = float32(math.NaN())
	_, err = l.Update(sample)
	wantLine(t, err, "ppo: mappo: the advantage of agent 0 in environment 3 is NaN at rollout 1")
	_, err = l.Update(&replay.Sample{Time: 3, Batch: 4})
	wantLine(t, err, "ppo: mappo takes rollouts of 5 steps × 4, got 3 × 4")
	sample = rolled(t, l, clock{})
	fill(sample.Obs, float32(math.Inf(1)))
	_, err = l.Update(sample)
	wantLine(t, err, "is NaN at rollout 1")
}
