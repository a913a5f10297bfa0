package env

import (
	"fmt"
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/rng"
)

// Vec steps n copies of a world together. Nothing resets by itself: the last moment of an episode is what
// Step returned; the first of the next comes with the following Before. Results do not depend on Workers.
//
//	for … { before := v.Before(); …choose act…; after, err := v.Step(act); …remember… }
type Vec struct {
	Workers int   // goroutines that step, this one included; at most GOMAXPROCS are used. Set before the first step
	Limit   int64 // episodes to begin in all, 0 = no limit; slots that find none left are idle

	spec      Spec
	world     World
	key       func(episode int64) rng.Key
	envs      []Env
	rands     []*rand.Rand
	sources   []*rand.PCG
	episodes  []int64   // that each slot plays; −1 = idle
	played    []Actions // of the running episode of each slot, step after step, from which Load plays it again
	begun     int64
	now, next *Batch
	act       Actions
	started   bool
	resets    []int // slots that begin an episode
	pool      *pool
	resetting task
	stepping  task
	fault     fault
}

// NewVec makes n copies of w. Episode e, numbered in order of beginning and by slot, plays the stream key(e).
// The error names what is wrong with the world, n, or sizes that disagree with what the world writes.
func NewVec(w World, n int, key func(episode int64) rng.Key) (*Vec, error) {
	if n < 1 {
		return nil, fmt.Errorf("env: %d environments, want at least 1", n)
	}
	spec, err := Probe(w)
	if err != nil {
		return nil, err
	}
	v := &Vec{
		Workers: 1, spec: spec, world: w, key: key,
		envs: make([]Env, n), rands: make([]*rand.Rand, n), sources: make([]*rand.PCG, n),
		episodes: make([]int64, n), played: make([]Actions, n), resets: make([]int, 0, n),
		now: NewBatch(spec, n), next: NewBatch(spec, n),
	}
	for i := range n {
		if v.envs[i], err = w.New(); err != nil {
			return nil, err
		}
		v.sources[i] = new(rand.PCG)
		v.rands[i] = rand.New(v.sources[i])
		v.played[i].Discrete = make([]int32, 0, spec.MaxSteps*v.width())
		if spec.ActDim > 0 {
			v.played[i].Continuous = make([]float32, 0, spec.MaxSteps*spec.Agents*spec.ActDim)
		}
	}
	v.now.observer, _ = v.envs[0].(Observer)
	v.next.observer = v.now.observer
	v.resetting.f = func(k int) { v.begin(v.resets[k]) }
	v.stepping.f = v.step
	return v, nil
}

// Spec returns the sizes of the world.
func (v *Vec) Spec() Spec { return v.spec }

// N returns the number of slots.
func (v *Vec) N() int { return len(v.envs) }

// Begun returns the number of episodes begun so far.
func (v *Vec) Begun() int64 { return v.begun }

// Episode returns the number of the episode that slot i plays, or −1 if it is idle.
func (v *Vec) Episode(i int) int64 { return v.episodes[i] }

// Active returns the number of slots that play. It is known after Before.
func (v *Vec) Active() int {
	n := 0
	for _, e := range v.episodes {
		if e >= 0 {
			n++
		}
	}
	return n
}

// Played returns the discrete actions so far of the episode that slot i plays, [step·agent·head]; valid until the
// next Before.
func (v *Vec) Played(i int) []int32 { return v.played[i].Discrete }

// PlayedContinuous returns the continuous actions so far, as they were given, [step·agent·ActDim]; valid until the
// next Before.
func (v *Vec) PlayedContinuous(i int) []float32 { return v.played[i].Continuous }

// Close ends the goroutines that help to step. The Vec steps alone afterwards.
func (v *Vec) Close() { v.pool.close() }

func (v *Vec) width() int { return v.spec.Agents * len(v.spec.Actions) }

// Before begins the next episode wherever one has ended and returns the moment to act in, valid until the
// second Step from now. Idle slots show zeros and, so that every policy can act, one available action.
func (v *Vec) Before() (*Batch, error) {
	if v.pool == nil {
		v.pool = newPool(min(v.Workers, len(v.envs)))
	}
	v.resets = v.resets[:0]
	for i := range v.envs {
		if v.started && (v.episodes[i] < 0 || !v.now.steps[i].Over()) {
			continue
		}
		v.now.drawn = false
		if v.Limit > 0 && v.begun >= v.Limit {
			v.episodes[i] = -1
			v.played[i].forget()
			v.now.steps[i].blank(v.spec)
			continue
		}
		v.episodes[i], v.resets = v.begun, append(v.resets, i)
		v.begun++
	}
	v.started = true
	if len(v.resets) > 0 {
		v.pool.do(&v.resetting, len(v.resets))
	}
	return v.now, v.fault.take(v.spec.Name)
}

// Step plays one joint action in every slot that is not idle and returns the moment after it, valid until
// the second Step from now; where an episode ended, until the next Before. act.Discrete is [env][agent][head],
// act.Continuous [env][agent][ActDim]. An action that is out of range, not available or not finite is an error,
// and nothing has moved then.
func (v *Vec) Step(act Actions) (*Batch, error) {
	if err := v.legal(act.Discrete); err != nil {
		return nil, err
	}
	if err := v.finite(act.Continuous); err != nil {
		return nil, err
	}
	v.act, v.next.drawn = act, false
	v.pool.do(&v.stepping, len(v.envs))
	if err := v.fault.take(v.spec.Name); err != nil {
		return nil, err
	}
	v.now, v.next = v.next, v.now
	return v.now, nil
}

func (v *Vec) legal(act []int32) error {
	if !v.started {
		return fmt.Errorf("env: %s: Step before Before", v.spec.Name)
	}
	if want := len(v.envs) * v.width(); len(act) != want {
		return fmt.Errorf("env: %s: %d actions, want %d (environments × agents × heads)", v.spec.Name, len(act), want)
	}
	k := v.width()
	for i, episode := range v.episodes {
		if episode < 0 {
			continue
		}
		avail, head := v.now.steps[i].Avail, 0
		for j, a := range act[i*k : (i+1)*k] {
			n := v.spec.Actions[head]
			if uint(a) >= uint(n) || !avail[a] {
				return fmt.Errorf("env: %s: action %d of agent %d in environment %d is not available (head %d has %d choices)",
					v.spec.Name, a, j/len(v.spec.Actions), i, head, n)
			}
			avail = avail[n:]
			if head++; head == len(v.spec.Actions) {
				head = 0
			}
		}
	}
	return nil
}

// finite refuses continuous actions that no world could clip.
func (v *Vec) finite(act []float32) error {
	k := v.spec.Agents * v.spec.ActDim
	if want := len(v.envs) * k; len(act) != want {
		return fmt.Errorf("env: %s: %d continuous actions, want %d (environments × agents × numbers)", v.spec.Name, len(act), want)
	}
	for j, x := range act {
		if !finite(x) && v.episodes[j/k] >= 0 {
			return fmt.Errorf("env: %s: continuous action %d of agent %d in environment %d is %v, want a finite number",
				v.spec.Name, j%v.spec.ActDim, j%k/v.spec.ActDim, j/k, x)
		}
	}
	return nil
}

func (v *Vec) step(i int) {
	defer v.fault.catch(i)
	out := &v.next.steps[i]
	if v.episodes[i] < 0 {
		out.blank(v.spec)
		return
	}
	act := v.act.At(v.spec, i)
	v.played[i].add(act)
	out.clear()
	v.envs[i].Step(act, out)
}

func (v *Vec) begin(i int) {
	defer v.fault.catch(i)
	v.played[i].forget()
	v.key(v.episodes[i]).Seed(v.sources[i])
	out := &v.now.steps[i]
	out.clear()
	v.envs[i].Reset(Episode{Rand: v.rands[i]}, out)
}
