package lqteam

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/rng"
)

func start(t *testing.T, w Team, s ...float64) (*team, *env.Step) {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	team, out := e.(*team), env.NewBatch(e.Spec(), 1).At(0)
	copy(team.s, s)
	team.begin(out)
	return team, out
}

// TestStep by hand: two carts at 1 and −1 with velocities 0 and 0.5, actions 0.5 and 2, which is clipped to 1.
//
//	pull = −2 and 2; x ← 1, −1 + 0.05; v ← 0.1·(−2 + 3·0.5), 0.5 + 0.1·(2 − 0.25 + 3)
//	cost = 1 + 1 + 0.1·0.25 + 0.5·(0.25 + 1)
func TestStep(t *testing.T) {
	w := Six()
	w.Carts, w.Steps = 2, 2
	e, out := start(t, w, 1, -1, 0, 0.5)
	if out.Over() || out.Reward[0] != 0 || out.State[3] != 0.5 {
		t.Fatalf("begins with %+v", *out)
	}
	e.Step(env.Actions{Continuous: []float32{0.5, 2}}, out)
	for i, want := range []float64{1, -0.95, -0.05, 0.975} {
		if math.Abs(e.s[i]-want) > 1e-12 || out.State[i] != float32(want) || out.Obs[i] != float32(want) || out.Obs[6+i] != float32(want) {
			t.Errorf("the state is %v, shown as %v and %v, want %v at %d", e.s, out.State, out.Obs, want, i)
		}
	}
	if o := out.Obs; o[4] != 1 || o[5] != 0 || o[10] != 0 || o[11] != 1 {
		t.Errorf("observations %v do not end with the agents' numbers", o)
	}
	if want := float32(-2.65); math.Abs(float64(out.Reward[0]-want)) > 1e-6 || out.Reward[1] != out.Reward[0] || out.Over() {
		t.Errorf("rewards %v, want %v for both", out.Reward, want)
	}
	e.Step(env.Actions{Continuous: []float32{0, 0}}, out)
	end := 1 + 0.95*0.95 + 0.1*(0.05*0.05+0.975*0.975) + quadratic(e.best.Cost, e.s)
	if math.Abs(float64(out.Reward[0])+end) > 1e-5 || !out.Terminated || out.Outcome != env.Ended {
		t.Errorf("the last step pays %v, want %v", out.Reward, -end)
	}
}

// TestRiccati: P fulfils its equation, found by another way than the one that made it, and is positive; for one cart
// without springs and friction also by iterating the equation 10,000 times.
func TestRiccati(t *testing.T) {
	stiff, slow := Six(), Six()
	stiff.Spring, stiff.Carts = 20, 5 // unstable when left alone
	slow.Dt, slow.Force, slow.Carts = 1e-3, 0.01, 2
	for _, w := range []Team{Six(), stiff, slow, {Carts: 1, Steps: 5, Dt: 0.1, Force: 1, Effort: 1}} {
		best, err := w.Solve()
		if err != nil {
			t.Fatal(err)
		}
		next := iterate(w, best.Cost)
		next.Sub(next, best.Cost)
		if worst := max(mat.Max(next), -mat.Min(next)); worst > 1e-9*mat.Max(best.Cost) {
			t.Errorf("%+v: P misses its equation by %v of %v", w, worst, mat.Max(best.Cost))
		}
		symmetric := mat.NewSymDense(2*w.Carts, nil)
		for i := range 2 * w.Carts {
			for j := range i + 1 {
				symmetric.SetSym(i, j, best.Cost.At(i, j))
			}
		}
		var factor mat.Cholesky
		if !factor.Factorize(symmetric) {
			t.Errorf("%+v: P is not positive", w)
		}
	}
	w := Team{Carts: 1, Steps: 5, Dt: 0.1, Force: 1, Effort: 1}
	best, _ := w.Solve()
	p, _ := w.weights()
	for range 10_000 {
		p = iterate(w, p)
	}
	p.Sub(p, best.Cost)
	if worst := max(mat.Max(p), -mat.Min(p)); worst > 1e-9 {
		t.Errorf("P of one cart is %v from what the equation iterates to", worst)
	}
}

// iterate is Q + Kᵀ·R·K + (A − B·K)ᵀ·P·(A − B·K), what one step and then P cost.
func iterate(w Team, p *mat.Dense) *mat.Dense {
	a, b := w.dynamics()
	q, r := w.weights()
	var pb, inner, right, gain, loop, force, ahead mat.Dense
	pb.Mul(p, b)
	inner.Mul(b.T(), &pb)
	inner.Add(&inner, r)
	right.Mul(pb.T(), a)
	if err := gain.Solve(&inner, &right); err != nil {
		panic(err)
	}
	loop.Mul(b, &gain)
	loop.Sub(a, &loop)
	force.Product(gain.T(), r, &gain)
	ahead.Product(loop.T(), p, &loop)
	next := mat.DenseCopyOf(q)
	next.Add(next, &force)
	next.Add(next, &ahead)
	return next
}

// play returns the return of an episode in which u is what the best rule says, changed by change, and the optimum.
func play(t *testing.T, w Team, key int64, change func(u []float32)) (sum, optimum, largest float64) {
	e, out := start(t, w)
	u := make([]float32, w.Carts)
	for e.Reset(env.Episode{Rand: rng.New(6).Split("env", key).Rand()}, out); !out.Over(); {
		e.best.Act(out.State, u)
		for _, x := range u {
			largest = max(largest, math.Abs(float64(x)))
		}
		change(u)
		e.Step(env.Actions{Continuous: u}, out)
		sum += float64(out.Reward[0])
	}
	return sum, float64(out.Metrics[0]), largest
}

// TestOptimum: the best rule returns the optimum of each episode, on average the expected one, and never asks for more
// than the bound; any other actions return less.
func TestOptimum(t *testing.T) {
	w := Six()
	best, err := w.Solve()
	if err != nil {
		t.Fatal(err)
	}
	bound, mean := best.Largest(w), 0.0
	if bound > 1 {
		t.Errorf("the best rule asks for forces of up to %v, which would be clipped", bound)
	}
	const episodes = 400
	for key := range int64(episodes) {
		sum, optimum, largest := play(t, w, key, func([]float32) {})
		if math.Abs(sum-optimum) > 1e-4*math.Abs(optimum) || largest > bound+1e-6 {
			t.Errorf("episode %d returns %v, want %v; largest action %v, want at most %v", key, sum, optimum, largest, bound)
		}
		mean += optimum / episodes
		if key >= 20 {
			continue
		}
		r := rng.New(7).Split("noise", key).Rand()
		noisy, _, _ := play(t, w, key, func(u []float32) {
			for i := range u {
				u[i] += 0.2 * float32(r.NormFloat64())
			}
		})
		idle, _, _ := play(t, w, key, func(u []float32) { clear(u) })
		alone, _, _ := play(t, w, key, func(u []float32) { u[5] = 0 })
		if noisy >= optimum || idle >= alone || alone >= optimum {
			t.Errorf("episode %d: optimum %v, with noise %v, one cart idle %v, all %v: want less and less", key, optimum, noisy, alone, idle)
		}
	}
	want := best.Mean(w)
	if math.Abs(mean-want) > 0.15*math.Abs(want) { // 5 standard deviations are about 0.1
		t.Errorf("the optimum is %v on average, want %v", mean, want)
	}
	t.Logf("optimum %.3f expected, %.3f over %d episodes; actions up to %.3f", want, mean, episodes, bound)
}

// TestDynamics: a step does what the matrices say.
func TestDynamics(t *testing.T) {
	w := Six()
	w.Carts = 4
	a, b := w.dynamics()
	r := rng.New(1).Rand()
	s, u := make([]float64, 8), make([]float32, 4)
	for i := range s {
		s[i] = r.NormFloat64()
	}
	env.RandomContinuous(r, u)
	e, out := start(t, w, s...)
	e.Step(env.Actions{Continuous: u}, out)
	var next, push mat.VecDense
	wide := mat.NewVecDense(4, nil)
	for i, x := range u {
		wide.SetVec(i, float64(x))
	}
	next.MulVec(a, mat.NewVecDense(8, s))
	push.MulVec(b, wide)
	next.AddVec(&next, &push)
	for i := range s {
		if math.Abs(next.AtVec(i)-e.s[i]) > 1e-12 {
			t.Errorf("value %d of the state is %v, want %v", i, e.s[i], next.AtVec(i))
		}
	}
}

func TestErrors(t *testing.T) {
	for want, change := range map[string]func(*Team){
		"lqteam: Carts is 0, want 1 to 64":        func(w *Team) { w.Carts = 0 },
		"lqteam: Steps is -1, want 1 to 100000":   func(w *Team) { w.Steps = -1 },
		"lqteam: Dt is 0, want 0.0001 to 1":       func(w *Team) { w.Dt = 0 },
		"lqteam: Spring is NaN, want 0 to 100":    func(w *Team) { w.Spring = math.NaN() },
		"lqteam: Friction is -1, want 0 to 100":   func(w *Team) { w.Friction = -1 },
		"lqteam: Force is 0, want 0.001 to 1000":  func(w *Team) { w.Force = 0 },
		"lqteam: Speed is +Inf, want 0 to 1000":   func(w *Team) { w.Speed = math.Inf(1) },
		"lqteam: Effort is 0, want 0.001 to 1000": func(w *Team) { w.Effort = 0 },
		"lqteam: Start is -0.5, want 0 to 1000":   func(w *Team) { w.Start = -0.5 },
	} {
		w := Six()
		change(&w)
		if _, err := w.New(); err == nil || err.Error() != want || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestContract(t *testing.T) {
	one := Six()
	one.Carts = 1
	envtest.Check(t, Six())
	envtest.Check(t, one)
}

func BenchmarkStep(b *testing.B) {
	b.Run("lqteam/6", func(b *testing.B) { envtest.BenchStep(b, Six()) })
}
