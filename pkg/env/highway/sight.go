package highway

import (
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// near are the lanes whose vehicles count as before or behind one that is on a lane.
var near = [...][len(pieces)]bool{
	before:  {before: true, beside: true},
	beside:  {before: true, beside: true, after: true},
	merging: {curve: true, merging: true},
	after:   {beside: true, after: true},
	ramp:    {ramp: true, curve: true},
	curve:   {ramp: true, curve: true, merging: true},
}

// other is the lane beside the one that v is on, or what it sees of the motorway from the ramp and of the ramp from
// the motorway; false if there is none.
func (v *vehicle) other() (lane, bool) {
	switch {
	case v.lane == beside:
		return merging, true
	case v.lane == merging:
		return beside, true
	case v.lane == curve:
		return before, true
	case v.lane == before && v.x > rampEnd:
		return curve, true
	}
	return 0, false
}

// region is the mean of what v and its neighbours among the agents earn.
func (m *merge) region(v *vehicle) float64 {
	sum, n := v.local, 1.0
	add := func(l lane) {
		front, rear := m.surrounding(v, l)
		for _, u := range [2]*vehicle{front, rear} {
			if u != nil && !u.human {
				sum, n = sum+u.local, n+1
			}
		}
	}
	add(v.lane)
	if l, ok := v.other(); ok {
		add(l)
	}
	return sum / n
}

// surrounding are the vehicles next before and behind v, by x, on a lane and those connected with it.
func (m *merge) surrounding(v *vehicle, l lane) (front, rear *vehicle) {
	for i := range m.cars[:m.n] {
		u := &m.cars[i]
		if u == v || !near[l][u.lane] {
			continue
		}
		if u.x >= v.x && (front == nil || u.x <= front.x) {
			front = u
		}
		if u.x < v.x && (rear == nil || u.x > rear.x) {
			rear = u
		}
	}
	return front, rear
}

func (m *merge) show(out *env.Step) {
	n := rows*features + m.agents
	for i := range m.agents {
		o := out.Obs[i*n : (i+1)*n]
		clear(o)
		m.observe(&m.cars[i], o)
		o[rows*features+i] = 1
	}
	copy(out.State, out.Obs)
	for i := range out.Avail {
		out.Avail[i] = true
	}
	out.Metrics[0], out.Metrics[1] = 0, 0
	if m.crashed() {
		out.Metrics[0] = 1
	}
	if m.t > 0 {
		out.Metrics[1] = float32(m.speed / float64(m.t*m.agents))
	}
}

// observe writes the rows of v.
func (m *merge) observe(v *vehicle, o []float32) {
	write(o, v, 0, 0, 0, 0)
	sin, cos := math.Sincos(v.heading)
	var seen [mostCars]*vehicle
	var far [mostCars]float64
	count := 0
	for i := range m.cars[:m.n] {
		u := &m.cars[i]
		if dx, dy := u.x-v.x, u.y-v.y; u == v || dx*dx+dy*dy >= sight*sight {
			continue
		}
		d, k := math.Abs(v.ahead(u)), count
		for ; k > 0 && far[k-1] > d; k-- { // in order of distance, of equals the first first
			seen[k], far[k] = seen[k-1], far[k-1]
		}
		seen[k], far[k] = u, d
		count++
	}
	for k := range min(count, rows-1) {
		write(o[(k+1)*features:], seen[k], v.x, v.y, v.speed*cos, v.speed*sin)
	}
}

// write writes the row of v, relative to a place and a velocity.
func write(o []float32, v *vehicle, x, y, vx, vy float64) {
	sin, cos := math.Sincos(v.heading)
	o[0] = 1
	o[1], o[2] = float32((v.x-x)/150), float32((v.y-y)/12)
	o[3], o[4] = float32((v.speed*cos-vx)/45), float32((v.speed*sin-vy)/45)
}
