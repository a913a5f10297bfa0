// Package highway is on-ramp merging of D. Chen et al., "Deep Multi-agent Reinforcement Learning for Highway On-Ramp
// Merging in Mixed Traffic", IEEE Transactions on Intelligent Transportation Systems, 2023, whose simulator (built on
// E. Leurent's highway-env) the Stackelberg Decision Transformer uses: some vehicles on a motorway and its ramp are
// agents, the others are driven by models of humans.
//
// Left out: the supervisor that replaces unsafe actions there, and masks of actions that change nothing. Corrected: the
// moment after the last action is what an episode ends with, that action is carried out whole, and the boxes that collide
// turn with their vehicles (there against them). With the same boxes, 300 random episodes of that simulator and of this
// one agree in lanes and crashes, and in positions within a hundredth of a millimetre.
package highway

import "math"

// lane is a piece of the road. x points along it and y to the right of the traffic, in metres.
type lane uint8

const (
	before  lane = iota // of the motorway, up to the end of the ramp
	beside              // of the motorway, with the merging lane to its right
	merging             // to the right of beside; an obstacle stands at its end
	after               // of the motorway, the rest
	ramp                // straight
	curve               // of the ramp, towards the merging lane
)

const (
	rampEnd    = 220.0 // x where the curve begins
	mergeBegin = 320.0
	mergeEnd   = 420.0
	roadEnd    = 520.0
	rampY      = 10.5
	mergeY     = 4.0
	laneWidth  = 4.0
	amplitude  = (rampY - mergeY) / 2
	middleY    = (rampY + mergeY) / 2
	wave       = math.Pi / (mergeBegin - rampEnd) // rad/m: the curve is half a cosine
)

// pieces are the lanes' beginnings, lengths and whether vehicles may change to them.
var pieces = [...]struct {
	x, y, length float64
	open         bool
}{
	before:  {0, 0, mergeBegin, true},
	beside:  {mergeBegin, 0, mergeEnd - mergeBegin, true},
	merging: {mergeBegin, mergeY, mergeEnd - mergeBegin, false},
	after:   {mergeEnd, 0, roadEnd - mergeEnd, true},
	ramp:    {0, rampY, rampEnd, false},
	curve:   {rampEnd, middleY, mergeBegin - rampEnd, false},
}

// local is how far along the lane a place is, and how far to the right of its middle.
func (l lane) local(x, y float64) (along, across float64) {
	p := &pieces[l]
	along, across = x-p.x, y-p.y
	if l == curve {
		across -= amplitude * math.Cos(wave*along)
	}
	return along, across
}

// heading is the lane's direction, 0 along x, positive to the right.
func (l lane) heading(along float64) float64 {
	if l == curve {
		return math.Atan(-amplitude * wave * math.Sin(wave*along))
	}
	return 0
}

// distance is how far a place is from the lane: across plus what it lies before its beginning or behind its end.
func (l lane) distance(x, y float64) float64 {
	along, across := l.local(x, y)
	return math.Abs(across) + max(along-pieces[l].length, 0) + max(-along, 0)
}

// nearest is the lane that a vehicle drives on: the least distance, with a metre for each radian between directions.
func nearest(x, y, heading float64) lane {
	best, least := before, math.Inf(1)
	for l := range lane(len(pieces)) {
		along, _ := l.local(x, y)
		if d := l.distance(x, y) + math.Abs(wrap(heading-l.heading(along))); d < least {
			best, least = l, d
		}
	}
	return best
}

// next is the lane that follows. A vehicle that leaves the curve takes what is nearest.
func (l lane) next(x, y float64) lane {
	switch l {
	case before:
		return beside
	case beside, merging, after:
		return after
	case ramp:
		return curve
	}
	if beside.distance(x, y) <= merging.distance(x, y) {
		return beside
	}
	return merging
}

// ends reports whether a vehicle is at the end of the lane, half its length before it.
func (l lane) ends(x, y float64) bool {
	along, _ := l.local(x, y)
	return along > pieces[l].length-length/2
}

// holds reports whether something is on the lane or up to a metre beside it.
func (l lane) holds(x, y float64) bool {
	along, across := l.local(x, y)
	return math.Abs(across) <= laneWidth/2+1 && along >= -length && along < pieces[l].length+length
}

// reachable reports whether a vehicle may change to the lane from where it is.
func (l lane) reachable(x, y float64) bool {
	along, across := l.local(x, y)
	return pieces[l].open && math.Abs(across) <= 2*laneWidth && along >= 0 && along < pieces[l].length+length
}

// wrap brings an angle into [−π, π).
func wrap(a float64) float64 {
	a = math.Mod(a+math.Pi, 2*math.Pi)
	if a < 0 {
		a += 2 * math.Pi
	}
	return a - math.Pi
}
