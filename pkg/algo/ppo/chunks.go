package ppo

import (
	"slices"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
)

// chunks hold what a rollout needs beside what was seen and done: the hidden states of recurrent networks, found
// once with the weights that collected it, and the orders in which agents chose. A sequence is a chunk of one
// environment; they are numbered chunk·envs + environment.
type chunks struct {
	length  int // steps of a sequence; 1 without hidden states
	envs    int
	numbers int
	random  bool      // true = an order of choices is drawn for each episode
	key     rng.Key   // of these orders
	begins  []float32 // [env, number], hidden states before the rollout
	before  []float32 // [sequence, number], before each
	after   []float32 // [step, env, number], after each step
	keep    []float32 // [step, env], 0 = an episode begins with this step, else 1
	episode []int64   // [env], of the rollout's first step, from 0
	orders  []int32   // [step, env, position]
	part    struct {  // of a minibatch
		before, keep []float32
		orders       []int32
	}
}

func newChunks(s System, spec env.Spec, key rng.Key) *chunks {
	t := s.Train
	q := &chunks{length: s.chunk(), envs: t.Envs, numbers: s.numbers(spec.Agents, learning), random: t.RandomOrder, key: key, episode: make([]int64, t.Envs)}
	rows := t.Envs * t.Horizon
	q.part.before, q.part.keep = make([]float32, rows/q.length/t.Minibatches*q.numbers), make([]float32, rows/t.Minibatches)
	q.begins, q.before = make([]float32, t.Envs*q.numbers), make([]float32, rows/q.length*q.numbers)
	q.after, q.keep = make([]float32, rows*q.numbers), make([]float32, rows)
	if t.RandomOrder {
		q.orders, q.part.orders = make([]int32, rows*spec.Agents), make([]int32, rows/t.Minibatches*spec.Agents)
	}
	return q
}

// begin notes where episodes begin in a rollout, and the orders of its choices.
func (q *chunks) begin(s *replay.Sample) {
	episode := slices.Clone(q.episode)
	fill(q.keep[:q.envs], 1) // begins is 0 where an episode does
	for row := range q.keep {
		i, next := row%q.envs, row+q.envs
		if q.random {
			n := len(q.orders) / len(q.keep)
			drawOrder(q.key, i, episode[i], q.orders[row*n:(row+1)*n])
		}
		ends := over(s, row)
		if ends {
			episode[i]++
		}
		if next < len(q.keep) {
			if q.keep[next] = 1; ends {
				q.keep[next] = 0
			}
		}
	}
}

// over reports whether an episode ends with a step.
func over(s *replay.Sample, row int) bool { return s.Terminated[row] == 1 || s.Truncated[row] == 1 }

// end makes the states after the last step those before the next rollout.
func (q *chunks) end(s *replay.Sample) {
	last := len(q.keep) - q.envs
	copy(q.begins, q.after[last*q.numbers:])
	for row := range q.keep {
		if i := row % q.envs; over(s, row) {
			q.episode[i]++
			if row >= last {
				clear(q.begins[i*q.numbers : (i+1)*q.numbers])
			}
		}
	}
}

// block lists what a program takes beside moments for the rows from ≤ row < to, whole chunks of all environments.
func (q *chunks) block(from, to int) []any {
	n, first, last := len(q.orders)/len(q.keep), from/q.length, to/q.length
	return q.list(q.orders[from*n:to*n], q.before[first*q.numbers:last*q.numbers], q.keep[from:to])
}

// pick lists it for a minibatch of these rows of sequences.
func (q *chunks) pick(chosen, rows []int32) []any {
	pick(q.part.orders, q.orders, rows)
	if q.numbers > 0 {
		pick(q.part.before, q.before, chosen)
		pick(q.part.keep, q.keep, rows)
	}
	return q.list(q.part.orders, q.part.before, q.part.keep)
}

func (q *chunks) list(orders []int32, before, keep []float32) []any {
	var list []any
	if q.random {
		list = append(list, orders)
	}
	if q.numbers > 0 {
		list = append(list, before, keep)
	}
	return list
}

// rows are the steps of sequences, time-major.
func (q *chunks) rows(chosen []int32) []int32 {
	if q.length == 1 {
		return chosen
	}
	rows := make([]int32, 0, len(chosen)*q.length)
	for t := range q.length {
		for _, k := range chosen {
			chunk, i := int(k)/q.envs, int(k)%q.envs
			rows = append(rows, int32((chunk*q.length+t)*q.envs+i))
		}
	}
	return rows
}
