package envtest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// apart: two environments stepped at the same time do not disturb each other (-race says more).
func apart(w env.World) error {
	var alone, beside [2]trace
	record := func(i int, seen *trace) error {
		p, err := newPlayer(w)
		if err != nil {
			return err
		}
		return p.play(int64(i), func(t int) error {
			p.look(seen, t)
			return nil
		})
	}
	for i := range alone {
		if err := record(i, &alone[i]); err != nil {
			return err
		}
	}
	done := make(chan error)
	for i := range beside {
		go func() { done <- record(i, &beside[i]) }()
	}
	for range beside {
		if err := <-done; err != nil {
			return err
		}
	}
	for i := range alone {
		if alone[i] != beside[i] {
			return fmt.Errorf("episode %d differs when another environment steps at the same time", i)
		}
	}
	return nil
}

// observer: Step and Reset write the vector behind the images, Observe writes everything, agrees with the
// vector and follows from the constants and the snapshot alone.
func observer(w env.World) error {
	p, err := newPlayer(w)
	if err != nil {
		return err
	}
	if _, ok := p.env.(env.Observer); !ok {
		return nil
	}
	other, err := w.New() // never reset
	if err != nil {
		return err
	}
	p.poison = 1
	first, second := slices.Clone(p.out.Obs), slices.Clone(p.out.Obs)
	images := p.spec.PlaneDim()
	return p.play(0, func(t int) error {
		snapshot := slices.Clone(p.out.Snapshot)
		for i := range first {
			first[i], second[i] = p.out.Obs[0], 7
		}
		p.env.(env.Observer).Observe(p.out.Snapshot, first)
		other.(env.Observer).Observe(p.out.Snapshot, second)
		if !bytes.Equal(snapshot, p.out.Snapshot) {
			return fmt.Errorf("step %d: Observe changes the snapshot", t)
		}
		for i, x := range first {
			agent, at := i/p.spec.ObsDim, i%p.spec.ObsDim
			if x != second[i] {
				return fmt.Errorf("step %d: Observe writes %v and, in an environment never reset, %v as observation %d of agent %d: it must follow from the snapshot",
					t, x, second[i], at, agent)
			}
			if at >= images && x != p.out.Obs[i] {
				return fmt.Errorf("step %d: Step leaves %v and Observe %v as observation %d of agent %d, want the same behind the %d values of images",
					t, p.out.Obs[i], x, at, agent, images)
			}
		}
		return nil
	})
}

// allocations: Reset and Step allocate nothing.
func allocations(w env.World) error {
	p, err := newPlayer(w)
	if err != nil {
		return err
	}
	r := rand.New(p.chance)
	episode := int64(0)
	reset := func() {
		rng.New(1).Split("env", episode).Seed(p.chance)
		p.spoil()
		p.env.Reset(env.Episode{Rand: r}, p.out)
	}
	reset()
	if n := testing.AllocsPerRun(episodes, func() { episode++; reset() }); n != 0 {
		return fmt.Errorf("one Reset allocates %v times, want 0", n)
	}
	steps := 0
	whole := func() {
		episode++
		reset()
		for steps = 0; !p.out.Over() && steps < tooLong; steps++ {
			act(p.spec, p.out.Avail, r, p.act)
			p.spoil()
			p.env.Step(p.act, p.out)
		}
	}
	if n := testing.AllocsPerRun(episodes, whole); n != 0 {
		return fmt.Errorf("the steps of one episode (%d) allocate %v times, want 0", steps, n)
	}
	return nil
}

// vecPlayer steps a Vec with random available actions and traces what is to be seen.
type vecPlayer struct {
	vec   *env.Vec
	act   env.Actions
	rand  *rand.Rand
	seen  trace
	moves int
}

func newVecPlayer(w env.World, n, workers int) (*vecPlayer, error) {
	v, err := env.NewVec(w, n, func(e int64) rng.Key { return rng.New(2).Split("env", e) })
	if err != nil {
		return nil, err
	}
	v.Workers = workers
	s := v.Spec()
	return &vecPlayer{vec: v, act: env.NewActions(s, n), rand: rng.New(2).Split("act").Rand()}, nil
}

func (p *vecPlayer) step() error {
	before, err := p.vec.Before()
	if err != nil {
		return err
	}
	p.look(before)
	act(p.vec.Spec(), before.Avail, p.rand, p.act)
	after, err := p.vec.Step(p.act)
	if err != nil {
		return err
	}
	p.look(after)
	p.moves++
	return nil
}

func (p *vecPlayer) look(b *env.Batch) {
	drawn := p.moves%drawEvery == 0
	if drawn {
		b.Observe()
	}
	for i := range b.N {
		if e := p.vec.Episode(i); e >= 0 {
			p.seen.add(uint64(e))
			p.seen.moment(p.vec.Spec(), b.At(i), drawn)
		}
	}
}

// vecSteps is enough for several short episodes, or for the end of a long one.
func vecSteps(s env.Spec) int { return min(max(s.MaxSteps, 20), 300) + 20 }

// workers: 1, 2 and 4 workers give the same bytes, with episodes to spare and with too few for all slots.
func workers(w env.World) error {
	for _, limit := range []int64{0, 5} {
		var want trace
		for _, k := range []int{1, 2, 4} {
			p, err := newVecPlayer(w, 8, k)
			if err != nil {
				return err
			}
			defer p.vec.Close()
			p.vec.Limit = limit
			for range vecSteps(p.vec.Spec()) {
				if err := p.step(); err != nil {
					return fmt.Errorf("%d workers: %w", k, err)
				}
			}
			if k == 1 {
				want = p.seen
			}
			if p.seen != want {
				return fmt.Errorf("%d workers and 1 lead to different bytes", k)
			}
		}
	}
	return nil
}

// resume: a Vec that loads what another saved in the middle of episodes goes on like it.
func resume(w env.World) error {
	a, err := newVecPlayer(w, 3, 1)
	if err != nil {
		return err
	}
	steps := vecSteps(a.vec.Spec())
	for _, more := range []int{0, 1, steps/2 + 1, steps} {
		for range more {
			if err := a.step(); err != nil {
				return err
			}
		}
		var saved bytes.Buffer
		if err := a.vec.Save(&saved); err != nil {
			return err
		}
		b, err := newVecPlayer(w, 3, 1)
		if err != nil {
			return err
		}
		if err := b.vec.Load(&saved); err != nil {
			return err
		}
		for _, p := range []*vecPlayer{a, b} {
			p.rand, p.seen, p.moves = rng.New(4).Rand(), 0, 0
		}
		for t := range 30 {
			if err := a.step(); err != nil {
				return err
			}
			if err := b.step(); err != nil {
				return err
			}
			if a.seen != b.seen {
				return fmt.Errorf("step %d after loading differs from step %d after saving", t, t)
			}
		}
	}
	return nil
}

// illegal: actions out of range, not available or not finite are refused, and nothing moves.
func illegal(w env.World) error {
	p, err := newVecPlayer(w, 1, 1)
	if err != nil {
		return err
	}
	defer p.vec.Close()
	s := p.vec.Spec()
	for range vecSteps(s) {
		before, err := p.vec.Before()
		if err != nil {
			return err
		}
		act(s, before.Avail, p.rand, p.act)
		var untouched, now trace
		untouched.moment(s, before.At(0), false)
		avail := before.Avail
		for i, chosen := range p.act.Discrete {
			n := s.Actions[i%len(s.Actions)]
			for a := int32(-1); int(a) <= n; a++ {
				if a >= 0 && int(a) < n && avail[a] {
					continue
				}
				p.act.Discrete[i] = a
				if _, err := p.vec.Step(p.act); err == nil {
					return fmt.Errorf("action %d of agent %d is carried out, want an error: it is not available", a, i/len(s.Actions))
				}
			}
			p.act.Discrete[i], avail = chosen, avail[n:]
		}
		for i, chosen := range p.act.Continuous {
			for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				p.act.Continuous[i] = float32(x)
				if _, err := p.vec.Step(p.act); err == nil {
					return fmt.Errorf("a continuous action of %v of agent %d is carried out, want an error", x, i/s.ActDim)
				}
			}
			p.act.Continuous[i] = chosen
		}
		if now.moment(s, before.At(0), false); now != untouched {
			return fmt.Errorf("a refused action changes the moment")
		}
		if _, err := p.vec.Step(p.act); err != nil {
			return err
		}
	}
	return nil
}
