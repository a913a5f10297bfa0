// Package replay holds what learners remember: transitions, whole episodes, rollouts. Samples are time-major, so
// that a method with memory needs no second engine.
package replay

import (
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// Replay is filled by a loop and drawn from by a learner.
type Replay interface {
	// Add remembers one step of the environments that play: the moment before, what was done, the moment after.
	Add(before *env.Batch, act env.Actions, after *env.Batch, plays func(i int) bool)
	// Ready reports whether there is enough for an update.
	Ready() bool
	// Sample draws a batch from the key's stream. It is valid until the next call.
	Sample(key rng.Key) *Sample
}

// Sample is a batch of sequences of Time steps, time-major. Of transitions and episodes, what is seen has Time+1
// moments and what is done Time; of a rollout, both have Time, and Tail holds the further moments. What a replay
// does not keep is empty.
type Sample struct {
	Time, Batch int
	Obs         []float32 // [time+1, batch, agent, obs]
	Avail       []bool    // [time+1, batch, agent, action], true = may be chosen
	Actions     []int32   // [time, batch, agent, head]
	Reward      []float32 // [time, batch, agent]
	Terminated  []float32 // [time, batch], 1 = the task ended with this step: do not bootstrap
	Truncated   []float32 // [time, batch], 1 = the clock ended with this step

	// Of rollouts and episodes.
	State []float32 // [time+1, batch, state]
	Key   rng.Key   // for what the learner draws itself

	// Of episodes alone. Each element of the batch is a row of episodes, one behind the other.
	Episodes []Stretch // where each is, in the order in which they were drawn
	Entities []float32 // [time+1, batch, entity, feature]
	Hidden   []bool    // [time+1, batch, agent, entity], true = this agent does not see that entity
	Present  []bool    // [time+1, batch, entity], false = an empty slot; the same throughout an episode
	Role     []uint8   // [time+1, batch, entity], 0 = none; the same throughout an episode
	Filled   []float32 // [time, batch], 1 = a step that was played, 0 = between episodes or behind the last

	// Of rollouts alone.
	Cost       []float32 // [time, batch, agent, cost]
	Alive      []float32 // [time, batch, agent], 1 = takes part, 0 = dead or absent
	Continuous []float32 // [time, batch, agent, ActDim], actions as they were chosen, before the world clips them
	Tail       Tail
}

// Stretch is where an episode is: its moments are From to From+Steps of row Row, its steps From to From+Steps−1.
type Stretch struct{ Row, From, Steps int }

// Moment is where moment t of episode e is in arrays [time+1, batch, …], and step t in those [time, batch, …].
func (s *Sample) Moment(e Stretch, t int) int { return (e.From+t)*s.Batch + e.Row }

// Tail holds the moments after those steps of a rollout whose next moment is not in it, but is worth something:
// the clock ended the episode with them, or they are the last.
type Tail struct {
	Steps []int32   // [tail], the number of the step: t·batch + environment, rising
	Obs   []float32 // [tail, agent, obs]
	State []float32 // [tail, state]
	Avail []bool    // [tail, agent, action]
}
