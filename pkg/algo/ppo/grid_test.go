package ppo

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// A trial is a finished run of the long checks.
type trial struct {
	run   *run.Run
	evals []run.Evaluation // of the stream "eval", in order
	final *run.Evaluation
}

// tried trains s on w, unless the run is there already: below MUSTER_RUNS, where that is set. With MUSTER_RESULTS the
// run's summary, of at most points points, is written below that folder.
func tried(t *testing.T, s System, w env.World, seed uint64, steps int64, e train.Eval, points int) trial {
	t.Helper()
	if !long() {
		t.Skip("takes long: set MUSTER_LONG=1")
	}
	if os.Getenv("MUSTER_RUNS") == "" {
		t.Setenv("MUSTER_RUNS", t.TempDir())
	}
	spec, err := env.Probe(w)
	if err != nil {
		t.Fatal(err)
	}
	dir := run.Path(s.Name, spec.Name, seed)
	x := &train.Experiment{Env: w, Method: s, Seed: seed, Steps: steps, Dir: dir, Eval: e, LogEvery: steps / 20}
	if spec.MaxSteps == 1 {
		x.Threads = 1 // rollouts too small for more
	}
	if err := x.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := trial{}
	if out.run, err = run.Open(dir); err != nil {
		t.Fatal(err)
	}
	if results := os.Getenv("MUSTER_RESULTS"); results != "" && points > 0 {
		if err := out.run.Thinned(filepath.Join(results, s.Name, filepath.FromSlash(spec.Name), fmt.Sprint(seed)), points); err != nil {
			t.Fatal(err)
		}
	}
	all, err := out.run.Evaluations()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Stream == "eval" {
			out.evals = append(out.evals, v)
		}
	}
	if out.final, err = out.run.Final(""); err != nil {
		t.Fatal(err)
	}
	return out
}

// learner is the trained learner.
func (r trial) learner(t *testing.T, s System, w env.World) *learner {
	t.Helper()
	l := build(t, s, w, "")
	if _, err := r.run.Restore(map[string]run.Checkpoint{"learner": l}); err != nil {
		t.Fatal(err)
	}
	return l
}

// A hit says whether the greedy joint action of an evaluation is the one that is looked for.
type hit func(e run.Evaluation) bool

// solved is a hit at the Stackelberg outcome, agent 0 deciding first.
func solved(e run.Evaluation) bool { return e.Metrics["stackelberg"][0] == 1 }

// paying is a hit at a joint action with this mean payoff.
func paying(mean float64) hit { return func(e run.Evaluation) bool { return e.Returns[0] == mean } }

// held reports whether every evaluation of the last fifth of steps is a hit.
func (r trial) held(h hit) bool {
	for _, e := range r.evals[len(r.evals)*4/5:] {
		if !h(e) {
			return false
		}
	}
	return true
}

// sampled is the mean return per play of the last tenth of training.
func (r trial) sampled(t *testing.T) float64 {
	t.Helper()
	points, err := r.run.Metrics("train_return")
	if err != nil {
		t.Fatal(err)
	}
	last := points[len(points)*9/10:]
	sum := 0.0
	for _, p := range last {
		sum += p.Value
	}
	return sum / float64(len(last))
}

// plays judges a game of one step after every fifth update.
func plays() train.Eval { return train.Eval{Every: 500, Episodes: 1, Record: -1} }

// Ten seeds of 20,000 plays under Ours (8.6, 8.8).
func TestOneStepGames(t *testing.T) {
	ours := Ours(OneStep(), 20_000)
	// Agent 1 first: (0, 2), which alone pays −2 in the mean.
	reversed := InOrder(STEER(one(), Token, ours), 1, 0)
	reversed.Name = "steer-reversed"
	type row struct {
		sys     System
		world   matrix.Game
		hit     hit
		least   int // seeds that hold the solution, of 10
		most    int
		replies int // least number of seeds with the right reply to every choice
		sampled float64
	}
	penalty, mixing, climbing := matrix.SkewedPenalty(-100), matrix.Mixing(), matrix.Climbing()
	steer, mat := STEER(one(), Token, ours), MAT(one(), ours)
	rows := []row{
		{steer, penalty, solved, 9, 10, 0, 7}, {steer, mixing, solved, 9, 10, 9, 2},
		// 8 of 10 measured instead of 9 (of seeds 10 to 19 all 10): the leader tries the reply to a choice that it hardly makes any
		// more, which has drifted. With twice the policy floor, 0.06, all 10 hold.
		{steer, matrix.MixingReverse(), solved, 8, 10, 0, -100},
		{steer, climbing, solved, 8, 10, 0, 14}, {reversed, mixing, paying(-2), 9, 10, 0, -100},
	}
	// Penalty's solution is an equilibrium of simultaneous choices, too, and those who learn fast find it (measured: MAPPO in
	// 10 of 10; the reference expects none); at a tenth of the learning rate none does. See TestPenaltyIsAMatterOfSpeed.
	for _, s := range []System{MAPPO(apart(), ours), HAPPO(apart(), ours), IPPO(apart(), ours), A2PO(apart(), ours)} {
		rows = append(rows, row{s, mixing, solved, 0, 0, 0, -100}, row{s, climbing, solved, 0, 0, 0, -100}, row{s, penalty, solved, 0, 10, 0, -100})
	}
	slow := MAPPO(apart(), ours)
	slow.Name, slow.Train.LR = "mappo-slow", ours.LR/10
	rows = append(rows, row{slow, penalty, solved, 0, 0, 0, 1})
	for _, w := range []matrix.Game{penalty, mixing, matrix.MixingReverse(), climbing} {
		rows = append(rows, row{mat, w, solved, 0, 10, 0, -100})
	}
	rows = append(rows, row{STEP(Hyper{64, 16}, ours), mixing, solved, 0, 10, 0, -100}, row{STEP(Hyper{64, 16}, ours), climbing, solved, 0, 10, 0, -100})
	for _, r := range rows {
		t.Run(r.sys.Name+"/"+filepath.Base(r.world.Name), func(t *testing.T) {
			held, end, replies, sampled, ends := 0, 0, 0, 0.0, []float64{}
			for seed := range uint64(10) {
				points := 6
				if r.sys.Name == "ippo" || r.sys.Name == "a2po" {
					points = 0 // tables show neither
				}
				p := tried(t, r.sys, r.world, seed, 20_000, plays(), points)
				if p.held(r.hit) {
					held++
				}
				if r.hit(*p.final) {
					end++
				}
				if r.sys.Decode != nil && r.sys.Name != reversed.Name {
					l := p.learner(t, r.sys, r.world)
					if solves(r.world, (played{loop: &train.Loop{Learner: l}}).replies(t, 0)) {
						replies++
					}
				}
				sampled, ends = sampled+p.sampled(t)/10, append(ends, p.final.Returns[0])
			}
			t.Logf("held in %d of 10, at the end in %d, all replies exact in %d, sampled reward %.2f; greedy mean payoffs %v", held, end, replies, sampled, ends)
			if held < r.least || held > r.most || replies < r.replies || sampled < r.sampled {
				t.Errorf("held in %d of 10, all replies exact in %d, a sampled reward of %.2f, want %d to %d, %d and %v", held, replies, sampled, r.least, r.most, r.replies, r.sampled)
			}
		})
	}
}

// The gap of the released constants (8.7): 10,000 plays leave STEER at the safe joint action of Penalty(−100), and solve
// Penalty(0) and Mixing.
func TestReleasedConstants(t *testing.T) {
	named := func(s System) System { s.Name += "-released"; return s }
	released := Released(OneStep())
	steer := named(STEER(one(), Token, released))
	for _, c := range []struct {
		sys         System
		world       matrix.Game
		hit         hit
		least, most int
	}{
		{steer, matrix.SkewedPenalty(0), solved, 9, 10},
		{steer, matrix.SkewedPenalty(-100), paying(2), 8, 10},
		{steer, matrix.Mixing(), solved, 8, 10},
		{named(MAPPO(apart(), released)), matrix.Mixing(), solved, 0, 2}, // it cycles, and passes the solution: 1 of 10, never held
		{named(MAT(one(), released)), matrix.Mixing(), solved, 0, 10},
	} {
		t.Run(c.sys.Name+"/"+filepath.Base(c.world.Name), func(t *testing.T) {
			at, held, ends := 0, 0, []float64{}
			for seed := range uint64(10) {
				p := tried(t, c.sys, c.world, seed, 10_000, plays(), 6)
				if c.hit(*p.final) {
					at++
				}
				if p.held(c.hit) {
					held++
				}
				ends = append(ends, p.final.Returns[0])
			}
			t.Logf("a hit in %d of 10 at the end, held in %d; greedy mean payoffs %v", at, held, ends)
			if at < c.least || at > c.most {
				t.Errorf("a hit in %d of 10 at the end, want %d to %d", at, c.least, c.most)
			}
		})
	}
}

// The checks of games of several steps (8.10): Coordination's solution is worth 29 and 24, Cooperation's 13.
func TestNStepGames(t *testing.T) {
	const steps = 200_000
	ours := Ours(NStep(), steps)
	for _, c := range []struct {
		sys         System
		world       env.World
		want        float64
		least, most int // seeds of 5
	}{
		{STEER(one(), Token, ours), matrix.Coordination(), 26.5, 3, 5},
		{MAPPO(apart(), ours), matrix.Coordination(), 26.5, 0, 1},
		{STEER(one(), Token, ours), matrix.Cooperation(), 13, 4, 5},
		{MAT(one(), ours), matrix.Coordination(), 26.5, 0, 5},
	} {
		spec, err := env.Probe(c.world)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.sys.Name+"/"+filepath.Base(spec.Name), func(t *testing.T) {
			count, ends := 0, []float64{}
			for seed := range uint64(5) {
				p := tried(t, c.sys, c.world, seed, steps, train.Eval{Every: 10_000, Episodes: 1}, 21)
				if ends = append(ends, p.final.Returns[0]); p.final.Returns[0] == c.want {
					count++
				}
			}
			t.Logf("%v in %d of 5; greedy returns %v", c.want, count, ends)
			if count < c.least || count > c.most {
				t.Errorf("%v in %d of 5 seeds, want %d to %d", c.want, count, c.least, c.most)
			}
		})
	}
}
