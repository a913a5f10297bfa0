// Package train runs methods on worlds: a Loop collects steps and asks a learner for updates, an Experiment
// gives it a run directory, evaluations, checkpoints and exact resume. It knows no algorithm.
package train

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Metrics are numbers by name that a learner reports of one update: "loss", "td_error", "grad_norm".
type Metrics map[string]float64

// Setup is what a method builds a learner from.
type Setup struct {
	Env     env.Env // one copy of the world, for its sizes and to draw observations; it is not stepped
	Key     rng.Key
	Backend string                           // "" = the default one; "go" = the pure-Go one, which compiles at once
	Threads int                              // of the backend; 0 = one per processor
	Log     func(format string, args ...any) // told of compilations and warnings; may be nil
}

// Pace says how a loop interleaves a method's work.
type Pace struct {
	Envs           int // environments stepped together
	UpdateEvery    int // joint steps per update, once the replay is ready
	UpdateEpisodes int // finished episodes per update, in place of UpdateEvery; 0 = steps count
}

// every is what one update costs of Debt.
func (p Pace) every() int64 { return int64(max(p.UpdateEvery, p.UpdateEpisodes)) }

// check returns an error naming what cannot be.
func (p Pace) check(m Method) error {
	switch {
	case p.Envs < 1 || p.UpdateEvery < 0 || p.UpdateEpisodes < 0 || p.every() < 1:
		return fmt.Errorf("train: %s steps %d environments and updates every %d steps (UpdateEvery) or %d episodes (UpdateEpisodes), want at least 1 environment and 1 of either",
			m, p.Envs, p.UpdateEvery, p.UpdateEpisodes)
	case p.UpdateEvery > 0 && p.UpdateEpisodes > 0:
		return fmt.Errorf("train: %s updates every %d steps (UpdateEvery) and every %d episodes (UpdateEpisodes), want one of them and the other 0", m, p.UpdateEvery, p.UpdateEpisodes)
	}
	return nil
}

// Method makes learners. It is a plain value whose exported fields, functions left out, identify it.
type Method interface {
	String() string // its name, as in the run's path: "dqn-joint"
	Pace() Pace
	Build(s Setup) (Learner, replay.Replay, error)
}

// Learner turns samples into better actions. It saves all of its state. Optional: PerUpdate() int64, the number
// of optimiser steps that one Update makes, where that is not 1.
type Learner interface {
	Policy() policy.Policy
	// Update makes an optimiser step, or several on one sample. A loss that is not finite is an error.
	Update(s *replay.Sample) (Metrics, error)
	// Programs returns the version of the library that traces programs, and a hash of each program.
	Programs() (under string, hashes map[string]string)
	// Provenance describes the backend: "backend", "threads", …
	Provenance() map[string]string
	run.Checkpoint
}
