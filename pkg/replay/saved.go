package replay

import (
	"encoding/json"
	"fmt"
	"io"
)

// Records gives the numbers of the records held, those of running episodes included.
func (r *Episodes) Records() (first, next int64) { return r.first, r.store.next }

// Width is the size of a record in bytes.
func (r *Episodes) Width() int { return r.store.width }

// Record returns a view of record n, which must be held.
func (r *Episodes) Record(n int64) []byte { return r.store.at(n) }

// SetRecord puts a record back that Record gave. One that does not follow the one before begins anew.
func (r *Episodes) SetRecord(n int64, b []byte) {
	if n != r.store.next {
		r.store.restart(n)
	}
	copy(r.store.add(), b)
}

// Save writes which records there were; the records themselves go to disk once, as they arrive.
func (r *Episodes) Save(w io.Writer) error {
	return json.NewEncoder(w).Encode(map[string]int64{
		"first": r.first, "next": r.store.next, "width": int64(r.store.width), "capacity": int64(r.capacity),
	})
}

// Load reads what Save wrote, after SetRecord has been called for all records, and finds the episodes in them.
func (r *Episodes) Load(in io.Reader) error {
	s := map[string]int64{}
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if s["width"] != int64(r.store.width) || s["capacity"] != int64(r.capacity) {
		return fmt.Errorf("replay: a buffer of %d episodes in records of %d bytes was saved, want %d in records of %d", s["capacity"], s["width"], r.capacity, r.store.width)
	}
	first, next := s["first"], s["next"]
	if first < 0 || next < first {
		return fmt.Errorf("replay: records %d to %d were saved, want 0 or more, rising", first, next)
	}
	if first == next {
		r.store.restart(next)
	}
	if first < r.store.base || next != r.store.next {
		return fmt.Errorf("replay: records %d to %d were saved, but %d to %d are there", first, next, r.store.base, r.store.next)
	}
	r.first = first
	return r.find()
}

// find makes the index of the episodes that the records hold. It passes over the rest of those whose beginning is
// no longer there; whole ones that were forgotten leave the ring again.
func (r *Episodes) find() error {
	clear(r.playing)
	r.held, r.order, r.oldest = r.held[:0], r.order[:0], 0
	begun := make([]bool, len(r.playing))
	for n := r.first; n < r.store.next; n++ {
		h := readHead(r.store.at(n))
		slot, step := int64(h.slot), int64(h.step)
		if slot < int64(len(begun)) && step > 0 && !begun[slot] && r.first > 0 {
			continue
		}
		if slot >= int64(len(begun)) || step != int64(r.playing[slot].steps) || step > 0 && n-int64(h.back) != r.playing[slot].last ||
			h.flags > closing || (h.flags == closing) != (step > 0 && r.over(slot)) || h.flags == 0 && step >= int64(r.frame.spec.MaxSteps)-1 {
			return fmt.Errorf("replay: record %d is not the next of an environment (environment %d of %d, step %d, flags %d)", n, slot, len(begun), step, h.flags)
		}
		p := &r.playing[slot]
		begun[slot], p.last = true, n
		if step == 0 {
			p.first = n
		}
		if h.flags != closing {
			p.steps++
		} else {
			r.finish(int(slot))
		}
	}
	return nil
}

// over reports whether the episode of a slot has ended with its last record.
func (r *Episodes) over(slot int64) bool {
	return readHead(r.store.at(r.playing[slot].last)).flags != 0
}
