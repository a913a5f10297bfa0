package particle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// Spread is the task of covering landmarks, as many as there are agents, without touching each other. At every step
// agent i earns
//
//	r_i = Distance·D + Collision·C_i
//
// D being minus the sum over landmarks of the distance to the nearest agent, C_i minus the number of agents that
// overlap agent i. An agent observes its velocity and position, where landmarks and the other agents are, relative to
// itself, the messages of the others, which are zeros (two for each), and with IDs its number as a one-hot vector. The
// state is all observations. Metrics of an episode: "collisions", pairs that overlap, and "covered", landmarks with an
// agent within 0.1, both added up over its steps. It ends by the clock alone.
type Spread struct {
	Name          string
	Agents        int // and landmarks
	Steps         int // of an episode
	Physics       Physics
	Controls      Controls
	Radius        float64 // of agents, whose mass is 1
	AgentStart    float64 // agents begin at rest in the square [−AgentStart, AgentStart]²
	LandmarkStart float64 // landmarks lie in [−LandmarkStart, LandmarkStart]²
	Distance      float64 // weight of D
	Collision     float64 // weight of C_i
	Sum           bool    // true = every agent is paid the sum of what all have earned; false = what itself has earned
	CountSelf     bool    // true = an agent also counts itself as overlapping, which makes C_i smaller by 1
	IDs           bool    // true = observations end with the agent's number
}

// SpreadSTEER is Spread as in the released code of the Stackelberg Decision Transformer (Zhang et al., ICML 2024),
// folder envs/mpe, which follows the first version of these tasks: velocities change before positions, everybody is
// paid the sum. That code also counts each agent as overlapping itself, 75 an episode; with CountSelf it does here.
func SpreadSTEER() Spread {
	return Spread{
		Name: "particle/spread-steer", Agents: 3, Steps: 25, Physics: classic(), Controls: Controls{Force: 5, RightFirst: true},
		Radius: 0.15, AgentStart: 1, LandmarkStart: 0.8, Distance: 1, Collision: 1, Sum: true, IDs: true,
	}
}

// SpreadMPE2 is Spread as in simple_spread_v3 of the Python package mpe2, version 1.1.1, with its default arguments
// (local_ratio 0.5): positions change before velocities. Its continuous action has five numbers, of which the first
// does nothing and pairs are subtracted; with Controls.Continuous an action here is their two differences.
func SpreadMPE2() Spread {
	w := SpreadSTEER()
	w.Name, w.Physics.MoveFirst, w.Controls.RightFirst = "particle/spread-mpe2", true, false
	w.LandmarkStart, w.Distance, w.Collision, w.Sum, w.IDs = 1, 0.5, 0.5, false, false
	return w
}

// New returns the task, or an error naming the first constant that cannot be.
func (w Spread) New() (env.Env, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	s := &spread{w: w, spec: w.spec(), table: w.Controls.choices(), agents: make([]body, w.Agents), marks: make([][2]float64, w.Agents), overlaps: make([]float64, w.Agents)}
	s.free = slices.Repeat([]bool{true}, w.Agents*s.spec.Choices())
	for i := range s.agents {
		s.agents[i].radius, s.agents[i].mass = w.Radius, 1
	}
	return s, nil
}

func (w Spread) validate() error {
	switch {
	case w.Name == "":
		return fmt.Errorf("particle: Spread.Name is empty, want one such as \"particle/spread-mpe2\"")
	case w.Agents < 1 || w.Agents > 256:
		return fmt.Errorf("particle: Spread.Agents is %d, want 1 to 256", w.Agents)
	case w.Steps < 1 || w.Steps > 1_000_000:
		return fmt.Errorf("particle: Spread.Steps is %d, want 1 to 1000000", w.Steps)
	}
	for _, c := range []struct {
		name         string
		value, least float64
	}{
		{"Radius", w.Radius, 0}, {"AgentStart", w.AgentStart, 0}, {"LandmarkStart", w.LandmarkStart, 0}, {"Controls.Force", w.Controls.Force, 0},
		{"Distance", w.Distance, -1000}, {"Collision", w.Collision, -1000},
	} {
		if !(c.value >= c.least && c.value <= 1000) {
			return fmt.Errorf("particle: Spread.%s is %v, want %g to 1000", c.name, c.value, c.least)
		}
	}
	return w.Physics.validate("Spread")
}

func (w Spread) spec() env.Spec {
	obs := 4 + 2*w.Agents + 4*(w.Agents-1)
	if w.IDs {
		obs += w.Agents
	}
	s := env.Spec{Name: w.Name, Agents: w.Agents, ObsDim: obs, StateDim: w.Agents * obs, MaxSteps: w.Steps, Metrics: []string{"collisions", "covered"}}
	s.Actions, s.ActDim = w.Controls.heads()
	return s
}

// spread is an episode of Spread.
type spread struct {
	w          Spread
	spec       env.Spec
	table      choices
	agents     []body
	marks      [][2]float64 // landmarks
	overlaps   []float64    // of each agent with others
	free       []bool       // what Avail always is
	t          int
	distance   float64 // −D of this moment
	collisions float64
	covered    float64
	now        int // landmarks covered at this moment
}

// covers is the distance from which on an agent covers a landmark, mpe2's CAPTURE_RADIUS.
const covers = 0.1

func (s *spread) Spec() env.Spec { return s.spec }

// Reset draws agents, then landmarks, x before y.
func (s *spread) Reset(ep env.Episode, out *env.Step) {
	for i := range s.agents {
		b := &s.agents[i]
		b.x, b.y = within(ep.Rand, s.w.AgentStart), within(ep.Rand, s.w.AgentStart)
		b.vx, b.vy = 0, 0
	}
	for i := range s.marks {
		s.marks[i] = [2]float64{within(ep.Rand, s.w.LandmarkStart), within(ep.Rand, s.w.LandmarkStart)}
	}
	s.begin(out)
}

func within(r *rand.Rand, half float64) float64 { return (2*r.Float64() - 1) * half }

// begin starts the clock and the counts where bodies and landmarks are.
func (s *spread) begin(out *env.Step) {
	s.t, s.collisions, s.covered = 0, 0, 0
	s.measure()
	s.show(out)
}

// Step pushes, moves, and pays for where everybody is then.
func (s *spread) Step(act env.Actions, out *env.Step) {
	s.t++
	s.w.Controls.push(s.agents, &s.table, act)
	s.w.Physics.move(s.agents)
	s.collisions += s.measure() / 2
	s.covered += float64(s.now)
	s.pay(out.Reward)
	if s.t == s.w.Steps {
		out.Truncated, out.Outcome = true, env.Ended
	}
	s.show(out)
}

// measure finds distances and overlaps, and returns the sum of overlaps over agents.
func (s *spread) measure() (all float64) {
	clear(s.overlaps)
	touch := 2 * s.w.Radius
	about := 1.001 * touch * touch // rules most pairs out without a root
	for i := range s.agents {
		a := &s.agents[i]
		for j := range i {
			b := &s.agents[j]
			dx, dy := a.x-b.x, a.y-b.y
			if square := dx*dx + dy*dy; square < about && math.Sqrt(square) < touch {
				s.overlaps[i]++
				s.overlaps[j]++
				all += 2
			}
		}
	}
	s.distance, s.now = 0, 0
	for _, m := range s.marks {
		nearest := uint64(math.MaxUint64) // bits of squares, whose order is theirs: no branch that cannot be foreseen
		for i := range s.agents {
			dx, dy := s.agents[i].x-m[0], s.agents[i].y-m[1]
			nearest = min(nearest, math.Float64bits(dx*dx+dy*dy))
		}
		d := math.Sqrt(math.Float64frombits(nearest))
		s.distance += d
		if d < covers {
			s.now++
		}
	}
	return all
}

func (s *spread) pay(reward []float32) {
	sum, self := 0.0, 0.0
	if s.w.CountSelf {
		self = 1
	}
	for i, n := range s.overlaps {
		r := -s.w.Distance*s.distance - s.w.Collision*(n+self)
		reward[i] = float32(r)
		sum += r
	}
	if s.w.Sum {
		for i := range reward {
			reward[i] = float32(sum)
		}
	}
}

func (s *spread) show(out *env.Step) {
	for i := range s.agents {
		n := s.spec.ObsDim
		s.observe(i, out.Obs[i*n:(i+1)*n])
	}
	copy(out.State, out.Obs)
	copy(out.Avail, s.free)
	out.Metrics[0], out.Metrics[1] = float32(s.collisions), float32(s.covered)
}

func (s *spread) observe(me int, o []float32) {
	a := &s.agents[me]
	o[0], o[1], o[2], o[3] = float32(a.vx), float32(a.vy), float32(a.x), float32(a.y)
	o = o[4:]
	x, y := a.x, a.y
	for i := range s.marks {
		m, to := &s.marks[i], o[2*i:2*i+2]
		to[0], to[1] = float32(m[0]-x), float32(m[1]-y)
	}
	o = o[2*len(s.marks):]
	k := 0
	for i := range s.agents {
		if i != me {
			b, to := &s.agents[i], o[k:k+2]
			to[0], to[1] = float32(b.x-x), float32(b.y-y)
			k += 2
		}
	}
	o = o[k:]
	clear(o)
	if s.w.IDs {
		o[2*(len(s.agents)-1)+me] = 1
	}
}
