package replay

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// Episodes keeps the last whole episodes and samples them uniformly without replacement, so that a method with
// memory sees each from its beginning. A sample has rows of MaxSteps steps, and in each row as many episodes behind one
// another as fit (sequence packing), since most are shorter: with one episode a row half of a sample was padding (2s3z,
// 57 of 120 steps on average). The number of rows is rounded up to one of at most four, since a program is compiled for
// each.
//
// Episodes are kept as records of one width in order of arrival, one for each step and one for the moment that
// ends an episode; they never change once added, and those of running episodes are among them. Room is taken as
// records arrive and used again when the episodes in it are forgotten, so that short episodes cost little.
// A record of 2s3z with Obs and State (5 agents, observations of 80, state of 120, 11 actions) has 2,125 bytes, with
// Half 1,085: 5,000 episodes of 60 steps take 650 MB or 330 MB. One of SZ with 8 agents and 16 entities of 38 values
// has 2,533 or 1,317 bytes: 770 MB or 400 MB.
type Episodes struct {
	frame    frame
	store    blocks
	capacity int
	playing  []span // [slot], of no steps = none
	held     []span // a ring, of finished episodes in order of finishing
	oldest   int    // in held
	first    int64  // records before it are not needed

	batch  int   // episodes in a sample
	rows   []int // that it may have, rising
	order  []int // 0, 1, …, but while episodes are drawn
	swaps  []int // made in order, to be undone
	sorted []int // what has been drawn, the longest first
	used   []int // moments of each row
	source rand.PCG
	rand   *rand.Rand
	sample Sample
}

// Keeps says what is kept of each moment, beside available actions.
type Keeps struct {
	Obs, State bool
	Entities   bool // true = Entities, Hidden, Present, and Role where the world has roles
	Half       bool // true = Obs, State and Entities as float16: 11 bits, at most ±65504. Snapshots stay as they are
}

// span is where the records of an episode are.
type span struct {
	first, last int64 // numbers of the first record and of the last so far
	steps       int
}

// NewEpisodes returns a buffer of the last capacity episodes of envs environments that samples batch of them. e
// serves for its sizes and to draw observations; it is not stepped. Its episodes must have a bound (MaxSteps): one
// that goes on beyond it is kept as several, each but the last ended by the clock.
func NewEpisodes(e env.Env, keep Keeps, envs, capacity, batch int) (*Episodes, error) {
	spec := e.Spec()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	switch {
	case envs < 1:
		return nil, fmt.Errorf("replay: episodes of %d environments, want at least 1", envs)
	case batch < 1:
		return nil, fmt.Errorf("replay: batches of %d episodes, want at least 1", batch)
	case capacity < batch:
		return nil, fmt.Errorf("replay: a batch larger than the buffer: %d of %d episodes", batch, capacity)
	case spec.MaxSteps < 1:
		return nil, fmt.Errorf("replay: %s has episodes without a bound (MaxSteps 0), want one, for they are kept whole", spec.Name)
	case keep.State && spec.StateDim == 0:
		return nil, fmt.Errorf("replay: %s has no global state, but State is to be kept", spec.Name)
	case keep.Entities && spec.Entities == 0:
		return nil, fmt.Errorf("replay: %s has no entities, but Entities are to be kept", spec.Name)
	}
	if err := discrete(spec); err != nil {
		return nil, err
	}
	r := &Episodes{frame: frame{spec: spec, keep: keep}, capacity: capacity, playing: make([]span, envs), batch: batch, rows: Rows(batch)}
	r.frame.observer, _ = e.(env.Observer)
	r.store = newBlocks(r.frame.width())
	if most := 1 << 40 / r.frame.width() / (spec.MaxSteps + 1); batch > most {
		return nil, fmt.Errorf("replay: batches of %d episodes of up to %d steps, want at most %d (1 TB)", batch, spec.MaxSteps, most)
	}
	r.rand = rand.New(&r.source)
	r.sample.Time = spec.MaxSteps
	return r, nil
}

// Rows are the numbers of rows that samples of batch episodes may have: 1/4, 1/2 and 5/8 of it, and all of it.
func Rows(batch int) []int {
	var out []int
	for _, eighths := range []int{2, 4, 5, 8} {
		if n := (batch*eighths + 7) / 8; !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Len is the number of finished episodes held.
func (r *Episodes) Len() int { return len(r.held) }

// Ready reports whether there are enough finished episodes for a batch.
func (r *Episodes) Ready() bool { return len(r.held) >= r.batch }

// Add appends a record for each environment that plays, and one more where its episode ends.
func (r *Episodes) Add(before *env.Batch, act env.Actions, after *env.Batch, plays func(i int) bool) {
	for i := range before.N {
		if !plays(i) {
			continue
		}
		step := after.At(i)
		flags := bit(step.Terminated)*terminated | bit(step.Truncated)*truncated
		if flags == 0 && r.playing[i].steps == r.frame.spec.MaxSteps-1 {
			flags = truncated
		}
		r.write(i, flags, before.At(i), act.At(r.frame.spec, i).Discrete, step.Reward)
		if flags != 0 {
			r.write(i, closing, step, nil, nil)
			r.finish(i)
		}
	}
}

// write appends a record of slot i.
func (r *Episodes) write(i int, flags byte, s *env.Step, act []int32, reward []float32) {
	if r.store.full() {
		r.forget()
	}
	p, n := &r.playing[i], r.store.next
	h := head{slot: uint32(i), step: uint32(p.steps), flags: flags}
	if p.steps == 0 {
		p.first = n
	} else {
		h.back = uint32(n - p.last)
	}
	r.frame.write(r.store.add(), h, s, act, reward)
	if p.last = n; flags != closing {
		p.steps++
	}
}

// finish moves the episode of slot i to those that are held, in place of the oldest if there are enough.
func (r *Episodes) finish(i int) {
	if len(r.held) < r.capacity {
		r.order = append(r.order, len(r.held))
		r.held = append(r.held, r.playing[i])
	} else {
		r.held[r.oldest] = r.playing[i]
		r.oldest = (r.oldest + 1) % r.capacity
	}
	r.playing[i].steps = 0
}

// forget gives up the records before those of the episodes that are held or played.
func (r *Episodes) forget() {
	r.first = r.store.next
	for _, p := range r.held {
		r.first = min(r.first, p.first)
	}
	for _, p := range r.playing {
		if p.steps > 0 {
			r.first = min(r.first, p.first)
		}
	}
	r.store.drop(r.first)
}

// Sample draws a batch of distinct episodes, or all there are where they are fewer. What lies behind the last episode of
// a row is zero, Filled too; there nobody is present, each agent sees itself alone and has only the first choice. In a
// step that was not played each agent's action is −1. Sample's own draw uses a stream that is split from key, and Key is key.
func (r *Episodes) Sample(key rng.Key) *Sample {
	key.Split("episodes").Seed(&r.source)
	s, n := &r.sample, len(r.held)
	s.Key = key
	drawn := min(n, r.batch)
	r.swaps = r.swaps[:0]
	for i := range drawn {
		j := i + int(r.rand.Uint64N(uint64(n-i)))
		r.order[i], r.order[j] = r.order[j], r.order[i]
		r.swaps = append(r.swaps, j)
	}
	r.lay(drawn)
	r.resize()
	for i, e := range s.Episodes {
		at := r.episode(i).last
		for t := e.Steps; t >= 0; t-- {
			b := r.store.at(at)
			r.frame.read(b, s, e.From+t, e.Row)
			at -= int64(readHead(b).back)
		}
		r.frame.idle(s, e.From+e.Steps, e.Row)
	}
	for row := range s.Batch {
		from := 0
		if row < len(r.used) {
			from = r.used[row]
		}
		r.frame.pad(s, from, row)
	}
	for i := len(r.swaps) - 1; i >= 0; i-- {
		j := r.swaps[i]
		r.order[i], r.order[j] = r.order[j], r.order[i]
	}
	return s
}

// lay finds a place for each episode that has been drawn, the longest first, in the first row that has room for it.
func (r *Episodes) lay(drawn int) {
	s := &r.sample
	r.sorted, r.used, s.Episodes = r.sorted[:0], r.used[:0], s.Episodes[:0]
	for i := range drawn {
		r.sorted = append(r.sorted, i)
		s.Episodes = append(s.Episodes, Stretch{Steps: r.episode(i).steps})
	}
	slices.SortStableFunc(r.sorted, func(a, b int) int { return s.Episodes[b].Steps - s.Episodes[a].Steps })
	for _, i := range r.sorted {
		e := &s.Episodes[i]
		for e.Row = 0; e.Row < len(r.used) && r.used[e.Row]+e.Steps > s.Time; e.Row++ {
		}
		if e.Row == len(r.used) {
			r.used = append(r.used, 0)
		}
		e.From = r.used[e.Row]
		r.used[e.Row] += e.Steps + 1
	}
	for _, s.Batch = range r.rows {
		if s.Batch >= len(r.used) {
			break
		}
	}
}

// episode is the i-th that has been drawn. Order counts from the oldest, wherever the ring begins.
func (r *Episodes) episode(i int) span { return r.held[(r.oldest+r.order[i])%len(r.held)] }

// resize gives the sample's arrays their lengths.
func (r *Episodes) resize() {
	s, f := &r.sample, &r.frame
	steps, agents := s.Time*s.Batch, f.spec.Agents
	moments := steps + s.Batch
	if f.keep.Obs {
		size(&s.Obs, moments*agents*f.spec.ObsDim)
	}
	if f.keep.State {
		size(&s.State, moments*f.spec.StateDim)
	}
	if f.keep.Entities {
		size(&s.Entities, moments*f.spec.Entities*f.spec.EntityDim)
		size(&s.Hidden, moments*agents*f.spec.Entities)
		size(&s.Present, moments*f.spec.Entities)
		if f.spec.Roles > 0 {
			size(&s.Role, moments*f.spec.Entities)
		}
	}
	size(&s.Avail, moments*agents*f.spec.Choices())
	size(&s.Actions, steps*agents*len(f.spec.Actions))
	size(&s.Reward, steps*agents)
	size(&s.Terminated, steps)
	size(&s.Truncated, steps)
	size(&s.Filled, steps)
}

// size gives x length n; what it holds is arbitrary.
func size[T any](x *[]T, n int) {
	if cap(*x) < n {
		*x = make([]T, n)
	}
	*x = (*x)[:n]
}
