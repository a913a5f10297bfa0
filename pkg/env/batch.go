package env

// Batch holds one Step of n environments, the arrays of all behind one another: [env][agent][…].
type Batch struct {
	N        int
	Obs      []float32 // [env][agent][obs]
	Snapshot []byte    // [env][Spec.Snapshot]
	Avail    []bool    // [env][agent][sum of Actions]
	Reward   []float32 // [env][agent]
	Metrics  []float32 // [env][metric]
	steps    []Step
	observer Observer
	drawn    bool // true = Obs shows the images of this moment
}

// NewBatch returns a zeroed batch of n environments.
func NewBatch(s Spec, n int) *Batch {
	b := &Batch{
		N:        n,
		Obs:      make([]float32, n*s.Agents*s.ObsDim),
		Snapshot: make([]byte, n*s.Snapshot),
		Avail:    make([]bool, n*s.Agents*s.Choices()),
		Reward:   make([]float32, n*s.Agents),
		Metrics:  make([]float32, n*len(s.Metrics)),
		steps:    make([]Step, n),
	}
	for i := range b.steps {
		b.steps[i] = Step{
			Obs:      part(b.Obs, i, n),
			Snapshot: part(b.Snapshot, i, n),
			Avail:    part(b.Avail, i, n),
			Reward:   part(b.Reward, i, n),
			Metrics:  part(b.Metrics, i, n),
		}
	}
	return b
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
