// Package ppo holds on-policy policy-gradient methods: one engine of proximal policy optimisation (Schulman et
// al., 2017) for many agents, and each method a value made of functions. The engine and its reference numbers are
// those of STEER's evaluation (Zhang et al., ICML 2024), whose baselines are the other methods here.
//
// Missing: discrete and continuous actions of one agent at once, recurrent networks under a trust region and in
// agents that choose one after another.
package ppo

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/train"
)

// Inputs is what networks see. A row is one moment of one environment.
type Inputs struct {
	Obs     *Node // [row, agent, obs]
	State   *Node // [row, state]; the observations of all agents where the world has none
	Avail   *Node // [row, agent, choice], bool, true = may be chosen; nil where actions are continuous
	Actions *Node // [row, agent, width], what was done: 1 at the choice of each head, or the continuous action; nil while acting
	Past    *Past // what recurrent networks remember; nil where System.Memory is
	Spec    env.Spec
	seating *seating
}

// Actor gives the heads of the agents' distributions [row, agent, width]: logits, or what gaussian makes. With
// Decode, an agent's head may depend on Inputs.Actions of those that choose before it. Values [row, agent] come
// from networks that have no Critic beside them, else nil.
type Actor func(s *model.Scope, in Inputs) (heads, values *Node)

// Decode chooses for one agent after another: choose takes the head [row, width] of an agent and returns its
// action as Inputs.Actions shows it, [row, width]. What it computes equals Actor's heads and values for those
// actions.
type Decode func(s *model.Scope, in Inputs, choose func(agent int, head *Node) *Node) (values *Node)

// Critic gives the values of the agents' moments [row, agent], in units of the running normalisation.
type Critic func(s *model.Scope, in Inputs) *Node

// Surrogate is the objective of each agent [row, agent, part], to be maximised, from the ratio of new to old
// probabilities [row, agent, part], the product of the ratios of the agents updated earlier [row, 1, 1] (1
// where all are updated together), advantages [row, agent, 1] and the clip range ε (a scalar).
type Surrogate func(ratio, before, advantage, clip *Node) *Node

// Turns says how agents are updated one after another.
type Turns struct {
	// Next returns whose turn it is. strength is the mean |A| of each agent under what has been updated so far.
	Next  func(r *rand.Rand, strength []float64, updated []bool) int
	Range func(k, n int) float64    // factor of ε of the k-th of n agents, from 1; nil = 1
	Trace func(rho float64) float64 // factor of λ from the earlier agents' ratio; nil = advantages are computed once
}

// System is a policy-gradient method. To get another, copy it and change a field.
type System struct {
	Name       string
	Actor      Actor
	Decode     Decode                               // nil = all agents choose at once, from Actor's heads
	Critic     Critic                               // nil = Actor gives the values
	Memory     func(agents int) (actor, critic int) // hidden numbers of an environment that recurrent networks keep; nil = they have none
	Own        bool                                 // true = every network is a stack of one for each agent, clipped apart
	Surrogate  Surrogate                            // Clipped, …
	Turns      Turns                                // the zero value = all agents are updated together
	Constraint Constraint                           // the zero value = the world's costs do not count
	Train      Training
}

// Training holds the constants that all policy-gradient methods share.
type Training struct {
	LR            float64 // of Adam (ε = 1e-5)
	Gamma, Lambda float64 // of generalised advantages
	Envs, Horizon int     // environments stepped together, steps of each per update
	Epochs        int     // passes over a rollout
	Minibatches   int     // parts of a rollout, one optimiser step each
	Chunk         int     // steps of the sequences that recurrent networks learn from; 0 = Horizon
	Clip          float64 // ε of the ratios, and of values where ValueClip is set
	ClipNorm      float64 // largest norm of a gradient: of actor and critic apart, and of each network of a stack
	Entropy       Linear  // coefficient of the entropy
	ValueCoef     float64 // coefficient of the value loss
	Huber         float64 // error beyond which the value loss is linear; 0 = squared throughout
	ValueClip     bool    // true = values may not gain by moving further than Clip from the old ones
	PlainValues   bool    // true = values are in units of the reward, without running normalisation
	AgentValues   bool    // true = running normalisation of values for each agent apart
	GlobalNorm    bool    // true = advantages are normalised over all agents together, false = for each apart
	Floor         float64 // least probability of all available choices together: π = (1−f)·softmax + f/choices
	Components    bool    // true = each part of a continuous action has a ratio of its own, false = their product counts
	TimeOutEnds   bool    // true = the clock's end is not bootstrapped, like the end of a task
	RandomOrder   bool    // true = who chooses one after another does so in an order drawn for each episode, and is known by what it sees alone
	Trust         Trust   // of actors that are updated one after another; the zero value = none
	SmallBatch    int     // rows (environments × agents) below which acting uses the pure-Go backend; see xla.SmallBatch
}

// Linear is a schedule over joint steps: From at 0, To from Steps on.
type Linear struct {
	From, To float64
	Steps    int64
}

// At returns the value after t joint steps.
func (l Linear) At(t int64) float64 {
	if t >= l.Steps {
		return l.To
	}
	return l.From + (l.To-l.From)*float64(t)/float64(l.Steps)
}

// String returns the system's name.
func (s System) String() string { return s.Name }

// Pace returns how many environments are stepped together, and how many steps make a rollout.
func (s System) Pace() train.Pace {
	return train.Pace{Envs: s.Train.Envs, UpdateEvery: s.Train.Envs * s.Train.Horizon}
}

// Clipped is PPO's objective, weighted by the ratio of earlier agents (Kuba et al., ICLR 2022, equation 11, as
// their code has it):
//
//	M·min(ρ·A, clip(ρ, 1−ε, 1+ε)·A)
func Clipped(ratio, before, advantage, clip *Node) *Node {
	return Mul(before, Min(Mul(ratio, advantage), Mul(within(ratio, OnesLike(ratio), clip), advantage)))
}

// within clips x to centre ± reach.
func within(x, centre, reach *Node) *Node {
	return Min(Max(x, Sub(centre, reach)), Add(centre, reach))
}

// chunk is the number of steps of the sequences from which networks learn, 1 where none is recurrent.
func (s System) chunk() int {
	switch {
	case s.Memory == nil:
		return 1
	case s.Train.Chunk > 0:
		return s.Train.Chunk
	}
	return s.Train.Horizon
}
