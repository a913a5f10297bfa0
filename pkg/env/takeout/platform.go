package takeout

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// The moves, in the order of the actions: up, right, down, left. There is no action to wait.
var moves = [...]struct{ row, col int }{{-1, 0}, {0, 1}, {1, 0}, {0, -1}}

const (
	up, right, down, left = 0, 1, 2, 3

	free     = 0    // the job of a courier that decides for itself and can be given an order
	carrying = 0x80 // job: carrying + restaurant's id; the bare id: under contract, guided to that restaurant
)

// A courier's row, column and job, and the cell it must reach: its restaurant's, its customer's, or (0, 0).
type courier struct{ row, col, job, toRow, toCol uint8 }

func (c courier) guided() bool  { return c.job > free && c.job < carrying }
func (c courier) carries() bool { return c.job >= carrying }
func (c courier) arrived() bool { return c.row == c.toRow && c.col == c.toCol }

// distance is the Manhattan distance to the cell that the courier must reach.
func (c courier) distance() int {
	return gap(c.row, c.toRow) + gap(c.col, c.toCol)
}

func gap(a, b uint8) int {
	d := int(a) - int(b)
	return max(d, -d)
}

// towards is the move along a shortest path: the longer remaining axis first, ties vertical.
func (c courier) towards(row, col uint8) int {
	if gap(c.row, row) >= gap(c.col, col) {
		if row < c.row {
			return up
		}
		return down
	}
	if col > c.col {
		return right
	}
	return left
}

// A restaurant's orders of the episode are known when it begins; which of them a courier has, counts tell.
type restaurant struct {
	row, col uint8
	due      []uint16   // [order] step of release, ascending
	customer [][2]uint8 // [order] row and column
	released int        // orders released so far; the first taken of them are no longer waiting
	taken    int        // under contract, carried or delivered
}

// platform is the environment. The sight is constant, all else belongs to the running episode.
type platform struct {
	sight
	rand        *rand.Rand
	t           int
	couriers    []courier
	customer    [][2]uint8 // [courier] of the order it has under contract or carries
	delivered   []int      // [courier]
	turn        []int      // couriers in the order in which they moved last
	crowd       []uint8    // [row][col] couriers there
	restaurants []restaurant
	metrics     []float32
	reward      float64 // of all couriers so far
	extra       []int   // restaurants, shuffled: the first ones get one order more
}

func newPlatform(w World) *platform {
	n, k := w.Agents, len(w.Restaurants)
	p := &platform{
		sight: newSight(w), couriers: make([]courier, n), customer: make([][2]uint8, n), delivered: make([]int, n),
		turn: make([]int, n), crowd: make([]uint8, w.Grid*w.Grid), restaurants: make([]restaurant, k),
		metrics: make([]float32, 2*k+4), extra: make([]int, k),
	}
	for i, c := range w.Restaurants {
		p.restaurants[i] = restaurant{
			row: uint8(c.Row), col: uint8(c.Col),
			due: make([]uint16, 0, w.Orders/k+1), customer: make([][2]uint8, 0, w.Orders/k+1),
		}
	}
	return p
}

// Reset draws the orders of the episode and the couriers' cells.
func (p *platform) Reset(ep env.Episode, out *env.Step) {
	p.rand, p.t, p.reward = ep.Rand, 0, 0
	clear(p.metrics)
	clear(p.delivered)
	p.metrics[p.stepsPerOrder()] = float32(p.w.Steps)
	p.drawOrders()
	p.placeCouriers()
	p.show(out)
}

func (p *platform) drawOrders() {
	k := len(p.restaurants)
	for i := range p.extra {
		p.extra[i] = i
	}
	more := p.w.Orders % k
	if more > 0 {
		shuffle(p.extra, p.rand)
	}
	for i, id := range p.extra {
		r := &p.restaurants[id]
		n := p.w.Orders / k
		if i < more {
			n++
		}
		r.due, r.customer, r.released, r.taken = r.due[:n], r.customer[:n], 0, 0
		own := int(r.row)*p.w.Grid + int(r.col)
		for j := range n {
			r.due[j] = uint16(p.rand.Uint32N(uint32(p.w.OrderWindow)))
			cell := int(p.rand.Uint32N(uint32(p.w.Grid*p.w.Grid - 1))) // anywhere but at the restaurant
			if cell >= own {
				cell++
			}
			r.customer[j] = [2]uint8{uint8(cell / p.w.Grid), uint8(cell % p.w.Grid)}
		}
		slices.Sort(r.due)
	}
}

func (p *platform) placeCouriers() {
	clear(p.crowd)
	for a := range p.couriers {
		cell := p.rand.IntN(len(p.crowd))
		for int(p.crowd[cell]) == p.w.Crowd {
			cell = p.rand.IntN(len(p.crowd))
		}
		p.crowd[cell]++
		p.couriers[a] = courier{row: uint8(cell / p.w.Grid), col: uint8(cell % p.w.Grid)}
		p.turn[a] = a
	}
}

// Step is one tick. The clock ends the episode: what happens after it is cut off, not over.
func (p *platform) Step(act env.Actions, out *env.Step) {
	p.releaseOrders()
	p.moveCouriers(act.Discrete, out.Reward)
	p.pickUpAndDeliver(out.Reward)
	p.broadcastOrders(out.Reward)
	p.t++
	p.count(out.Reward)
	p.show(out)
	if p.t == p.w.Steps {
		out.Truncated, out.Outcome = true, env.Ended
	}
}

func (p *platform) releaseOrders() {
	for i := range p.restaurants {
		r := &p.restaurants[i]
		for r.released < len(r.due) && int(r.due[r.released]) == p.t {
			r.released++
			p.metrics[len(p.restaurants)+i]++
			p.metrics[len(p.metrics)-1]++
		}
	}
}

// moveCouriers moves one courier after another in random order: only that decides who gets the last place
// of a cell. Guided couriers do not choose.
func (p *platform) moveCouriers(act []int32, reward []float32) {
	shuffle(p.turn, p.rand)
	for _, a := range p.turn {
		c := &p.couriers[a]
		m := int(act[a])
		if c.guided() {
			m = c.towards(c.toRow, c.toCol)
		}
		row, col := int(c.row)+moves[m].row, int(c.col)+moves[m].col
		if uint(row) >= uint(p.w.Grid) || uint(col) >= uint(p.w.Grid) {
			reward[a] += p.w.Border
			continue
		}
		reward[a] += p.w.Move
		to := row*p.w.Grid + col
		if int(p.crowd[to]) == p.w.Crowd {
			continue
		}
		p.crowd[int(c.row)*p.w.Grid+int(c.col)]--
		p.crowd[to]++
		c.row, c.col = uint8(row), uint8(col)
	}
}

func (p *platform) pickUpAndDeliver(reward []float32) {
	for a := range p.couriers {
		c := &p.couriers[a]
		if c.job == free || !c.arrived() {
			continue
		}
		if c.guided() {
			p.pickUp(a, reward)
			continue
		}
		reward[a] += p.w.Deliver
		p.delivered[a]++
		p.metrics[c.job-carrying-1]++
		p.metrics[len(p.metrics)-2]++
		p.metrics[p.stepsPerOrder()] = p.meanStepsPerOrder()
		c.job, c.toRow, c.toCol = free, 0, 0
	}
}

func (p *platform) pickUp(a int, reward []float32) {
	c := &p.couriers[a]
	reward[a] += p.w.Pickup
	c.job |= carrying
	c.toRow, c.toCol = p.customer[a][0], p.customer[a][1]
}

// broadcastOrders gives each waiting order, oldest first, to the nearest free courier in its restaurant's
// area. Orders that find nobody wait.
func (p *platform) broadcastOrders(reward []float32) {
	for i := range p.restaurants {
		r := &p.restaurants[i]
		for r.taken < r.released {
			a := p.nearestFree(r)
			if a < 0 {
				break
			}
			c := &p.couriers[a]
			c.job, c.toRow, c.toCol = uint8(i+1), r.row, r.col
			p.customer[a] = r.customer[r.taken]
			r.taken++
			if c.arrived() {
				p.pickUp(a, reward)
			}
		}
	}
}

// nearestFree is the free courier in the area of r with the least Manhattan distance, ties to the lowest
// index, or −1.
func (p *platform) nearestFree(r *restaurant) int {
	best, least, reach := -1, 2*p.w.Grid, p.w.Broadcast/2
	for a := range p.couriers {
		c := &p.couriers[a]
		if c.job != free {
			continue
		}
		v, h := gap(c.row, r.row), gap(c.col, r.col)
		if v <= reach && h <= reach && v+h < least {
			best, least = a, v+h
		}
	}
	return best
}

func (p *platform) count(reward []float32) {
	for _, r := range reward {
		p.reward += float64(r)
	}
	p.metrics[len(p.metrics)-4] = float32(p.reward)
}

func (p *platform) stepsPerOrder() int { return len(p.metrics) - 3 }

func (p *platform) meanStepsPerOrder() float32 {
	sum := 0.0
	for _, d := range p.delivered {
		sum += float64(p.w.Steps) / float64(max(1, d))
	}
	return float32(sum / float64(len(p.delivered)))
}

// shuffle permutes s with one draw: the digits of a uniform fraction in the mixed radix n, n−1, …, 2. Its 64
// bits are plenty for 12 couriers (12! < 2^29) and leave a bias beyond 20.
func shuffle(s []int, r *rand.Rand) {
	x := r.Uint64()
	for i := len(s); i > 1; i-- {
		var j uint64
		j, x = bits.Mul64(x, uint64(i))
		s[i-1], s[j] = s[j], s[i-1]
	}
}
