package highway

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/env"
)

// Merge is the task: agents drive Density+1 vehicles, half of them (rounded down) on the motorway and the rest on its
// ramp, which must merge before an obstacle. Density to Density+2 vehicles more are driven by models of humans.
//
// Agents decide five times a second (Left, Idle, Right, Faster, Slower). Vehicle i earns, after a decision,
//
//	r_i = −Crash·[crashed] + Speed·clip((v−10)/20, 0, 1) − Merging·exp(−(x−420)²/1000)·[on the merging lane] + Headway·min(0, log(d/(Time·v)))
//
// d being the distance to the vehicle ahead on its lane or the next, at most 60 m. An agent is paid the mean over its own
// vehicle and those of other agents directly before and behind it on its lane and on the one beside it; with Global, over
// all agents. An episode is over when an agent's vehicle crashes, or after Steps decisions.
//
// An observation is five rows of presence, x/150, y/12, vx/45 and vy/45: the own vehicle, and relative to it the four
// nearest along the lane within 180 m (rows of zeros where there are fewer), then the agent's number as a one-hot vector.
// The state is all observations. Metrics: "crashed", 1 if an agent's vehicle has, and "speed", the mean over agents
// and decisions so far, in m/s.
type Merge struct {
	Density int // 1 to 3
	Steps   int // decisions
	Global  bool
	Crash   float64 // weights and seconds of r_i
	Speed   float64
	Merging float64
	Headway float64
	Time    float64 // s
}

// Paper returns the task of the paper at a density of traffic, 1 to 3: 100 decisions, 20 seconds.
func Paper(density int) Merge {
	return Merge{Density: density, Steps: 100, Crash: 200, Speed: 1, Merging: 4, Headway: 4, Time: 1.2}
}

const (
	substeps = 3     // of the physics in a decision
	mostCars = 4 + 5 // vehicles at density 3
	rows     = 5     // of an observation
	features = 5
	sight    = 180.0 // m
)

// New returns the task, or an error naming the constant that cannot be.
func (w Merge) New() (env.Env, error) {
	if w.Density < 1 || w.Density > 3 {
		return nil, fmt.Errorf("highway: Density is %d, want 1 to 3", w.Density)
	}
	if w.Steps < 1 || w.Steps > 10_000 {
		return nil, fmt.Errorf("highway: Steps is %d, want 1 to 10000", w.Steps)
	}
	for _, c := range []struct {
		name         string
		value, least float64
	}{{"Crash", w.Crash, 0}, {"Speed", w.Speed, 0}, {"Merging", w.Merging, 0}, {"Headway", w.Headway, 0}, {"Time", w.Time, 0.01}} {
		if !(c.value >= c.least && c.value <= 10_000) {
			return nil, fmt.Errorf("highway: %s is %v, want %g to 10000", c.name, c.value, c.least)
		}
	}
	return &merge{w: w, agents: w.Density + 1}, nil
}

// merge is an episode.
type merge struct {
	w      Merge
	agents int
	n      int                   // vehicles: those of the agents, then the others
	cars   [mostCars + 1]vehicle // and the obstacle behind them
	t      int
	speed  float64 // sum over agents and decisions
}

func (m *merge) Spec() env.Spec {
	obs := rows*features + m.agents
	return env.Spec{
		Name: fmt.Sprintf("highway/merge-%d", m.w.Density), Agents: m.agents, Actions: []int{actions}, ObsDim: obs, StateDim: m.agents * obs,
		MaxSteps: m.w.Steps, Metrics: []string{"crashed", "speed"},
	}
}

// Reset puts vehicles on starting points that are 40 m apart, the agents' first, those of the motorway before the ramp's.
func (m *merge) Reset(ep env.Episode, out *env.Step) {
	humans := m.w.Density + ep.Rand.IntN(3)
	m.n, m.t, m.speed = 0, 0, 0
	points := [2][6]float64{{10, 50, 90, 130, 170, 210}, {5, 45, 85, 125, 165, 205}}
	free := [2]int{6, 6}
	for _, group := range [2]int{m.agents, humans} {
		for i := range group {
			road := 0
			if i >= group/2 {
				road = 1
			}
			k := ep.Rand.IntN(free[road])
			free[road]--
			p := &points[road]
			p[k], p[free[road]] = p[free[road]], p[k]
			m.place(road, p[free[road]], ep.Rand, m.n >= m.agents)
		}
	}
	m.begin(out)
}

// place puts one more vehicle on the road, 0 being the motorway and 1 the ramp.
func (m *merge) place(road int, x float64, r *rand.Rand, human bool) {
	v := vehicle{x: x + 3*r.Float64() - 1.5, speed: 25 + 2*r.Float64(), human: human}
	if road == 1 {
		v.y = rampY
	}
	m.add(v)
}

// add adds a vehicle that wants to go on as it does.
func (m *merge) add(v vehicle) {
	v.lane = nearest(v.x, v.y, v.heading)
	v.target, v.wanted = v.lane, v.speed
	if v.human {
		v.timer = math.Mod((v.x+v.y)*math.Pi, thinkEvery) // so that not all think at once
	} else {
		v.wanted = slowest + step*nearestSpeed(v.speed)
	}
	m.cars[m.n] = v
	m.n++
}

func (m *merge) begin(out *env.Step) {
	m.cars[m.n] = vehicle{x: mergeEnd, y: mergeY, lane: merging, target: merging, fixed: true}
	m.show(out)
}

// Step carries out the decisions, moves everybody three times and pays.
func (m *merge) Step(act env.Actions, out *env.Step) {
	m.t++
	for i := range m.agents {
		m.cars[i].decide(act.Discrete[i])
	}
	for range substeps {
		if m.move(); m.crashed() {
			break
		}
	}
	m.pay(out.Reward)
	switch {
	case m.crashed():
		out.Terminated, out.Outcome = true, env.Ended
	case m.t == m.w.Steps:
		out.Truncated, out.Outcome = true, env.Ended
	}
	m.show(out)
}

// move is one step of the physics: all drivers act on what they see, then all move, then collisions are found.
func (m *merge) move() {
	cars := m.cars[:m.n]
	for i := range cars {
		if cars[i].human {
			m.drive(&cars[i])
		} else {
			cars[i].cruise()
		}
	}
	for i := range cars {
		cars[i].move()
	}
	for i := range cars {
		for j := range m.cars[:m.n+1] {
			if i != j {
				cars[i].crash(&m.cars[j])
			}
		}
	}
}

// crashed reports whether an agent's vehicle has crashed.
func (m *merge) crashed() bool {
	for i := range m.agents {
		if m.cars[i].crashed {
			return true
		}
	}
	return false
}

func (m *merge) pay(reward []float32) {
	all := 0.0
	for i := range reward {
		v := &m.cars[i]
		v.local = m.earns(v)
		all += v.local
		m.speed += v.speed
	}
	for i := range reward {
		if m.w.Global {
			reward[i] = float32(all / float64(m.agents))
		} else {
			reward[i] = float32(m.region(&m.cars[i]))
		}
	}
}

// earns is r_i of a vehicle.
func (m *merge) earns(v *vehicle) float64 {
	r := m.w.Speed * min(max((v.speed-slowest)/(speeds-1)/step, 0), 1)
	if v.crashed {
		r -= m.w.Crash
	}
	if v.lane == merging {
		r -= m.w.Merging * math.Exp(-(v.x-mergeEnd)*(v.x-mergeEnd)/1000)
	}
	if v.speed > 0 {
		r += m.w.Headway * min(0, math.Log(m.free(v)/(m.w.Time*v.speed)))
	}
	return r
}

// free is the distance to the vehicle ahead on the lane or, but from the merging lane, the next one; at most 60 m.
func (m *merge) free(v *vehicle) float64 {
	d, next := 60.0, v.lane
	if v.lane != merging {
		next = v.lane.next(v.x, v.y)
	}
	for i := range m.cars[:m.n] {
		if u := &m.cars[i]; u.x > v.x && (u.lane == v.lane || u.lane == next) {
			d = min(d, u.x-v.x)
		}
	}
	return d
}
