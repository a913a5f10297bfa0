package ppo

import (
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// What a policy does of itself is its answer to just that; the leader's choice, and what nobody sees, change no answer
// but those of the agents behind it.
func TestAnswers(t *testing.T) {
	free := small()
	free.Floor = 0
	for _, c := range []struct {
		w env.World
		t Training
	}{{matrix.Climbing(), small()}, {oligopoly.Market{Firms: 2}, free}} {
		for _, s := range []System{STEER(tiny(), Token, c.t), MAT(tiny(), c.t), MAPPO(MLP{Hidden: 8}, c.t), InOrder(STEER(tiny(), Token, c.t), 1, 0)} {
			p := build(t, s, c.w, xla.Go).Policy()
			vec, err := env.NewVec(c.w, 1, func(int64) rng.Key { return rng.New(1) })
			if err != nil {
				t.Fatal(err)
			}
			now, err := vec.Before()
			if err != nil {
				t.Fatal(err)
			}
			act := env.NewActions(vec.Spec(), 1)
			if err := p.Act(now, nil, policy.Mode{}, rng.New(1), act); err != nil {
				t.Fatal(err)
			}
			vec.Close()
			own := make([]float64, 2)
			for i := range own {
				if act.Discrete != nil {
					own[i] = float64(act.Discrete[i])
				} else {
					own[i] = float64(env.Clip(act.Continuous[i]))
				}
			}
			got, err := Answers(p, c.w, rng.New(1), [][]float64{own, {0, own[1]}, {1, own[1]}, {own[0], 0}, {own[0], 1}})
			if err != nil {
				t.Fatal(err)
			}
			for agent := range own {
				near(t, s.Name+": its own choice", got[0][agent], own[agent], 1e-5)
			}
			for row, of := range [][2]int{{}, {0, 0}, {0, 0}, {1, 1}, {1, 1}} { // who was changed in that row
				if row > 0 {
					near(t, s.Name+": the agent's own entry", got[row][of[0]], own[of[0]], 1e-5)
				}
			}
			if s.Decode == nil && !slices.Equal(got[1], got[2]) {
				t.Errorf("%s: answers %v and %v to what nobody sees", s.Name, got[1], got[2])
			}
		}
	}
}

func TestBadAnswers(t *testing.T) {
	p := build(t, STEER(tiny(), Token, small()), matrix.Climbing(), xla.Go).Policy()
	for want, given := range map[string][][]float64{
		"answers to nothing":                     {},
		"row 0 of what is given has 1 actions":   {{0}},
		"row 1 gives agent 0 the choice 3, want": {{0, 0}, {3, 0}},
		"row 0 gives agent 1 the choice 0.5":     {{0, 0.5}},
	} {
		_, err := Answers(p, matrix.Climbing(), rng.New(1), given)
		wantLine(t, err, want)
	}
	random := small()
	random.RandomOrder = true
	for _, s := range []System{IPPO(MLP{Hidden: 8, Recurrent: true}, small()), STEER(tiny(), Token, random)} {
		_, err := Answers(build(t, s, matrix.Climbing(), xla.Go).Policy(), matrix.Climbing(), rng.New(1), [][]float64{{0, 0}})
		wantLine(t, err, "want one head, no memory and one order for answers")
	}
	_, err := Answers(nil, matrix.Climbing(), rng.New(1), [][]float64{{0, 0}})
	wantLine(t, err, "the answers of a <nil>")
}
