package env

// Batch holds one Step of n environments, the arrays of all behind one another: [env][agent][…].
type Batch struct {
	N        int
	Obs      []float32 // [env][agent][obs]
	State    []float32 // [env][state]
	Entities []float32 // [env][entity][feature]
	Snapshot []byte    // [env][Spec.Snapshot]
	Hidden   []bool    // [env][agent][entity]
	Avail    []bool    // [env][agent][sum of Actions]
	Present  []bool    // [env][entity]
	Alive    []bool    // [env][agent]
	Role     []uint8   // [env][entity]
	Reward   []float32 // [env][agent]
	Cost     []float32 // [env][agent][cost]
	Metrics  []float32 // [env][metric]
	steps    []Step
	observer Observer
	drawn    bool // true = Obs shows the images of this moment
}

// NewBatch returns a zeroed batch of n environments. What the spec does not have is nil.
func NewBatch(s Spec, n int) *Batch {
	b := &Batch{
		N:        n,
		Obs:      zeros[float32](n * s.Agents * s.ObsDim),
		State:    zeros[float32](n * s.StateDim),
		Entities: zeros[float32](n * s.Entities * s.EntityDim),
		Snapshot: zeros[byte](n * s.Snapshot),
		Hidden:   zeros[bool](n * s.Agents * s.Entities),
		Avail:    zeros[bool](n * s.Agents * s.Choices()),
		Present:  zeros[bool](n * s.Entities),
		Reward:   zeros[float32](n * s.Agents),
		Cost:     zeros[float32](n * s.Agents * s.Costs),
		Metrics:  zeros[float32](n * len(s.Metrics)),
		steps:    make([]Step, n),
	}
	if s.Entities > 0 {
		b.Alive = zeros[bool](n * s.Agents)
	}
	if s.Roles > 0 {
		b.Role = zeros[uint8](n * s.Entities)
	}
	for i := range b.steps {
		b.steps[i] = Step{
			Obs:      part(b.Obs, i, n),
			State:    part(b.State, i, n),
			Entities: part(b.Entities, i, n),
			Snapshot: part(b.Snapshot, i, n),
			Hidden:   part(b.Hidden, i, n),
			Avail:    part(b.Avail, i, n),
			Present:  part(b.Present, i, n),
			Alive:    part(b.Alive, i, n),
			Role:     part(b.Role, i, n),
			Reward:   part(b.Reward, i, n),
			Cost:     part(b.Cost, i, n),
			Metrics:  part(b.Metrics, i, n),
		}
	}
	return b
}

// zeros is nil where n is 0.
func zeros[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}

// part is the i-th of n equal parts of s; writing past its end panics instead of reaching the next part.
func part[T any](s []T, i, n int) []T {
	k := len(s) / n
	return s[i*k : (i+1)*k : (i+1)*k]
}

// At returns the step of environment i, a view.
func (b *Batch) At(i int) *Step { return &b.steps[i] }

// Observe draws the images of an Observer's observations, once per moment; otherwise Obs is complete already.
func (b *Batch) Observe() {
	if b.observer == nil || b.drawn {
		return
	}
	for i := range b.steps {
		b.observer.Observe(b.steps[i].Snapshot, b.steps[i].Obs)
	}
	b.drawn = true
}
