// Package value holds value-based methods: one engine, and each method a value made of functions. Transitions: the double
// DQNs of the takeout system (dqn.go). Whole episodes and observations: IQL and VDN (vdn.go), QMIX (qmix.go), QPLEX,
// weighted QMIX and QTRAN (qplex.go, wqmix.go, qtran.go). Entities: AQMIX and REFIL (aqmix.go, refil.go), and with groups
// OOM and SOM (oom.go).
package value

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/train"
)

// Agent is the network that says what actions are worth.
type Agent struct {
	Memory int                                    // numbers that each agent carries from step to step, by Remember; 0 = none
	Values func(s *model.Scope, in Inputs) Values // of all agents
	Scores func(s *model.Scope, in Inputs) *Node  // what agents think of each other, [time, batch, agent, agent]; for System.Group only
}

// FeedForward is an agent network without memory, [time, batch, agent, action].
func FeedForward(net func(s *model.Scope, in Inputs) *Node) Agent {
	return Agent{Values: func(s *model.Scope, in Inputs) Values { return Values{Q: net(s, in)} }}
}

// Mixer maps the agents' chosen values q [time, batch, agent] to one value of the team [time, batch, 1]; v is all that
// the agent networks say.
type Mixer func(s *model.Scope, q *Node, v Values, in Inputs) *Node

// Team turns the agents' rewards [time, batch, agent] into the reward of the team [time, batch, 1].
type Team func(reward *Node) *Node

// Target chooses the value of the next moment of each agent [time, batch, agent] from the values that the
// online and the target weights give it [time, batch, agent, action]. It may choose only what is available.
type Target func(online, target, avail *Node) *Node

// Loss is the number that an update makes smaller, a scalar.
type Loss func(f *Forward) *Node

// Noise draws numbers of each entity of one episode, anew for each update, for losses that need chance.
type Noise func(r *rand.Rand, present []bool, entity []float32)

// System is a value-based method. To get another, copy it and change a field.
type System struct {
	Name   string
	Sees   Sees
	Agent  Agent
	Mixer  Mixer // nil: each agent learns from its own reward
	Team   Team  // with Mixer only
	Target Target
	Loss   Loss
	Group  Group // who belongs together at each moment; the zero Group: no groups
	Noise  Noise // nil: none
	Train  Training
}

// Training holds the constants that all value methods share.
type Training struct {
	LR             float64
	Optimiser      nn.Optimiser // nil: Adam
	Gamma          float64
	Lambda         float64 // of λ-returns; 0 = targets of one step
	ClipNorm       float64 // largest norm of a gradient: of each network where agents learn on their own
	Batch          int     // per update: transitions, or episodes with UpdateEpisodes
	Buffer         int     // transitions, or episodes, kept
	Half           bool    // true = episodes are kept as float16
	Warmup         int     // joint steps before the first update; with UpdateEpisodes a batch of episodes is
	Envs           int     // environments stepped together
	UpdateEvery    int     // joint steps per update
	UpdateEpisodes int     // finished episodes per update, instead of UpdateEvery; samples are whole episodes then
	TargetEvery    int     // updates between copies of the target network
	RewardScale    float64 // factor of rewards in the loss
	Epsilon        Decay   // chance of a random action of each agent while exploring
	SmallBatch     int     // rows (environments × agents) below which acting uses the pure-Go backend; see xla.SmallBatch
	TimeOutEnds    bool    // true = the clock's end is not bootstrapped, like the end of a task
}

// Decay is a schedule over joint steps t: max(From·Factorᵗ, To), or with Steps a line from From to To.
type Decay struct {
	From, Factor, To float64
	Steps            int64 // over which the line falls; 0 = geometric
}

// At returns the value after t joint steps.
func (d Decay) At(t int64) float64 {
	if d.Steps > 0 {
		return d.From + (d.To-d.From)*min(1, float64(t)/float64(d.Steps))
	}
	return math.Max(d.From*math.Pow(d.Factor, float64(t)), d.To)
}

// String returns the system's name.
func (s System) String() string { return s.Name }

// Pace returns how many environments are stepped together, and what makes an update due.
func (s System) Pace() train.Pace {
	return train.Pace{Envs: s.Train.Envs, UpdateEvery: s.Train.UpdateEvery, UpdateEpisodes: s.Train.UpdateEpisodes}
}

func (s System) validate() error {
	t := s.Train
	switch {
	case s.Name == "":
		return fmt.Errorf("value: the system has no name, want one such as \"qmix\"")
	case s.Agent.Values == nil || s.Target == nil || s.Loss == nil:
		return fmt.Errorf("value: %s has no Agent, no Target or no Loss", s.Name)
	case (s.Mixer == nil) != (s.Team == nil):
		return fmt.Errorf("value: %s has only one of Mixer and Team, want both or none", s.Name)
	case s.Group.on() && s.Agent.Scores == nil:
		return fmt.Errorf("value: %s forms groups by %s but its Agent has no Scores", s.Name, s.Group.Matcher.Name)
	case s.Agent.Memory < 0 || s.Agent.Memory > 0 && t.UpdateEpisodes < 1:
		return fmt.Errorf("value: %s carries %d numbers from step to step and updates every %d episodes, want no memory or at least 1 episode",
			s.Name, s.Agent.Memory, t.UpdateEpisodes)
	case !(t.LR > 0):
		return fmt.Errorf("value: %s has learning rate %v, want more than 0", s.Name, t.LR)
	case !(t.Gamma >= 0 && t.Gamma <= 1):
		return fmt.Errorf("value: %s has γ = %v, want 0 to 1", s.Name, t.Gamma)
	case !(t.Lambda >= 0 && t.Lambda <= 1):
		return fmt.Errorf("value: %s has λ = %v, want 0 to 1", s.Name, t.Lambda)
	case !(t.ClipNorm > 0):
		return fmt.Errorf("value: %s clips gradients to %v, want more than 0", s.Name, t.ClipNorm)
	case t.Envs < 1 || t.UpdateEvery < 1 && t.UpdateEpisodes < 1 || t.TargetEvery < 1:
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

// fits says whether the world has what the method reads: one line naming both, and which methods would fit.
func (s System) fits(spec env.Spec) error {
	if len(spec.Actions) != 1 || spec.ActDim > 0 {
		return fmt.Errorf("value: %s has %d action heads and continuous actions of size %d, want 1 and 0 for %s", spec.Name, len(spec.Actions), spec.ActDim, s.Name)
	}
	missing := ""
	switch {
	case s.Sees.Obs && spec.ObsDim == 0:
		missing = "observations"
	case s.Sees.State && spec.StateDim == 0:
		missing = "a global state"
	case s.Sees.Entities && spec.Entities == 0:
		missing = "entities"
	case s.Group.needsLeaders() && spec.Roles == 0:
		missing = "leaders"
	}
	if missing != "" {
		return fmt.Errorf("value: %s needs %s, which %s has not; %s", s.Name, missing, spec.Name, fitting(spec))
	}
	return nil
}

// fitting names methods that need no more than a world has.
func fitting(spec env.Spec) string {
	var list []string
	if spec.ObsDim > 0 {
		list = append(list, "value.IQL", "value.VDN")
	}
	if spec.ObsDim > 0 && spec.StateDim > 0 {
		list = append(list, "value.QMIX")
	}
	if spec.Entities > 0 {
		list = append(list, "value.AQMIX", "value.REFIL")
	}
	if len(list) == 0 {
		return "no method of this package fits it"
	}
	return strings.Join(list, ", ") + " would fit"
}
