package env

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// Probe makes an environment of w, plays a few random steps and returns its sizes, or an error that names
// what the environment got wrong: constants, sizes it does not keep to, values it leaves unwritten.
func Probe(w World) (spec Spec, err error) {
	if w == nil {
		return spec, fmt.Errorf("env: no world given, want one such as takeout.Mini()")
	}
	e, err := w.New()
	if err != nil {
		return spec, err
	}
	spec = e.Spec()
	if err := spec.Validate(); err != nil {
		return spec, err
	}
	if _, ok := e.(Observer); ok != (spec.Snapshot > 0) {
		return spec, fmt.Errorf("env: %s has snapshots of %d bytes, but Observe is implemented: %v", spec.Name, spec.Snapshot, ok)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("env: %s does not keep to its spec (%d agents, %d choices, observations of %d): %v",
				spec.Name, spec.Agents, spec.Choices(), spec.ObsDim, p)
		}
	}()
	r := rand.New(rand.NewPCG(1, 1))
	out, act := NewBatch(spec, 1).At(0), NewActions(spec, 1)
	for t := range 8 {
		poison(out)
		if t == 0 {
			e.Reset(Episode{Rand: r}, out)
		} else {
			e.Step(act, out)
		}
		if o, ok := e.(Observer); ok {
			o.Observe(out.Snapshot, out.Obs)
		}
		if err := out.Check(spec); err != nil || out.Over() {
			return spec, err
		}
		RandomActions(spec, out.Avail, r, act.Discrete)
		RandomContinuous(r, act.Continuous)
	}
	return spec, nil
}

// poison fills out with what no environment may leave there.
func poison(out *Step) {
	nan := float32(math.NaN())
	for _, values := range [][]float32{out.Obs, out.State, out.Entities, out.Metrics} {
		for i := range values {
			values[i] = nan
		}
	}
	clear(out.Avail)
	out.clear()
}

// Check returns an error naming the first value of a moment that cannot be: numbers that are not finite, an
// agent without an available action or, if it is dead, with several, an outcome without an end, an entity in
// an empty slot that somebody sees, an agent that does not see itself, a role that does not exist.
func (s *Step) Check(spec Spec) error {
	for i, x := range s.Obs {
		if !finite(x) {
			return fmt.Errorf("env: %s leaves observation %d of agent %d unwritten or not finite (%v); the spec has %d values",
				spec.Name, i%spec.ObsDim, i/spec.ObsDim, x, spec.ObsDim)
		}
	}
	for i, x := range s.State {
		if !finite(x) {
			return fmt.Errorf("env: %s leaves value %d of the state unwritten or not finite (%v); the spec has %d", spec.Name, i, x, spec.StateDim)
		}
	}
	if err := s.checkEntities(spec); err != nil {
		return err
	}
	avail := s.Avail
	for a := range spec.Agents {
		for head, n := range spec.Actions {
			free := 0
			for _, ok := range avail[:n] {
				if ok {
					free++
				}
			}
			if free == 0 {
				return fmt.Errorf("env: %s leaves agent %d without an available action in head %d, want at least 1 of %d", spec.Name, a, head, n)
			}
			if free > 1 && s.Alive != nil && !s.Alive[a] {
				return fmt.Errorf("env: %s offers agent %d, who is dead or absent, %d actions in head %d, want exactly 1", spec.Name, a, free, head)
			}
			avail = avail[n:]
		}
		if !finite(s.Reward[a]) {
			return fmt.Errorf("env: %s pays agent %d a reward of %v, want a finite number", spec.Name, a, s.Reward[a])
		}
	}
	for i, x := range s.Cost {
		if !finite(x) {
			return fmt.Errorf("env: %s charges agent %d a cost %d of %v, want a finite number", spec.Name, i/spec.Costs, i%spec.Costs, x)
		}
	}
	for i, x := range s.Metrics {
		if !finite(x) {
			return fmt.Errorf("env: %s leaves metric %q unwritten or not finite (%v)", spec.Name, spec.Metrics[i], x)
		}
	}
	if s.Over() != (s.Outcome != Running) {
		return fmt.Errorf("env: %s has outcome %q where terminated is %v and truncated %v", spec.Name, s.Outcome, s.Terminated, s.Truncated)
	}
	return nil
}

func (s *Step) checkEntities(spec Spec) error {
	for i, x := range s.Entities {
		if !finite(x) {
			return fmt.Errorf("env: %s leaves value %d of entity %d unwritten or not finite (%v); the spec has %d values",
				spec.Name, i%spec.EntityDim, i/spec.EntityDim, x, spec.EntityDim)
		}
	}
	for a, alive := range s.Alive {
		hidden := s.Hidden[a*spec.Entities : (a+1)*spec.Entities]
		if alive && !s.Present[a] {
			return fmt.Errorf("env: %s has an agent %d that is alive in an empty slot", spec.Name, a)
		}
		if alive && hidden[a] {
			return fmt.Errorf("env: %s hides agent %d, who is alive, from itself (Hidden: true = does not see)", spec.Name, a)
		}
		for j, ok := range s.Present {
			if !ok && !hidden[j] {
				return fmt.Errorf("env: %s shows agent %d the empty slot of entity %d (Hidden: true = does not see)", spec.Name, a, j)
			}
		}
	}
	for j, r := range s.Role {
		if int(r) > spec.Roles || r > 0 && !s.Present[j] {
			return fmt.Errorf("env: %s gives entity %d (present: %v) role %d, want at most %d, and 0 in an empty slot", spec.Name, j, s.Present[j], r, spec.Roles)
		}
	}
	return nil
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// RandomActions draws an action for each agent and head, uniformly over what avail allows. avail is
// [agent][sum of Actions], act [agent][head], of one or several environments behind one another.
func RandomActions(spec Spec, avail []bool, r *rand.Rand, act []int32) {
	for i := range act {
		n := spec.Actions[i%len(spec.Actions)]
		act[i] = int32(RandomAction(avail[:n], r))
		avail = avail[n:]
	}
}

// RandomContinuous draws each number of continuous actions uniformly from [−1, 1).
func RandomContinuous(r *rand.Rand, act []float32) {
	for i := range act {
		act[i] = 2*r.Float32() - 1
	}
}

// RandomAction draws uniformly over the entries of avail that are true, or 0 if none is.
func RandomAction(avail []bool, r *rand.Rand) int {
	free := 0
	for _, ok := range avail {
		if ok {
			free++
		}
	}
	if free == 0 {
		return 0
	}
	k := 0
	if free > 1 {
		k = int(r.Uint64N(uint64(free)))
	}
	if free == len(avail) {
		return k
	}
	for a, ok := range avail {
		if ok {
			if k == 0 {
				return a
			}
			k--
		}
	}
	return 0
}

// fault keeps the first panic of environments that are stepped by several goroutines.
type fault struct {
	mu   sync.Mutex
	slot int
	text any
}

func (f *fault) catch(slot int) {
	if p := recover(); p != nil {
		f.mu.Lock()
		if f.text == nil || slot < f.slot {
			f.slot, f.text = slot, p
		}
		f.mu.Unlock()
	}
}

func (f *fault) take(name string) error {
	if f.text == nil {
		return nil
	}
	err := fmt.Errorf("env: %s failed in environment %d: %v", name, f.slot, f.text)
	f.text = nil
	return err
}
