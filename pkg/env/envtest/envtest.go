// Package envtest holds every world to the contract of package env, and measures its speed the same way
// everywhere.
package envtest

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

const (
	episodes  = 3      // that a check plays
	tooLong   = 20_000 // steps at which a check leaves an episode of a world without bound
	drawEvery = 16     // steps between two moments whose images are compared
)

var checks = []struct {
	name string
	run  func(w env.World) error
}{
	{"sizes", sizes},
	{"moments", moments},
	{"observer", observer},
	{"same key, same bytes", repeats},
	{"environments apart", apart},
	{"continuous actions", clips},
	{"allocations", allocations},
	{"workers", workers},
	{"save and load", resume},
	{"illegal actions", illegal},
}

// Check fails t at the first point where w breaks the contract: sizes and values, episodes that follow from
// key and actions alone, everything written at every call, no allocation in Step and Reset, the same bytes
// with any number of workers and after Save and Load, continuous actions clipped to [−1, 1]. It plays a few episodes of random available actions.
func Check(t testing.TB, w env.World) {
	t.Helper()
	for _, c := range checks {
		if err := guard(c.run, w); err != nil {
			t.Errorf("envtest: %s: %v", c.name, err)
			return
		}
	}
}

func guard(run func(env.World) error, w env.World) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run(w)
}

// player plays one environment with random available actions.
type player struct {
	env    env.Env
	spec   env.Spec
	out    *env.Step
	act    env.Actions
	choose *rand.PCG
	chance *rand.PCG
	poison byte // what fills out before every call, 0 = the values stay
	clip   bool // true = continuous actions are clipped before the environment sees them
}

func newPlayer(w env.World) (*player, error) {
	e, err := w.New()
	if err != nil {
		return nil, err
	}
	s := e.Spec()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &player{
		env: e, spec: s, out: env.NewBatch(s, 1).At(0), act: env.NewActions(s, 1),
		choose: new(rand.PCG), chance: new(rand.PCG),
	}, nil
}

// spoil prepares out as Vec does, and fills what the environment must overwrite.
func (p *player) spoil() {
	s := p.out
	clear(s.Reward)
	clear(s.Cost)
	s.Terminated, s.Truncated, s.Outcome = false, false, env.Running
	if p.poison == 0 {
		return
	}
	junk := math.Float32frombits(0x7fc00000 + uint32(p.poison)) // NaN
	for _, part := range [][]float32{s.Obs, s.State, s.Entities, s.Metrics} {
		for i := range part {
			part[i] = junk
		}
	}
	for _, part := range [][]byte{s.Snapshot, s.Role} {
		for i := range part {
			part[i] = p.poison
		}
	}
	for _, part := range [][]bool{s.Avail, s.Hidden, s.Present, s.Alive} {
		for i := range part {
			part[i] = p.poison%2 == 0
		}
	}
}

// play plays one episode and calls see after Reset and every Step, until see returns an error.
func (p *player) play(episode int64, see func(t int) error) error {
	key := rng.New(1).Split("env", episode)
	key.Seed(p.chance)
	key.Split("act").Seed(p.choose)
	chance, choose := rand.New(p.chance), rand.New(p.choose)
	p.spoil()
	p.env.Reset(env.Episode{Rand: chance}, p.out)
	for t := 0; ; t++ {
		if err := see(t); err != nil || p.out.Over() || t == tooLong {
			return err
		}
		act(p.spec, p.out.Avail, choose, p.act)
		for i, x := range p.act.Continuous {
			if p.clip {
				p.act.Continuous[i] = env.Clip(x)
			}
		}
		p.spoil()
		p.env.Step(p.act, p.out)
	}
}

// act draws available actions, and continuous ones from beyond both ends of [−1, 1], which worlds clip.
func act(s env.Spec, avail []bool, r *rand.Rand, to env.Actions) {
	env.RandomActions(s, avail, r, to.Discrete)
	env.RandomContinuous(r, to.Continuous)
	for i := range to.Continuous {
		to.Continuous[i] *= 1.25
	}
}

// draw draws the images, if there are any.
func (p *player) draw() {
	if o, ok := p.env.(env.Observer); ok {
		o.Observe(p.out.Snapshot, p.out.Obs)
	}
}

// trace is a number that differs where anything differs that went into it.
type trace uint64

func (h *trace) add(x uint64) { *h = trace(bits.RotateLeft64(uint64(*h)^x, 29) * 0x9e3779b97f4a7c15) }

// moment adds what a moment shows; the images only where drawn is true.
func (h *trace) moment(spec env.Spec, s *env.Step, drawn bool) {
	skip := 0
	if !drawn {
		skip = spec.PlaneDim()
	}
	for a := range spec.Agents {
		h.floats(s.Obs[a*spec.ObsDim+skip : (a+1)*spec.ObsDim])
	}
	for _, part := range [][]float32{s.State, s.Entities, s.Reward, s.Cost, s.Metrics} {
		h.floats(part)
	}
	for _, part := range [][]byte{s.Snapshot, s.Role} {
		for _, x := range part {
			h.add(uint64(x))
		}
	}
	for _, part := range [][]bool{s.Avail, s.Hidden, s.Present, s.Alive} {
		h.bools(part...)
	}
	h.bools(s.Terminated, s.Truncated)
	h.add(uint64(s.Outcome))
}

func (h *trace) floats(s []float32) {
	for _, x := range s {
		h.add(uint64(math.Float32bits(x)))
	}
}

func (h *trace) bools(s ...bool) {
	for _, ok := range s {
		if ok {
			h.add(1)
		} else {
			h.add(2)
		}
	}
}

// look draws the images now and then, since that takes long, and adds the moment at step t to h.
func (p *player) look(h *trace, t int) {
	drawn := t%drawEvery == 0 || p.out.Over()
	if drawn {
		p.draw()
	}
	h.moment(p.spec, p.out, drawn)
}

// differ names the first part in which two moments differ, nil if none does.
func differ(a, b *env.Step) error {
	for _, c := range []struct {
		part string
		a, b []float32
	}{
		{"observation", a.Obs, b.Obs}, {"state", a.State, b.State}, {"value of entities", a.Entities, b.Entities},
		{"reward", a.Reward, b.Reward}, {"cost", a.Cost, b.Cost}, {"metric", a.Metrics, b.Metrics},
	} {
		for i := range c.a {
			if math.Float32bits(c.a[i]) != math.Float32bits(c.b[i]) {
				return fmt.Errorf("%s %d is %v and %v", c.part, i, c.a[i], c.b[i])
			}
		}
	}
	if !bytes.Equal(a.Snapshot, b.Snapshot) {
		return fmt.Errorf("snapshots are %v and %v", a.Snapshot, b.Snapshot)
	}
	for _, c := range []struct {
		part string
		a, b []bool
	}{{"availability", a.Avail, b.Avail}, {"hidden", a.Hidden, b.Hidden}, {"present", a.Present, b.Present}, {"alive", a.Alive, b.Alive}} {
		for i := range c.a {
			if c.a[i] != c.b[i] {
				return fmt.Errorf("%s %d is %v and %v", c.part, i, c.a[i], c.b[i])
			}
		}
	}
	if !bytes.Equal(a.Role, b.Role) {
		return fmt.Errorf("roles are %v and %v", a.Role, b.Role)
	}
	if a.Terminated != b.Terminated || a.Truncated != b.Truncated || a.Outcome != b.Outcome {
		return fmt.Errorf("ends are %v, %v, %v and %v, %v, %v", a.Terminated, a.Truncated, a.Outcome, b.Terminated, b.Truncated, b.Outcome)
	}
	return nil
}

// sizes: the spec is valid, kept to, and constant.
func sizes(w env.World) error {
	spec, err := env.Probe(w)
	if err != nil {
		return err
	}
	p, err := newPlayer(w)
	if err != nil {
		return err
	}
	return p.play(0, func(t int) error {
		if s := p.env.Spec(); !reflect.DeepEqual(s, spec) {
			return fmt.Errorf("the spec after %d steps is %+v, want %+v", t, s, spec)
		}
		return nil
	})
}

// moments: every moment of whole episodes has possible values, and episodes end in time.
func moments(w env.World) error {
	p, err := newPlayer(w)
	if err != nil {
		return err
	}
	p.poison = 1 // NaN, nothing available, nobody present
	for e := range int64(episodes) {
		err := p.play(e, func(t int) error {
			p.draw()
			if err := p.out.Check(p.spec); err != nil {
				return fmt.Errorf("step %d of episode %d: %w", t, e, err)
			}
			if t == 0 && p.out.Over() {
				return fmt.Errorf("episode %d is over before its first step", e)
			}
			if p.spec.MaxSteps > 0 && t >= p.spec.MaxSteps && !p.out.Over() {
				return fmt.Errorf("episode %d is not over after %d steps, want at most %d", e, t, p.spec.MaxSteps)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// repeats: an episode follows from its key and the actions, whatever the environment played before and
// whatever out held.
func repeats(w env.World) error {
	used, err := newPlayer(w)
	if err != nil {
		return err
	}
	used.poison = 1
	for e := range int64(episodes) {
		fresh, err := newPlayer(w)
		if err != nil {
			return err
		}
		fresh.poison = 2
		if err := together(fresh, used, e); err != nil {
			return fmt.Errorf("episode %d again, in a fresh environment, over other left-over values: %w", e, err)
		}
	}
	return nil
}

// clips: continuous actions beyond [−1, 1] do what the nearest end does.
func clips(w env.World) error {
	p, err := newPlayer(w)
	if err != nil || p.spec.ActDim == 0 {
		return err
	}
	q, err := newPlayer(w)
	if err != nil {
		return err
	}
	q.clip = true
	if err := together(p, q, 0); err != nil {
		return fmt.Errorf("with actions beyond [−1, 1] and with the same ones clipped: %w", err)
	}
	return nil
}

// together plays one episode in two environments and compares every moment.
func together(a, b *player, episode int64) error {
	var seen []trace
	var h trace
	err := a.play(episode, func(t int) error {
		a.look(&h, t)
		seen = append(seen, h)
		return nil
	})
	if err != nil {
		return err
	}
	h = 0
	return b.play(episode, func(t int) error {
		b.look(&h, t)
		if t >= len(seen) || seen[t] != h {
			return where(a, b, episode, t)
		}
		return nil
	})
}

// where plays up to step t once more to name the part that differs there.
func where(a, b *player, episode int64, t int) error {
	stop := fmt.Errorf("stop")
	for _, p := range []*player{a, b} {
		_ = p.play(episode, func(now int) error {
			if now == t {
				p.draw()
				return stop
			}
			return nil
		})
	}
	if err := differ(a.out, b.out); err != nil {
		return fmt.Errorf("step %d: %w", t, err)
	}
	return fmt.Errorf("step %d differs, and not when played once more", t)
}
