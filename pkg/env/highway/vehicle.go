package highway

import "math"

const (
	length    = 5.0 // m
	width     = 2.0 // m
	touching  = 0.9 // part of length and width that collides
	obstacleL = 2.0 // m, length and width of the obstacle
	fastest   = 40.0
	hertz     = 15.0 // steps of the physics per second
	tau       = 0.6  // s in which the speed approaches its target
	lookahead = 0.1  // s
	turning   = 5.0  // 1/s, of the heading
	sideways  = turning / 3
	mostSteer = math.Pi / 3
)

// vehicle is a car, or the obstacle.
type vehicle struct {
	x, y, heading, speed float64
	steer, accel         float64 // rad, m/s²
	lane, target         lane    // that it is on, that it steers to
	wanted               float64 // speed
	timer                float64 // s since a human driver last thought of changing lanes
	human, fixed         bool    // fixed = the obstacle
	crashed              bool
	local                float64 // reward before it is shared
}

// notZero keeps x away from 0, for a divisor.
func notZero(x float64) float64 {
	switch {
	case math.Abs(x) > 0.01:
		return x
	case x > 0:
		return 0.01
	}
	return -0.01
}

func clip(x, most float64) float64 { return min(max(x, -most), most) }

// follow lets the vehicle steer to the next lane where its own ends.
func (v *vehicle) follow() {
	if v.target.ends(v.x, v.y) {
		v.target = v.target.next(v.x, v.y)
	}
}

// steering keeps the middle of the target lane: a speed across, a heading for it, a rate of turning, a steering angle.
func (v *vehicle) steering() float64 {
	along, across := v.target.local(v.x, v.y)
	ahead := v.target.heading(along + v.speed*lookahead)
	heading := ahead + clip(math.Asin(clip(-sideways*across/notZero(v.speed), 1)), math.Pi/4)
	rate := turning * wrap(heading-v.heading)
	return clip(math.Asin(clip(length/2/notZero(v.speed)*rate, 1)), mostSteer)
}

// cruise drives an agent's vehicle to the lane and the speed that it wants.
func (v *vehicle) cruise() {
	v.follow()
	v.steer, v.accel = v.steering(), (v.wanted-v.speed)/tau
}

// slowest and step are the speeds that agents choose between: 10, 15, 20, 25, 30 m/s.
const (
	slowest = 10.0
	step    = 5.0
	speeds  = 5
)

// nearestSpeed is the number of the speed next to x.
func nearestSpeed(x float64) float64 {
	return min(max(math.RoundToEven((x-slowest)/step), 0), speeds-1)
}

// Actions of an agent.
const (
	Left   = iota // change to the lane on the left, where there is one
	Idle          // keep lane and wanted speed
	Right         // change to the lane on the right: there is none that may be entered
	Faster        // want the speed above the present one
	Slower        // want the speed below
	actions
)

// decide carries out an agent's action.
func (v *vehicle) decide(action int32) {
	switch action {
	case Faster:
		v.wanted = slowest + step*min(nearestSpeed(v.speed)+1, speeds-1)
	case Slower:
		v.wanted = slowest + step*max(nearestSpeed(v.speed)-1, 0)
	case Left:
		v.follow()
		if v.target == merging && beside.reachable(v.x, v.y) {
			v.target = beside
		}
	}
}

// move is one step of a kinematic bicycle. Crashed vehicles brake.
func (v *vehicle) move() {
	if v.crashed {
		v.steer, v.accel = 0, -v.speed
	}
	if v.speed > fastest {
		v.accel = min(v.accel, fastest-v.speed)
	}
	const dt = 1 / hertz
	slip := math.Atan(math.Tan(v.steer) / 2)
	sin, cos := math.Sincos(v.heading + slip)
	v.x += v.speed * cos * dt
	v.y += v.speed * sin * dt
	v.heading += v.speed * math.Sin(slip) / (length / 2) * dt
	v.speed += v.accel * dt
	v.timer += dt
	v.lane = nearest(v.x, v.y, v.heading)
}

// ahead is how far u is in front of v along v's lane; negative behind it.
func (v *vehicle) ahead(u *vehicle) float64 {
	there, _ := v.lane.local(u.x, u.y)
	here, _ := v.lane.local(v.x, v.y)
	return there - here
}

// collides reports whether two boxes overlap: there is no axis of one of them that separates them.
func (v *vehicle) collides(u *vehicle) bool {
	dx, dy := u.x-v.x, u.y-v.y
	if dx*dx+dy*dy > length*length {
		return false
	}
	return !v.separates(u, dx, dy) && !u.separates(v, dx, dy)
}

// half is half the length and width of the box that collides.
func (v *vehicle) half() (l, w float64) {
	if v.fixed {
		return touching * obstacleL / 2, touching * obstacleL / 2
	}
	return touching * length / 2, touching * width / 2
}

// separates reports whether the boxes, whose middles are (dx, dy) apart, are apart along an axis of v.
func (v *vehicle) separates(u *vehicle, dx, dy float64) bool {
	sin, cos := math.Sincos(v.heading)
	l, w := v.half()
	ul, uw := u.half()
	s, c := math.Sincos(u.heading - v.heading)
	s, c = math.Abs(s), math.Abs(c)
	return math.Abs(dx*cos+dy*sin) > l+ul*c+uw*s || math.Abs(dy*cos-dx*sin) > w+ul*s+uw*c
}

// crash stops both: they go on with the lower speed and brake from then on.
func (v *vehicle) crash(u *vehicle) {
	if v.crashed || !v.collides(u) {
		return
	}
	if math.Abs(u.speed) < math.Abs(v.speed) {
		v.speed = u.speed
	}
	v.crashed = true
	if !u.fixed {
		u.speed, u.crashed = v.speed, true
	}
}
