package ppo

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// agreement is the share of plays in which students, acting at the same time, end at want.
func agreement(t *testing.T, students policy.Policy, w matrix.Game, want []int32) float64 {
	t.Helper()
	const plays = 100
	result, err := eval.Run(t.Context(), w, students, rng.New(9), eval.Plan{Stream: "eval", Episodes: plays, Envs: 10, Record: plays})
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, e := range result.Recorded {
		if e.Actions[0][0] == want[0] && e.Actions[0][1] == want[1] {
			same++
		}
	}
	return float64(same) / plays
}

// Students of a teacher that has solved a game do what it does, without knowing what the leader has chosen; untrained
// ones do so by chance at best.
func TestDistill(t *testing.T) {
	games, seeds := []matrix.Game{matrix.SkewedPenalty(-100)}, uint64(1)
	if long() {
		games, seeds = append(games, matrix.Mixing()), 10
	}
	for _, w := range games {
		lucky := uint64(0) // seeds whose untrained students do as the teacher
		for seed := range seeds {
			p := learn(t, STEER(one(), Token, Ours(OneStep(), 10_000)), w, seed, 10_000)
			want := p.greedy[len(p.greedy)-1]
			if solution := stackelberg(t, w); want[0] != solution[0] || want[1] != solution[1] {
				t.Logf("%s, seed %d: the teacher ends at %v", w.Name, seed, want)
				continue
			}
			d := Distilled()
			for _, d.LogRMSE = range []bool{false, true} {
				students, err := Distill(p.loop.Learner.Policy(), w, d, rng.New(seed))
				if err != nil {
					t.Fatal(err)
				}
				if got := agreement(t, students, w, want); got != 1 {
					t.Errorf("%s, seed %d: students do as the teacher in %.0f %% of plays, want 100", w.Name, seed, 100*got)
				}
			}
			d.LR = 1e-30
			students, err := Distill(p.loop.Learner.Policy(), w, d, rng.New(seed))
			if err != nil {
				t.Fatal(err)
			}
			if got := agreement(t, students, w, want); got > 0.5 && want[1] != 0 { // most untrained ones choose 0
				lucky++
			}
		}
		if lucky > seeds/4 {
			t.Errorf("%s: students that learn nothing do as the teacher in %d of %d seeds", w.Name, lucky, seeds)
		}
	}
}

// The losses of two students, by hand: π_T = (0.8, 0.2), (0.3, 0.7), students all but uniform.
func TestImitation(t *testing.T) {
	for _, c := range []struct {
		rmse bool
		want float64
	}{
		{false, 2 * math.Log(2)},
		{true, 0.5*math.Log(0.09+1e-8) + 0.5*math.Log(0.04+1e-8) - 0.02*math.Log(2)},
	} {
		spec := sizes(2, 1, 0, 2, 0)
		s := System{Actor: MLP{Hidden: 4, Own: true}.actor()}
		out := onGo(t, s.imitateGraph(spec, Distillation{LR: 1e-3, LogRMSE: c.rmse}), append(inputs(spec, 1, false), xla.F32(1, 2, 2), xla.F32(1)),
			[]float32{0, 0}, []bool{true, true, true, true}, []float32{0.8, 0.2, 0.3, 0.7}, []float32{1})
		near(t, "loss", float64(out[0].([]float32)[0]), c.want, 0.02)
	}
}

func TestBadDistillation(t *testing.T) {
	l := build(t, STEER(tiny(), Token, small()), matrix.Climbing(), xla.Go)
	d := Distilled()
	d.Epochs = 0
	_, err := Distill(l.Policy(), matrix.Climbing(), d, rng.New(1))
	wantLine(t, err, "200 episodes in 0 epochs")
	d = Distilled()
	d.Episodes = 3
	_, err = Distill(l.Policy(), matrix.Climbing(), d, rng.New(1))
	wantLine(t, err, "3 episodes of matrix/climbing have 3 steps, want at least a batch of 20")
	_, err = Distill(nil, matrix.Climbing(), d, rng.New(1))
	wantLine(t, err, "the teacher is a <nil>")
	l = build(t, remembering(5), clock{}, xla.Go)
	_, err = Distill(l.Policy(), clock{}, Distilled(), rng.New(1))
	wantLine(t, err, "clock has 1 action heads, and mappo keeps 16 hidden numbers (random order: false), want one head, no memory and one order")
	c := small()
	c.Floor = 0
	l = build(t, STEER(tiny(), Token, c), oligopoly.Market{Firms: 2}, xla.Go)
	_, err = Distill(l.Policy(), oligopoly.Market{Firms: 2}, Distilled(), rng.New(1))
	wantLine(t, err, "oligopoly/2 has continuous actions")
}
