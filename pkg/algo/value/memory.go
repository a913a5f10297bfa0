package value

import (
	"fmt"
	"io"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/team"
)

// memory is what the agents of each environment carry from step to step.
type memory struct {
	sys    System
	agents int
	hidden []float32 // [env][agent][Agent.Memory]
	last   []int32   // [env][agent] last action, −1 at an episode's beginning
	step   []int32   // [env] steps of the running episode
	slots  []int32   // [env][agent] slot of the agent's group, −1 = none; of methods with groups
	places []int32   // [env][slot] the slot of each group, drawn for each episode
	scores []float32 // [env][agent][agent] of the last matching
	market *team.Market
	group  []int32
}

func newMemory(s System, spec env.Spec, envs int) *memory {
	n := spec.Agents
	m := &memory{
		sys: s, agents: n, hidden: make([]float32, envs*n*s.Agent.Memory), last: make([]int32, envs*n), step: make([]int32, envs),
	}
	if s.Group.on() {
		m.slots, m.places = make([]int32, envs*n), make([]int32, envs*Slots)
		m.scores = make([]float32, envs*n*n)
		m.market, m.group = team.NewMarket(n), make([]int32, n)
	}
	for i := range envs {
		m.Begin(i)
	}
	return m
}

// Begin forgets the last episode of environment i.
func (m *memory) Begin(i int) {
	n, k := m.agents, m.agents*m.sys.Agent.Memory
	clear(m.hidden[i*k : (i+1)*k])
	m.step[i] = 0
	for a := i * n; a < (i+1)*n; a++ {
		m.last[a] = -1
		if m.slots != nil {
			m.slots[a] = -1
		}
	}
}

// match groups the agents of each environment anew where it is time to, by their scores [env][agent][agent].
func (m *memory) match(b *env.Batch, scores []float32, key rng.Key) error {
	n, e := m.agents, len(b.Present)/b.N
	for i := range b.N {
		places := m.places[i*Slots : (i+1)*Slots]
		if m.step[i] == 0 {
			shuffle(places, key.Split("slots", int64(i)))
		}
		if int(m.step[i])%max(1, m.sys.Group.Every) != 0 {
			continue
		}
		copy(m.scores[i*n*n:(i+1)*n*n], scores[i*n*n:(i+1)*n*n])
		if err := m.sys.Group.form(m.market, roles(b.Role, i, e), b.Present[i*e:(i+1)*e], scores[i*n*n:(i+1)*n*n], key.Split("match", int64(i)), m.group); err != nil {
			return err
		}
		place(m.group, places, m.slots[i*n:(i+1)*n])
	}
	return nil
}

// Save writes all of it as safetensors.
func (m *memory) Save(w io.Writer) error {
	return run.WriteArrays(w, m.arrays())
}

func (m *memory) arrays() map[string]run.Array {
	list := map[string]run.Array{"hidden": {Shape: []int{len(m.hidden)}, Data: m.hidden}}
	for name, x := range map[string][]int32{"last": m.last, "step": m.step, "slots": m.slots, "places": m.places} {
		list[name] = run.Array{Shape: []int{len(x)}, Data: x}
	}
	if m.scores != nil {
		list["scores"] = run.Array{Shape: []int{len(m.scores)}, Data: m.scores}
	}
	return list
}

// Load reads what Save wrote.
func (m *memory) Load(r io.Reader) error {
	arrays, err := run.ReadArrays(r)
	if err != nil {
		return err
	}
	for name, to := range m.arrays() {
		ok := false
		switch x := arrays[name].Data.(type) {
		case []float32:
			dst, is := to.Data.([]float32)
			ok = is && len(dst) == len(x) && copy(dst, x) == len(x)
		case []int32:
			dst, is := to.Data.([]int32)
			ok = is && len(dst) == len(x) && copy(dst, x) == len(x)
		}
		if !ok {
			return fmt.Errorf("value: saved memory: %s has shape %v, want %v", name, arrays[name].Shape, to.Shape)
		}
	}
	return nil
}
