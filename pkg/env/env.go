// Package env says what an environment is: its sizes (Spec), one moment of it (Step), many copies stepped
// together (Vec, Batch). Worlds live in packages below this one. What a world does not have costs it
// nothing: unused fields are nil.
package env

import (
	"fmt"
	"math/rand/v2"
)

// World makes environments: a plain value whose exported fields are its constants; they are written to
// config.json. New checks them, so a wrong value surfaces where the experiment starts.
type World interface{ New() (Env, error) }

// Cell is a World, of the sizes of that of training, on which a policy is judged, too, and the name of its results.
type Cell struct {
	Name  string
	World World
}

// Env plays one episode at a time. It writes all that its Spec names at every call, draws only from the episode's
// generator, and keeps neither out nor act. Optional: Observer, Viewer.
type Env interface {
	Spec() Spec
	Reset(ep Episode, out *Step)
	Step(act Actions, out *Step)
}

// Observer is an Env whose observations begin with images (Spec.Planes) that are drawn only when somebody
// looks: Reset and Step write the vector behind the images and the Snapshot; Observe draws everything.
type Observer interface {
	// Observe writes the observations [agent][obs] that snapshot describes. It is pure: it depends on the
	// world's constants and snapshot alone, and may run beside itself and beside Step.
	Observe(snapshot []byte, obs []float32)
}

// Spec gives the sizes of an environment; it never changes. Zero means "there is none".
type Spec struct {
	Name      string   // "takeout/mini"
	Agents    int      // slots of agents; all act at every step, who is absent or dead has one choice
	Entities  int      // slots of entities: the agents are the first, then whatever else there is to see
	Actions   []int    // choices of each discrete head; nearly always one head, none where actions are only continuous
	ActDim    int      // numbers in the continuous action of one agent
	ObsDim    int      // numbers that one agent observes, images included
	StateDim  int      // numbers of the global state
	EntityDim int      // numbers that describe one entity
	Costs     int      // kinds of cost that constraints may bound: Step.Cost
	Planes    [][3]int // images that an observation begins with: planes × rows × columns; the rest is a vector
	Roles     int      // roles that Step.Role tells apart: 1 to Roles
	Snapshot  int      // bytes of a compact observation of all agents, for an Observer
	MaxSteps  int      // steps after which an episode has ended; 0 = no bound
	Metrics   []string // what the world counts: "delivered_3", "crashes"
}

// Choices is the number of entries of one agent's Avail: the sum of Actions.
func (s Spec) Choices() int {
	n := 0
	for _, a := range s.Actions {
		n += a
	}
	return n
}

// PlaneDim is the number of an observation's leading values that are images.
func (s Spec) PlaneDim() int {
	n := 0
	for _, p := range s.Planes {
		n += p[0] * p[1] * p[2]
	}
	return n
}

// Validate returns an error naming the first size that cannot be.
func (s Spec) Validate() error {
	switch {
	case s.Name == "":
		return fmt.Errorf("env: the spec has no name, want one such as \"takeout/mini\"")
	case s.Agents < 1:
		return fmt.Errorf("env: %s has %d agents, want at least 1", s.Name, s.Agents)
	case s.ActDim < 0:
		return fmt.Errorf("env: %s has continuous actions of size %d, want 0 (none) or more", s.Name, s.ActDim)
	case len(s.Actions) == 0 && s.ActDim == 0:
		return fmt.Errorf("env: %s has no actions, want at least one head or a continuous action", s.Name)
	case s.ObsDim < 1:
		return fmt.Errorf("env: %s has observations of size %d, want at least 1", s.Name, s.ObsDim)
	case s.PlaneDim() > s.ObsDim:
		return fmt.Errorf("env: %s has images of %d values in observations of %d", s.Name, s.PlaneDim(), s.ObsDim)
	case s.Entities != 0 && s.Entities < s.Agents:
		return fmt.Errorf("env: %s has %d entities, want 0 (none) or at least its %d agents, who are the first", s.Name, s.Entities, s.Agents)
	case (s.Entities == 0) != (s.EntityDim == 0) || s.EntityDim < 0:
		return fmt.Errorf("env: %s has %d entities of %d values, want both or neither", s.Name, s.Entities, s.EntityDim)
	case s.StateDim < 0:
		return fmt.Errorf("env: %s has a state of size %d, want 0 (none) or more", s.Name, s.StateDim)
	case s.Roles < 0 || s.Roles > 255 || s.Roles > 0 && s.Entities == 0:
		return fmt.Errorf("env: %s has %d roles for %d entities, want 0 to 255, and none without entities", s.Name, s.Roles, s.Entities)
	case s.Costs < 0:
		return fmt.Errorf("env: %s has %d costs, want 0 (none) or more", s.Name, s.Costs)
	case s.MaxSteps < 0:
		return fmt.Errorf("env: %s has at most %d steps, want 0 (no bound) or more", s.Name, s.MaxSteps)
	case s.Snapshot < 0:
		return fmt.Errorf("env: %s has snapshots of %d bytes, want 0 (none) or more", s.Name, s.Snapshot)
	}
	for i, n := range s.Actions {
		if n < 1 {
			return fmt.Errorf("env: %s has %d choices in action head %d, want at least 1", s.Name, n, i)
		}
	}
	return nil
}

// Outcome says how an episode ended. Nobody infers a win from a reward.
type Outcome uint8

const (
	Running Outcome = iota
	Win
	Loss
	Draw
	TimeOut
	Ended // of tasks that cannot be won
)

// String returns the outcome as it stands in files: "running", "win", "loss", "draw", "time_out", "ended".
func (o Outcome) String() string {
	if int(o) < len(outcomes) {
		return outcomes[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

var outcomes = [...]string{"running", "win", "loss", "draw", "time_out", "ended"}

// Step is one moment of one environment: views into a Batch, filled in place, never kept. Vec clears Reward, Cost
// and the scalars before every call; all else keeps what was written last, so a world writes it at every call.
// Entities, Hidden, Present and Alive exist where Spec.Entities is not zero, Role where Spec.Roles is not.
type Step struct {
	Obs        []float32 // [agent][obs]; of an Observer only the vector behind the images, until Batch.Observe
	State      []float32 // [state]
	Entities   []float32 // [entity][feature]; a hidden entity is not blanked here: Hidden does that
	Snapshot   []byte    // from which Observe can write Obs again
	Hidden     []bool    // [agent][entity], true = this agent does not see that entity; nobody sees an empty slot
	Avail      []bool    // [agent][sum of Actions], true = may be chosen; an agent without a choice has exactly one
	Present    []bool    // [entity], false = an empty slot; constant within an episode
	Alive      []bool    // [agent], false = dead or absent
	Role       []uint8   // [entity], 1 to Spec.Roles, 0 = none
	Reward     []float32 // [agent]; a team reward is repeated
	Cost       []float32 // [agent][cost], of this step, what a constraint may bound; a team cost is repeated
	Metrics    []float32 // totals of this episode so far, in the order of Spec.Metrics
	Terminated bool      // true = the task is over: do not bootstrap
	Truncated  bool      // true = the clock is over: bootstrap
	Outcome    Outcome   // Running until the last step
}

// Over reports whether the episode has ended with this step.
func (s *Step) Over() bool { return s.Terminated || s.Truncated }

func (s *Step) clear() {
	clear(s.Reward)
	clear(s.Cost)
	s.Terminated, s.Truncated, s.Outcome = false, false, Running
}

// blank makes s the moment of an idle slot: zeros, nobody present, nothing seen, and only the first choice of
// each head is available.
func (s *Step) blank(spec Spec) {
	s.clear()
	clear(s.Obs)
	clear(s.State)
	clear(s.Entities)
	clear(s.Snapshot)
	clear(s.Metrics)
	clear(s.Avail)
	clear(s.Present)
	clear(s.Alive)
	clear(s.Role)
	for i := range s.Hidden {
		s.Hidden[i] = true
	}
	for avail := s.Avail; len(avail) > 0; {
		for _, n := range spec.Actions {
			avail[0], avail = true, avail[n:]
		}
	}
}

// Actions is what the agents do in one step: discrete heads, a continuous action, or both. The same of n
// environments behind one another is what a Policy writes and Vec plays.
type Actions struct {
	Discrete   []int32   // [agent][head]
	Continuous []float32 // [agent][ActDim]; finite, and clipped to [−1, 1] by the world
}

// NewActions returns room for the actions of n environments: what the spec does not have is nil.
func NewActions(s Spec, n int) Actions {
	return Actions{zeros[int32](n * s.Agents * len(s.Actions)), zeros[float32](n * s.Agents * s.ActDim)}
}

// At returns the actions of environment i, a view.
func (a Actions) At(s Spec, i int) Actions {
	var one Actions
	if k := s.Agents * len(s.Actions); k > 0 {
		one.Discrete = a.Discrete[i*k : (i+1)*k : (i+1)*k]
	}
	if k := s.Agents * s.ActDim; k > 0 {
		one.Continuous = a.Continuous[i*k : (i+1)*k : (i+1)*k]
	}
	return one
}

// Clip returns x where it lies in [−1, 1], and the nearest end of that interval where it does not: what worlds
// do with continuous actions.
func Clip(x float32) float32 { return min(max(x, -1), 1) }

// Episode says which episode begins; all that happens follows from it and the actions.
type Episode struct {
	Rand *rand.Rand // at the beginning of the episode's stream; the environment may keep it until the next Reset
}
