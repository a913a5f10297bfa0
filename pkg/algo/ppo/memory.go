package ppo

import (
	"encoding/binary"
	"fmt"
	"io"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/rng"
)

// Past gives recurrent networks their hidden states before a sequence of moments and takes those after each moment.
// The rows that such networks see are sequences of one length, time-major.
type Past struct {
	rows   int     // moments of all sequences
	before *Node   // [sequence, number], hidden states before the first moment
	keep   *Node   // [row], 0 = an episode begins with this moment, else 1; nil = with none
	after  []*Node // [row, number] of each unit that ran
	taken  int     // numbers of before that are theirs
}

// GRU runs x [net, row·k, in], of which k rows belong to each moment, through nn.GRU: [net, row·k, width]. It keeps
// nets·k·width numbers of each environment.
func (p *Past) GRU(s *model.Scope, x *Node, width int) *Node {
	nets, k, sequences := x.Shape().Dim(0), x.Shape().Dim(1)/p.rows, p.before.Shape().Dim(0)
	steps, size, all := p.rows/sequences, nets*k*width, p.before.Shape().Dim(1)
	if p.taken+size > all {
		exceptions.Panicf("ppo: recurrent networks keep %d numbers of an environment and more, Memory says %d", p.taken+size, all)
	}
	h := Reshape(Slice(p.before, AxisRange(), AxisRange(p.taken, p.taken+size)), sequences, nets, k, width)
	h = Reshape(TransposeAllAxes(h, 1, 0, 2, 3), nets, sequences*k, width)
	p.taken += size
	var keep *Node
	if p.keep != nil {
		keep = Reshape(BroadcastToDims(Reshape(p.keep, 1, p.rows, 1), nets, p.rows, k), nets, steps, sequences*k)
	}
	y := nn.GRU(s, Reshape(x, nets, steps, sequences*k, x.Shape().Dim(2)), h, keep)
	kept := TransposeAllAxes(Reshape(y, nets, p.rows, k, width), 1, 0, 2, 3)
	p.after = append(p.after, Reshape(kept, p.rows, size))
	return Reshape(y, nets, p.rows*k, width)
}

// append appends the hidden states after each moment, [row, number]. Without a past there are none.
func (p *Past) append(out []*Node) []*Node {
	if p == nil {
		return out
	}
	if all := p.before.Shape().Dim(1); p.taken != all {
		exceptions.Panicf("ppo: recurrent networks keep %d numbers of an environment, Memory says %d", p.taken, all)
	}
	return append(out, Concatenate(p.after, 1))
}

// memory is what a policy carries of each environment: hidden states, and the number of episodes, from which the
// order follows in which agents choose.
type memory struct {
	numbers int
	states  []float32 // [env, number]
	begun   []int64   // [env]
	orders  []int32   // [env, position], whose turn it is; empty without RandomOrder
	order   func(env int, episode int64, to []int32)
}

// Begin forgets the episode before.
func (m *memory) Begin(i int) {
	clear(m.states[i*m.numbers : (i+1)*m.numbers])
	m.begun[i]++
	m.arrange(i)
}

// arrange draws the order of the episode that environment i plays, its begun[i]-th.
func (m *memory) arrange(i int) {
	if n := len(m.orders) / len(m.begun); n > 0 {
		m.order(i, max(m.begun[i]-1, 0), m.orders[i*n:(i+1)*n])
	}
}

// Save writes the hidden states bit by bit.
func (m *memory) Save(w io.Writer) error {
	if err := binary.Write(w, binary.LittleEndian, m.begun); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, m.states)
}

// Load reads what Save wrote for as many environments.
func (m *memory) Load(r io.Reader) error {
	for _, part := range []any{m.begun, m.states} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return fmt.Errorf("ppo: saved memory of %d environments × %d hidden numbers: %w", len(m.begun), m.numbers, err)
		}
	}
	for i := range m.begun {
		m.arrange(i)
	}
	return nil
}

// drawOrder draws the order in which the agents choose in an episode of an environment, both counted from 0.
func drawOrder(key rng.Key, env int, episode int64, to []int32) {
	for i := range to {
		to[i] = int32(i)
	}
	key.Split("order", int64(env), episode).Rand().Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
}
