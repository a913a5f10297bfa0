// Package policy says who acts: a Policy chooses for a whole batch of environments at once.
package policy

import (
	"io"
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// Mode says how to act.
type Mode struct {
	Explore bool    // true = as in training, with the method's own schedule; false = greedily but for Epsilon
	Steps   int64   // joint steps trained so far, for schedules
	Epsilon float64 // chance of a random action of each agent where Explore is false
}

// Memory is what a policy carries from step to step of each environment: hidden states, say. It saves itself.
type Memory interface {
	Begin(i int) // environment i begins a new episode
	Save(w io.Writer) error
	Load(r io.Reader) error
}

// Insightful is a Memory that keeps what the policy thought at its last Act beside the actions. Recorded episodes hold
// it, so that it can be looked at without the policy.
type Insightful interface {
	Memory
	Insight(i int) Insight // of environment i at the last Act, which must have called the network for it; valid until the next Act
}

// Insight is what a policy thought of one environment when it chose. What it does not have is nil.
type Insight struct {
	Groups []int32   // [agent] number of the agent's group, −1 = in none
	Scores []float32 // [agent][agent] what the row's agent thinks of the column's; NaN = nothing, as of who is not there
}

// None is the memory of a policy that needs none.
type None struct{}

func (None) Begin(int)            {}
func (None) Save(io.Writer) error { return nil }
func (None) Load(io.Reader) error { return nil }

// Policy chooses actions. Weights belong to a policy, episodes do not: those are in the memory.
type Policy interface {
	// Memory returns the memory for n environments.
	Memory(n int) Memory
	// Act writes an available action for each agent of each environment to out.Discrete [env][agent][head], and
	// finite numbers to out.Continuous [env][agent][ActDim]; nil where the world has none.
	// Randomness comes from key's stream alone.
	Act(b *env.Batch, m Memory, mode Mode, key rng.Key, out env.Actions) error
}

// Random chooses uniformly among the available actions, and in [−1, 1) each number of a continuous one.
func Random(spec env.Spec) Policy { return random{spec} }

type random struct{ spec env.Spec }

func (random) Memory(int) Memory { return None{} }

func (p random) Act(b *env.Batch, _ Memory, _ Mode, key rng.Key, out env.Actions) error {
	r := key.Rand()
	env.RandomActions(p.spec, b.Avail, r, out.Discrete)
	env.RandomContinuous(r, out.Continuous)
	return nil
}

// Script turns a function that plays one environment into a Policy: a world's scripted agents, a heuristic.
func Script(spec env.Spec, f func(s *env.Step, r *rand.Rand, act env.Actions)) Policy {
	return script{spec, f}
}

type script struct {
	spec env.Spec
	f    func(s *env.Step, r *rand.Rand, act env.Actions)
}

func (script) Memory(int) Memory { return None{} }

func (p script) Act(b *env.Batch, _ Memory, _ Mode, key rng.Key, out env.Actions) error {
	r := key.Rand()
	for i := range b.N {
		p.f(b.At(i), r, out.At(p.spec, i))
	}
	return nil
}
