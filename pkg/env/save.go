package env

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// add appends the actions of one step.
func (a *Actions) add(step Actions) {
	a.Discrete = append(a.Discrete, step.Discrete...)
	a.Continuous = append(a.Continuous, step.Continuous...)
}

// forget empties a and keeps its room.
func (a *Actions) forget() {
	a.Discrete, a.Continuous = a.Discrete[:0], a.Continuous[:0]
}

type vecState struct {
	Begun   int64
	Started bool
	Slots   []slotState
}

type slotState struct {
	Episode    int64
	Actions    []int32
	Continuous []byte `json:",omitempty"` // the bits of float32, little-endian
}

// Save writes which episode each slot plays and its actions so far.
func (v *Vec) Save(w io.Writer) error {
	s := vecState{Begun: v.begun, Started: v.started}
	for i, e := range v.episodes {
		slot := slotState{Episode: e, Actions: v.played[i].Discrete}
		for _, x := range v.played[i].Continuous {
			slot.Continuous = binary.LittleEndian.AppendUint32(slot.Continuous, math.Float32bits(x))
		}
		s.Slots = append(s.Slots, slot)
	}
	return json.NewEncoder(w).Encode(s)
}

// Load plays the saved episodes again up to the saved moment.
func (v *Vec) Load(r io.Reader) error {
	var s vecState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("env: saved environments of %s: %w", v.spec.Name, err)
	}
	if len(s.Slots) != len(v.envs) {
		return fmt.Errorf("env: %s: %d environments were saved, want %d", v.spec.Name, len(s.Slots), len(v.envs))
	}
	v.begun, v.started, v.now.drawn = s.Begun, s.Started, false
	for i, slot := range s.Slots {
		steps, err := v.steps(i, slot)
		if err != nil {
			return err
		}
		v.episodes[i] = slot.Episode
		if !s.Started || slot.Episode < 0 {
			v.played[i].forget()
			v.now.steps[i].blank(v.spec)
			continue
		}
		v.replay(i, steps, slot)
		if err := v.fault.take(v.spec.Name); err != nil {
			return err
		}
	}
	return nil
}

// steps is how many steps the saved actions of slot i are.
func (v *Vec) steps(i int, s slotState) (int, error) {
	heads, numbers := v.width(), 4*v.spec.Agents*v.spec.ActDim
	switch {
	case len(s.Actions)%max(heads, 1) != 0 || heads == 0 && len(s.Actions) > 0:
		return 0, fmt.Errorf("env: %s: %d saved actions in environment %d, want a multiple of %d", v.spec.Name, len(s.Actions), i, heads)
	case len(s.Continuous)%max(numbers, 1) != 0 || numbers == 0 && len(s.Continuous) > 0:
		return 0, fmt.Errorf("env: %s: %d bytes of saved continuous actions in environment %d, want a multiple of %d", v.spec.Name, len(s.Continuous), i, numbers)
	case heads == 0:
		return len(s.Continuous) / numbers, nil
	case numbers > 0 && len(s.Actions)/heads != len(s.Continuous)/numbers:
		return 0, fmt.Errorf("env: %s: saved actions of %d steps and continuous ones of %d in environment %d, want as many",
			v.spec.Name, len(s.Actions)/heads, len(s.Continuous)/numbers, i)
	}
	return len(s.Actions) / heads, nil
}

func (v *Vec) replay(i, steps int, s slotState) {
	defer v.fault.catch(i)
	v.begin(i)
	played := &v.played[i]
	played.Discrete = append(played.Discrete, s.Actions...)
	for b := s.Continuous; len(b) > 0; b = b[4:] {
		played.Continuous = append(played.Continuous, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	out := &v.now.steps[i]
	for t := range steps {
		out.clear()
		v.envs[i].Step(played.At(v.spec, t), out)
	}
}
