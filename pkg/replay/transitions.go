package replay

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// Transitions keeps the last steps of all environments, each on its own, and samples them uniformly with
// replacement. Where the world draws its images when somebody looks, snapshots are kept in place of
// observations, and images are drawn as they are sampled.
//
// A record never changes once added: two moments (snapshot or observations, available actions as bits),
// actions, rewards, and how the step ended.
type Transitions struct {
	spec     env.Spec
	observer env.Observer
	capacity int64
	warmup   int64
	next     int64 // records added so far; the last capacity of them are held
	records  []byte
	width    int
	moment   int // bytes of one moment
	sample   Sample
}

// NewTransitions returns a buffer of capacity steps that is ready after warmup steps and samples batch of
// them. e serves to draw observations; it is not stepped.
func NewTransitions(e env.Env, capacity, warmup, batch int) (*Transitions, error) {
	spec := e.Spec()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	switch {
	case batch < 1:
		return nil, fmt.Errorf("replay: batches of %d steps, want at least 1", batch)
	case capacity < batch:
		return nil, fmt.Errorf("replay: a buffer of %d steps, want at least a batch (%d)", capacity, batch)
	case warmup < 0 || warmup > capacity:
		return nil, fmt.Errorf("replay: a warm-up of %d steps, want 0 to the buffer's %d", warmup, capacity)
	}
	if err := discrete(spec); err != nil {
		return nil, err
	}
	t := &Transitions{spec: spec, capacity: int64(capacity), warmup: int64(max(warmup, batch))}
	t.observer, _ = e.(env.Observer)
	seen := spec.Snapshot
	if t.observer == nil {
		seen = 4 * spec.Agents * spec.ObsDim
	}
	t.moment = seen + bitBytes(spec.Agents*spec.Choices())
	t.width = 2*t.moment + spec.Agents*len(spec.Actions) + 4*spec.Agents + 1
	if most := 1 << 40 / t.width; capacity > most {
		return nil, fmt.Errorf("replay: a buffer of %d steps of %d bytes each, want at most %d steps (1 TB)", capacity, t.width, most)
	}
	t.records = make([]byte, capacity*t.width)
	t.sample = Sample{
		Time: 1, Batch: batch,
		Obs:        make([]float32, 2*batch*spec.Agents*spec.ObsDim),
		Avail:      make([]bool, 2*batch*spec.Agents*spec.Choices()),
		Actions:    make([]int32, batch*spec.Agents*len(spec.Actions)),
		Reward:     make([]float32, batch*spec.Agents),
		Terminated: make([]float32, batch),
		Truncated:  make([]float32, batch),
	}
	return t, nil
}

// Len is the number of steps held.
func (t *Transitions) Len() int { return int(min(t.next, t.capacity)) }

// Ready reports whether the warm-up is over.
func (t *Transitions) Ready() bool { return t.next >= t.warmup }

// Add appends one record for each environment that plays.
func (t *Transitions) Add(before *env.Batch, act env.Actions, after *env.Batch, plays func(i int) bool) {
	k := t.spec.Agents * len(t.spec.Actions)
	for i := range before.N {
		if !plays(i) {
			continue
		}
		b := t.Record(t.next)
		t.next++
		b = t.writeMoment(b, before.At(i))
		b = t.writeMoment(b, after.At(i))
		b = putActions(b, act.Discrete[i*k:(i+1)*k])
		step := after.At(i)
		b = putFloats(b, step.Reward)
		b[0] = bit(step.Terminated) | bit(step.Truncated)<<1
	}
}

func (t *Transitions) writeMoment(b []byte, s *env.Step) []byte {
	if t.observer != nil {
		b = b[copy(b, s.Snapshot):]
	} else {
		b = putFloats(b, s.Obs)
	}
	return putBits(b, s.Avail)
}

func (t *Transitions) readMoment(b []byte, obs []float32, avail []bool) []byte {
	if t.observer != nil {
		t.observer.Observe(b[:t.spec.Snapshot], obs)
		b = b[t.spec.Snapshot:]
	} else {
		b = floats(b, obs)
	}
	return bits(b, avail)
}

// Sample draws a batch of time 1.
func (t *Transitions) Sample(key rng.Key) *Sample {
	r, s, n := key.Rand(), &t.sample, t.spec.Agents
	first, _ := t.Records()
	obs, avail, acts := n*t.spec.ObsDim, n*t.spec.Choices(), n*len(t.spec.Actions)
	for i := range s.Batch {
		b := t.Record(first + int64(r.Uint64N(uint64(t.Len()))))
		b = t.readMoment(b, s.Obs[i*obs:(i+1)*obs], s.Avail[i*avail:(i+1)*avail])
		j := s.Batch + i // the second moment
		b = t.readMoment(b, s.Obs[j*obs:(j+1)*obs], s.Avail[j*avail:(j+1)*avail])
		b = actions(b, s.Actions[i*acts:(i+1)*acts])
		b = floats(b, s.Reward[i*n:(i+1)*n])
		s.Terminated[i], s.Truncated[i] = float32(b[0]&1), float32(b[0]>>1)
	}
	return s
}

// Records gives the numbers of the records held.
func (t *Transitions) Records() (first, next int64) { return max(0, t.next-t.capacity), t.next }

// Width is the size of a record in bytes.
func (t *Transitions) Width() int { return t.width }

// Record returns a view of record n, which must be held or the next.
func (t *Transitions) Record(n int64) []byte {
	i := int(n%t.capacity) * t.width
	return t.records[i : i+t.width : i+t.width]
}

// SetRecord puts a record back that Record gave.
func (t *Transitions) SetRecord(n int64, b []byte) { copy(t.Record(n), b) }

// Save writes how many records there were; the records themselves go to disk once, as they arrive.
func (t *Transitions) Save(w io.Writer) error {
	return json.NewEncoder(w).Encode(map[string]int64{"next": t.next, "width": int64(t.width), "capacity": t.capacity})
}

// Load reads what Save wrote, after SetRecord has been called for all records.
func (t *Transitions) Load(r io.Reader) error {
	s := map[string]int64{}
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if s["width"] != int64(t.width) || s["capacity"] != t.capacity {
		return fmt.Errorf("replay: a buffer of %d records of %d bytes was saved, want %d of %d", s["capacity"], s["width"], t.capacity, t.width)
	}
	if s["next"] < 0 {
		return fmt.Errorf("replay: %d records were saved, want 0 or more", s["next"])
	}
	t.next = s["next"]
	return nil
}
