package ppo

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/env"
)

// validate names the first constant of the system that cannot be.
func (s System) validate() error {
	t := s.Train
	switch {
	case s.Name == "":
		return fmt.Errorf("ppo: the system has no name, want one such as \"mappo\"")
	case s.Actor == nil || s.Surrogate == nil:
		return fmt.Errorf("ppo: %s has no Actor or no Surrogate", s.Name)
	case s.Turns.Next == nil && (s.Turns.Range != nil || s.Turns.Trace != nil):
		return fmt.Errorf("ppo: %s has Turns.Range or Trace for agents that are updated together, want Turns.Next too", s.Name)
	case s.Turns.Next != nil && (!s.Own || s.Critic == nil):
		return fmt.Errorf("ppo: %s updates agents one after another, want networks of their own (Own) and a Critic", s.Name)
	case t.Trust.KL != 0 && s.Turns.Next == nil:
		return fmt.Errorf("ppo: %s has a trust region for agents that are updated together, want Turns.Next too", s.Name)
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
	case t.Chunk < 0:
		return fmt.Errorf("ppo: %s has chunks of %d steps, want 0 (the horizon) or more", s.Name, t.Chunk)
	case s.Memory != nil && (s.Decode != nil || t.Trust.KL != 0):
		return fmt.Errorf("ppo: %s has recurrent networks and agents that choose one after another or a trust region, want one or the other", s.Name)
	case t.Horizon < s.chunk():
		return fmt.Errorf("ppo: %s has a horizon of %d steps, want at least a chunk of %d", s.Name, t.Horizon, s.chunk())
	case t.Horizon%s.chunk() != 0:
		return fmt.Errorf("ppo: %s has a horizon of %d steps, want a multiple of a chunk of %d", s.Name, t.Horizon, s.chunk())
	case t.Envs*t.Horizon/s.chunk()%t.Minibatches != 0:
		return fmt.Errorf("ppo: %s cannot deal %d chunks to %d minibatches alike", s.Name, t.Envs*t.Horizon/s.chunk(), t.Minibatches)
	case t.RandomOrder && s.Decode == nil:
		return fmt.Errorf("ppo: %s has RandomOrder for agents that choose at once, want Decode too", s.Name)
	case !(t.Floor >= 0 && t.Floor < 1):
		return fmt.Errorf("ppo: %s has a policy floor of %v, want 0 to less than 1", s.Name, t.Floor)
	case !(t.Huber >= 0) || !(t.ValueCoef >= 0):
		return fmt.Errorf("ppo: %s has a value loss × %v, linear beyond %v, want neither negative", s.Name, t.ValueCoef, t.Huber)
	case !s.Constraint.valid():
		return fmt.Errorf("ppo: %s has the constraint %+v, want finite limits and a learning rate of more than 0", s.Name, s.Constraint)
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
	if len(spec.Actions) > 0 && spec.ActDim > 0 {
		return fmt.Errorf("ppo: %s has %d action heads and continuous actions of size %d, want heads or continuous actions for %s",
			spec.Name, len(spec.Actions), spec.ActDim, s.Name)
	}
	if len(spec.Actions) > 1 && s.Train.Trust.KL != 0 {
		return fmt.Errorf("ppo: %s has %d action heads, want one for %s, which has a trust region", spec.Name, len(spec.Actions), s.Name)
	}
	if err := s.Constraint.accepts(s.Name, spec); err != nil {
		return err
	}
	if spec.ActDim > 0 && s.Train.Floor > 0 {
		return fmt.Errorf("ppo: %s has continuous actions, want Floor 0 for %s: a least probability is of choices", spec.Name, s.Name)
	}
	return nil
}
