package ppo

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/xla"
)

// moments are rows on the host, as programs take them.
type moments struct {
	obs     []float32 // [row, agent, obs]
	state   []float32 // [row, state]
	avail   []bool    // [row, agent, choice]; not where actions are continuous
	actions any       // []int32 [row, agent, head], or []float32 [row, agent, ActDim]; nil where nothing was done yet
}

// args lists the arrays in the order of inputs.
func (m moments) args(spec env.Spec) []any {
	list := []any{m.obs}
	if spec.StateDim > 0 {
		list = append(list, m.state)
	}
	if spec.ActDim == 0 {
		list = append(list, m.avail)
	}
	if m.actions != nil {
		list = append(list, m.actions)
	}
	return list
}

// part keeps the rows from ≤ row < to of rows.
func (m moments) part(from, to, rows int) moments {
	if from == 0 && to == rows {
		return m
	}
	m.obs, m.state, m.avail = between(m.obs, from, to, rows), between(m.state, from, to, rows), between(m.avail, from, to, rows)
	switch a := m.actions.(type) {
	case []int32:
		m.actions = between(a, from, to, rows)
	case []float32:
		m.actions = between(a, from, to, rows)
	}
	return m
}

func between[T any](x []T, from, to, rows int) []T {
	width := len(x) / rows
	return x[from*width : to*width]
}

// actionDims are the dimensions of the discrete actions of rows.
func actionDims(spec env.Spec, rows int) []int {
	if len(spec.Actions) == 1 {
		return []int{rows, spec.Agents}
	}
	return []int{rows, spec.Agents, len(spec.Actions)}
}

// inputs declares the arrays of rows.
func inputs(spec env.Spec, rows int, acted bool) []xla.Input {
	list := []xla.Input{xla.F32(rows, spec.Agents, spec.ObsDim)}
	if spec.StateDim > 0 {
		list = append(list, xla.F32(rows, spec.StateDim))
	}
	switch {
	case spec.ActDim == 0 && acted:
		list = append(list, xla.Bool(rows, spec.Agents, spec.Choices()), xla.I32(actionDims(spec, rows)...))
	case spec.ActDim == 0:
		list = append(list, xla.Bool(rows, spec.Agents, spec.Choices()))
	case acted:
		list = append(list, xla.F32(rows, spec.Agents, spec.ActDim))
	}
	return list
}

// look turns the nodes of inputs into what networks see, and returns the rest of in.
func look(spec env.Spec, in []*Node, acted bool) (Inputs, []*Node) {
	x := Inputs{Obs: in[0], Spec: spec}
	in = in[1:]
	if x.State = Reshape(x.Obs, x.Obs.Shape().Dim(0), -1); spec.StateDim > 0 {
		x.State, in = in[0], in[1:]
	}
	if spec.ActDim == 0 {
		x.Avail, in = in[0], in[1:]
	}
	if acted {
		if x.Actions, in = in[0], in[1:]; spec.ActDim == 0 {
			x.Actions = show(x.Actions, spec, x.Obs.DType())
		}
	}
	return x, in
}

// use says what a program is for.
type use uint8

const (
	acting   use = iota // one moment of each environment, actors alone
	valuing             // likewise, with values
	learning            // sequences of moments in which something was done
)

// numbers is how many hidden numbers of an environment recurrent networks keep.
func (s System) numbers(agents int, u use) int {
	if s.Memory == nil {
		return 0
	}
	actor, critic := s.Memory(agents)
	if u == acting {
		return actor
	}
	return actor + critic
}

// inputs declares what networks see of rows: moments, and where the system has them, the order in which agents
// choose, hidden states before each sequence, and whether they go on into each moment.
func (s System) inputs(spec env.Spec, rows int, u use) []xla.Input {
	list := inputs(spec, rows, u == learning)
	if s.Train.RandomOrder {
		list = append(list, xla.I32(rows, spec.Agents))
	}
	switch n := s.numbers(spec.Agents, u); {
	case n > 0 && u == learning:
		list = append(list, xla.F32(rows/s.chunk(), n), xla.F32(rows))
	case n > 0:
		list = append(list, xla.F32(rows, n))
	}
	return list
}

// look turns the nodes of inputs into what networks see, and returns the rest.
func (s System) look(spec env.Spec, nodes []*Node, u use) (Inputs, []*Node) {
	in, rest := look(spec, nodes, u == learning)
	if s.Train.RandomOrder {
		in.seating, rest = newSeating(rest[0], spec.Agents, in.Obs.DType()), rest[1:]
	}
	if s.numbers(spec.Agents, u) > 0 {
		in.Past, rest = &Past{rows: in.Obs.Shape().Dim(0), before: rest[0]}, rest[1:]
		if u == learning {
			in.Past.keep, rest = rest[0], rest[1:]
		}
	}
	return in, rest
}
