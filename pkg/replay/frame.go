package replay

import (
	"encoding/binary"

	"github.com/muster-marl/muster/pkg/env"
)

// frame lays out one record of Episodes: whose step it is, the moment before it, what was done and paid.
//
//	slot uint32 · step uint32 · back uint32 · flags byte · Obs or Snapshot · State · Entities ·
//	Hidden, Avail, Present as bits · Role, a byte each · Actions, a byte each · Reward
//
// step counts from 0 within the episode. back is the distance to the record of the step before, 0 for the first.
// The closing record of an episode shows the moment after its last step, where nothing is done and paid; its step
// is the number of steps. Numbers are little-endian; Obs, State, Entities are float32 or float16, Reward is float32.
type frame struct {
	spec     env.Spec
	keep     Keeps
	observer env.Observer // not nil: Snapshot is kept in place of Obs
}

const (
	terminated = 1 << iota
	truncated
	closing
)

// head says where a record belongs.
type head struct {
	slot, step, back uint32
	flags            byte
}

const headBytes = 13

// width is the size of a record in bytes.
func (f *frame) width() int {
	n, s := headBytes, f.spec
	number := 4
	if f.keep.Half {
		number = 2
	}
	if f.keep.Obs && f.observer != nil {
		n += s.Snapshot
	} else if f.keep.Obs {
		n += number * s.Agents * s.ObsDim
	}
	if f.keep.State {
		n += number * s.StateDim
	}
	if f.keep.Entities {
		n += number*s.Entities*s.EntityDim + bitBytes(s.Agents*s.Entities) + bitBytes(s.Entities)
		if s.Roles > 0 {
			n += s.Entities
		}
	}
	return n + bitBytes(s.Agents*s.Choices()) + s.Agents*len(s.Actions) + 4*s.Agents
}

func readHead(b []byte) head {
	u := binary.LittleEndian.Uint32
	return head{u(b), u(b[4:]), u(b[8:]), b[12]}
}

// write fills record b. act and reward are nil in a closing one.
func (f *frame) write(b []byte, h head, s *env.Step, act []int32, reward []float32) {
	for i, x := range []uint32{h.slot, h.step, h.back} {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	b[12], b = h.flags, b[headBytes:]
	if f.keep.Obs && f.observer != nil {
		b = b[copy(b, s.Snapshot):]
	} else if f.keep.Obs {
		b = f.put(b, s.Obs)
	}
	if f.keep.State {
		b = f.put(b, s.State)
	}
	if f.keep.Entities {
		b = putBits(f.put(b, s.Entities), s.Hidden)
	}
	b = putBits(b, s.Avail)
	if f.keep.Entities {
		b = putBits(b, s.Present)
		b = b[copy(b, s.Role):]
	}
	if act == nil {
		clear(b)
		return
	}
	putFloats(putActions(b, act), reward)
}

func (f *frame) put(b []byte, x []float32) []byte {
	if f.keep.Half {
		return putHalves(b, x)
	}
	return putFloats(b, x)
}

func (f *frame) get(b []byte, x []float32) []byte {
	if f.keep.Half {
		return halves(b, x)
	}
	return floats(b, x)
}

// read writes record b into moment t of row i of a sample, and its step too unless it is a closing record.
func (f *frame) read(b []byte, s *Sample, t, i int) {
	flags := b[12]
	b = b[headBytes:]
	at := t*s.Batch + i
	if f.keep.Obs && f.observer != nil {
		f.observer.Observe(b[:f.spec.Snapshot], nth(s.Obs, at, f.spec.Agents*f.spec.ObsDim))
		b = b[f.spec.Snapshot:]
	} else if f.keep.Obs {
		b = f.get(b, nth(s.Obs, at, f.spec.Agents*f.spec.ObsDim))
	}
	if f.keep.State {
		b = f.get(b, nth(s.State, at, f.spec.StateDim))
	}
	if f.keep.Entities {
		b = f.get(b, nth(s.Entities, at, f.spec.Entities*f.spec.EntityDim))
		b = bits(b, nth(s.Hidden, at, f.spec.Agents*f.spec.Entities))
	}
	b = bits(b, nth(s.Avail, at, f.spec.Agents*f.spec.Choices()))
	if f.keep.Entities {
		b = bits(b, nth(s.Present, at, f.spec.Entities))
		if f.spec.Roles > 0 {
			b = b[copy(nth(s.Role, at, f.spec.Entities), b):]
		}
	}
	if flags&closing != 0 {
		return
	}
	b = actions(b, nth(s.Actions, at, f.spec.Agents*len(f.spec.Actions)))
	floats(b, nth(s.Reward, at, f.spec.Agents))
	s.Terminated[at], s.Truncated[at], s.Filled[at] = float32(flags&terminated), float32(flags&truncated/truncated), 1
}

// nth is part i of an array of parts of k values.
func nth[T any](x []T, i, k int) []T { return x[i*k : (i+1)*k : (i+1)*k] }

// pad makes moments from t on of row i, and the steps from them, such as belong to no episode.
func (f *frame) pad(s *Sample, t, i int) {
	n, entities := f.spec.Agents, f.spec.Entities
	for ; t <= s.Time; t++ {
		at := t*s.Batch + i
		if f.keep.Obs {
			clear(nth(s.Obs, at, n*f.spec.ObsDim))
		}
		if f.keep.State {
			clear(nth(s.State, at, f.spec.StateDim))
		}
		if f.keep.Entities {
			clear(nth(s.Entities, at, entities*f.spec.EntityDim))
			clear(nth(s.Present, at, entities))
			if f.spec.Roles > 0 {
				clear(nth(s.Role, at, entities))
			}
			hidden := nth(s.Hidden, at, n*entities)
			for j := range hidden {
				hidden[j] = j/entities != j%entities
			}
		}
		avail := nth(s.Avail, at, n*f.spec.Choices())
		clear(avail)
		for len(avail) > 0 {
			for _, k := range f.spec.Actions {
				avail[0], avail = true, avail[k:]
			}
		}
		f.idle(s, t, i)
	}
}

// idle makes step t of row i one in which nothing is done, if there is such a step.
func (f *frame) idle(s *Sample, t, i int) {
	if t == s.Time {
		return
	}
	at := t*s.Batch + i
	acts := nth(s.Actions, at, f.spec.Agents*len(f.spec.Actions))
	for j := range acts {
		acts[j] = -1
	}
	clear(nth(s.Reward, at, f.spec.Agents))
	s.Terminated[at], s.Truncated[at], s.Filled[at] = 0, 0, 0
}
