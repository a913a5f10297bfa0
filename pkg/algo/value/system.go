// Package value holds value-based methods: one engine, and each method a value made of functions. Its first
// methods are the double DQNs of the takeout system (dqn.go).
//
// Missing: recurrent agents, episode samples, and mixers with parameters, which come with the first method
// that needs them.
package value

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/train"
)

// Inputs is what an agent network sees, time-major.
type Inputs struct {
	Obs   *Node // [time, batch, agent, obs]
	Avail *Node // [time, batch, agent, action], bool, true = may be chosen
	Spec  env.Spec
}

// Agent maps what is seen to action values [time, batch, agent, action].
type Agent func(s *model.Scope, in Inputs) *Node

// Mixer maps the agents' chosen values [time, batch, agent] to one value of the team [time, batch, 1].
type Mixer func(s *model.Scope, q *Node, in Inputs) *Node

// Team turns the agents' rewards [time, batch, agent] into the reward of the team [time, batch, 1].
type Team func(reward *Node) *Node

// Target chooses the value of the next moment of each agent [time, batch, agent] from the values that the
// online and the target weights give it [time, batch, agent, action]. It may choose only what is available.
type Target func(online, target, avail *Node) *Node

// System is a value-based method. To get another, copy it and change a field.
type System struct {
	Name   string
	Agent  Agent
	Mixer  Mixer // nil: each agent learns from its own reward
	Team   Team  // with Mixer only
	Target Target
	Train  Training
}

// Training holds the constants that all value methods share.
type Training struct {
	LR          float64 // of Adam
	Gamma       float64
	ClipNorm    float64 // largest norm of a gradient: of each network where agents learn on their own
	Batch       int     // transitions per update
	Buffer      int     // transitions kept
	Warmup      int     // joint steps before the first update
	Envs        int     // environments stepped together
	UpdateEvery int     // joint steps per update
	TargetEvery int     // updates between copies of the target network
	RewardScale float64 // factor of rewards in the loss
	Epsilon     Decay   // chance of a random action of each agent while exploring
	SmallBatch  int     // rows (environments × agents) below which acting uses the pure-Go backend; see xla.SmallBatch
	TimeOutEnds bool    // true = the clock's end is not bootstrapped, like the end of a task
}

// Decay is a geometric schedule over joint steps t: max(From·Factorᵗ, To).
type Decay struct{ From, Factor, To float64 }

// At returns the value after t joint steps.
func (d Decay) At(t int64) float64 { return math.Max(d.From*math.Pow(d.Factor, float64(t)), d.To) }

// String returns the system's name.
func (s System) String() string { return s.Name }

// Pace returns how many environments are stepped together, and how many steps make an update.
func (s System) Pace() train.Pace {
	return train.Pace{Envs: s.Train.Envs, UpdateEvery: s.Train.UpdateEvery}
}

func (s System) validate() error {
	t := s.Train
	switch {
	case s.Name == "":
		return fmt.Errorf("value: the system has no name, want one such as \"qmix\"")
	case s.Agent == nil || s.Target == nil:
		return fmt.Errorf("value: %s has no Agent or no Target", s.Name)
	case (s.Mixer == nil) != (s.Team == nil):
		return fmt.Errorf("value: %s has only one of Mixer and Team, want both or none", s.Name)
	case !(t.LR > 0):
		return fmt.Errorf("value: %s has learning rate %v, want more than 0", s.Name, t.LR)
	case !(t.Gamma >= 0 && t.Gamma <= 1):
		return fmt.Errorf("value: %s has γ = %v, want 0 to 1", s.Name, t.Gamma)
	case !(t.ClipNorm > 0):
		return fmt.Errorf("value: %s clips gradients to %v, want more than 0", s.Name, t.ClipNorm)
	case t.Envs < 1 || t.UpdateEvery < 1 || t.TargetEvery < 1:
		return fmt.Errorf("value: %s has %d environments, an update every %d steps, a target copy every %d updates, want at least 1 of each",
			s.Name, t.Envs, t.UpdateEvery, t.TargetEvery)
	case t.Batch < 1 || t.Buffer < t.Batch || t.Warmup < 0:
		return fmt.Errorf("value: %s has batches of %d from a buffer of %d after %d steps, want 1 ≤ batch ≤ buffer and no negative warm-up",
			s.Name, t.Batch, t.Buffer, t.Warmup)
	case t.RewardScale == 0:
		return fmt.Errorf("value: %s scales rewards by 0, want another factor", s.Name)
	}
	return nil
}
