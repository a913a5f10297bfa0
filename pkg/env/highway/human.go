package highway

import "math"

// Constants of the models of human drivers: the intelligent driver model (M. Treiber, A. Hennecke, D. Helbing, Physical
// Review E 62, 2000) for the speed, MOBIL (A. Kesting, M. Treiber, D. Helbing, Transportation Research Record 1999,
// 2007) for lanes, both as highway-env has them.
const (
	comfort    = 3.0  // m/s², acceleration on a free road
	brake      = 5.0  // m/s², comfortable braking
	mostAccel  = 6.0  // m/s²
	jamGap     = 10.0 // m, between middles at a standstill
	headway    = 1.5  // s
	thinkEvery = 1.0  // s between thoughts of changing lanes
	leastGain  = 0.1  // m/s² that a change must bring
	mostImpose = 9.0  // m/s² of braking that a change may force on who is behind
)

// gap is the distance to u that v wants.
func (v *vehicle) gap(u *vehicle) float64 {
	sin, cos := math.Sincos(v.heading)
	us, uc := math.Sincos(u.heading)
	closing := (v.speed*cos-u.speed*uc)*cos + (v.speed*sin-u.speed*us)*sin
	return jamGap + v.speed*headway + v.speed*closing/(2*math.Sqrt(comfort*brake))
}

// follows is the acceleration of v behind front, either of which may be missing.
func follows(v, front *vehicle) float64 {
	if v == nil || v.fixed {
		return 0
	}
	r := max(v.speed, 0) / notZero(v.wanted)
	a := comfort * (1 - r*r*r*r)
	if front != nil {
		g := v.gap(front) / notZero(v.ahead(front))
		a -= comfort * g * g
	}
	return a
}

// neighbours are the nearest things before and behind v on a lane, the obstacle among them; nil if there is none.
func (m *merge) neighbours(v *vehicle, l lane) (front, rear *vehicle) {
	here, _ := l.local(v.x, v.y)
	var nearest, last float64
	for i := range m.cars[:m.n+1] { // the obstacle is behind the vehicles
		u := &m.cars[i]
		if u == v || !l.holds(u.x, u.y) {
			continue
		}
		s, _ := l.local(u.x, u.y)
		if here <= s && (front == nil || s <= nearest) {
			front, nearest = u, s
		}
		if s < here && (rear == nil || s > last) {
			rear, last = u, s
		}
	}
	return front, rear
}

// drive is what a human driver does.
func (m *merge) drive(v *vehicle) {
	if v.crashed {
		return
	}
	front, _ := m.neighbours(v, v.lane)
	v.follow()
	m.think(v)
	v.steer, v.accel = v.steering(), clip(follows(v, front), mostAccel)
}

// think changes the target lane: from the merging lane to the motorway where that is better, and back while another
// vehicle, close ahead, changes to the same lane.
func (m *merge) think(v *vehicle) {
	if v.lane != v.target {
		if v.lane == merging && v.target == beside || v.lane == beside && v.target == merging {
			for i := range m.cars[:m.n] {
				u := &m.cars[i]
				if u == v || u.lane == v.target || u.target != v.target {
					continue
				}
				if d := v.ahead(u); d > 0 && d < v.gap(u) {
					v.target = v.lane
					break
				}
			}
		}
		return
	}
	if v.timer <= thinkEvery {
		return
	}
	v.timer = 0
	if v.lane == merging && beside.reachable(v.x, v.y) && m.better(v, beside) {
		v.target = beside
	}
}

// better reports whether v gains by changing to l without forcing who is behind there to brake hard.
func (m *merge) better(v *vehicle, l lane) bool {
	front, rear := m.neighbours(v, l)
	if follows(rear, v) < -mostImpose {
		return false
	}
	old, _ := m.neighbours(v, v.lane)
	return follows(v, front)-follows(v, old) >= leastGain
}
