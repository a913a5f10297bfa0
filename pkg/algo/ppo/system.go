// Package ppo holds on-policy policy-gradient methods: one engine of proximal policy optimisation (Schulman et
// al., 2017) for many agents, and each method a value made of functions. The engine and its reference numbers are
// those of STEER's evaluation (Zhang et al., ICML 2024), whose baselines are the other methods here.
//
// Missing: recurrent networks and constraints, which come with the first method and world that need them, and
// worlds with several discrete heads.
package ppo

import (
	"fmt"
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
	Actions *Node // [row, agent, width], what was done: 1 at the choice, or the continuous action; nil while acting
	Spec    env.Spec
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

// Turns returns the order in which agents are updated one after another. strength is the mean |A| of an agent
// under what has been updated so far.
type Turns func(r *rand.Rand, strength []float64, updated []bool) int

// System is a policy-gradient method. To get another, copy it and change a field.
type System struct {
	Name      string
	Actor     Actor
	Decode    Decode                    // nil = all agents choose at once, from Actor's heads
	Critic    Critic                    // nil = Actor gives the values
	Own       bool                      // true = every network is a stack of one for each agent, clipped apart
	Surrogate Surrogate                 // Clipped, …
	Turns     Turns                     // nil = all agents are updated together
	Range     func(k, n int) float64    // factor of ε of the k-th of n agents that are updated one after another, from 1; nil = 1
	Trace     func(rho float64) float64 // factor of λ from the earlier agents' ratio; nil = advantages are computed once
	Train     Training
}

// Training holds the constants that all policy-gradient methods share.
type Training struct {
	LR            float64 // of Adam (ε = 1e-5)
	Gamma, Lambda float64 // of generalised advantages
	Envs, Horizon int     // environments stepped together, steps of each per update
	Epochs        int     // passes over a rollout
	Minibatches   int     // parts of a rollout, one optimiser step each
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

func (s System) validate() error {
	t := s.Train
	switch {
	case s.Name == "":
		return fmt.Errorf("ppo: the system has no name, want one such as \"mappo\"")
	case s.Actor == nil || s.Surrogate == nil:
		return fmt.Errorf("ppo: %s has no Actor or no Surrogate", s.Name)
	case s.Turns == nil && (s.Range != nil || s.Trace != nil):
		return fmt.Errorf("ppo: %s has Range or Trace for agents that are updated together, want Turns too", s.Name)
	case s.Turns != nil && (!s.Own || s.Critic == nil):
		return fmt.Errorf("ppo: %s updates agents one after another, want networks of their own (Own) and a Critic", s.Name)
	case t.Trust.KL != 0 && s.Turns == nil:
		return fmt.Errorf("ppo: %s has a trust region for agents that are updated together, want Turns too", s.Name)
	case t.Trust.KL != 0 && (!(t.Trust.KL > 0) || t.Trust.Iterations < 1 || t.Trust.Backtracks < 1 || !(t.Trust.Damping >= 0) || !(t.Trust.Shrink > 0 && t.Trust.Shrink < 1)):
		return fmt.Errorf("ppo: %s has the trust region %+v, want KL, Iterations and Backtracks above 0 and Shrink between 0 and 1", s.Name, t.Trust)
	case !(t.LR > 0):
		return fmt.Errorf("ppo: %s has learning rate %v, want more than 0", s.Name, t.LR)
	case !(t.Gamma >= 0 && t.Gamma <= 1 && t.Lambda >= 0 && t.Lambda <= 1):
		return fmt.Errorf("ppo: %s has γ = %v and λ = %v, want 0 to 1", s.Name, t.Gamma, t.Lambda)
	case !(t.Clip > 0):
		return fmt.Errorf("ppo: %s clips ratios to 1 ± %v, want a range of more than 0", s.Name, t.Clip)
	case !(t.ClipNorm > 0):
		return fmt.Errorf("ppo: %s clips gradients to %v, want more than 0", s.Name, t.ClipNorm)
	case t.Envs < 1 || t.Horizon < 1 || t.Epochs < 1 || t.Minibatches < 1:
		return fmt.Errorf("ppo: %s has %d environments × %d steps, %d epochs and %d minibatches, want at least 1 of each",
			s.Name, t.Envs, t.Horizon, t.Epochs, t.Minibatches)
	case t.Envs*t.Horizon%t.Minibatches != 0:
		return fmt.Errorf("ppo: %s cannot cut a rollout of %d × %d steps into %d equal minibatches", s.Name, t.Envs, t.Horizon, t.Minibatches)
	case !(t.Floor >= 0 && t.Floor < 1):
		return fmt.Errorf("ppo: %s has a policy floor of %v, want 0 to less than 1", s.Name, t.Floor)
	case !(t.Huber >= 0) || !(t.ValueCoef >= 0):
		return fmt.Errorf("ppo: %s has a value loss × %v, linear beyond %v, want neither negative", s.Name, t.ValueCoef, t.Huber)
	case t.Entropy.Steps < 0 || !(t.Entropy.From >= 0 && t.Entropy.To >= 0):
		return fmt.Errorf("ppo: %s has an entropy coefficient from %v to %v over %d steps, want none negative", s.Name, t.Entropy.From, t.Entropy.To, t.Entropy.Steps)
	}
	return nil
}

// accepts says why the system cannot act in a world.
func (s System) accepts(spec env.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if len(spec.Actions)+min(spec.ActDim, 1) != 1 {
		return fmt.Errorf("ppo: %s has %d action heads and continuous actions of size %d, want one head or continuous actions for %s",
			spec.Name, len(spec.Actions), spec.ActDim, s.Name)
	}
	if spec.ActDim > 0 && s.Train.Floor > 0 {
		return fmt.Errorf("ppo: %s has continuous actions, want Floor 0 for %s: a least probability is of choices", spec.Name, s.Name)
	}
	return nil
}
