package takeout

import (
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/env"
)

// A Courier is a scripted policy: it reads one moment and writes the couriers' actions. It keeps nothing, so
// it may serve many environments and goroutines.
type Courier func(s *env.Step, r *rand.Rand, act env.Actions)

// slip is how often the scripts Windowed and Directed move at random.
const slip = 0.1

// Random chooses uniformly.
func (w World) Random() Courier {
	spec := w.Spec()
	return func(s *env.Step, r *rand.Rand, act env.Actions) { env.RandomActions(spec, s.Avail, r, act.Discrete) }
}

// Windowed knows the map, but sees waiting orders and its customer in the window alone. It walks to the
// customer or, while that is out of sight, to the middle of the grid, where it strays. Without an order it
// walks to the nearest restaurant with waiting orders in sight, or to the nearest restaurant.
func (w World) Windowed() Courier { return w.walk(false) }

// Directed is Windowed with a customer that is always in sight.
func (w World) Directed() Courier { return w.walk(true) }

func (w World) walk(knows bool) Courier {
	middle := uint8(w.Grid / 2)
	return func(s *env.Step, r *rand.Rand, act env.Actions) {
		queues := w.queues(s.Snapshot)
		for a := range w.Agents {
			avail := s.Avail[a*len(moves) : (a+1)*len(moves)]
			c := courierAt(s.Snapshot, a)
			row, col := c.toRow, c.toCol
			switch {
			case c.guided() || r.Float64() < slip:
				act.Discrete[a] = int32(env.RandomAction(avail, r))
				continue
			case c.carries() && (knows || w.sees(c, row, col)):
			case c.carries():
				if row, col = middle, middle; gap(c.row, row) <= 1 && gap(c.col, col) <= 1 {
					row, col = c.row, c.col
				}
			default:
				row, col = w.nextRestaurant(c, queues)
			}
			if row == c.row && col == c.col {
				act.Discrete[a] = int32(env.RandomAction(avail, r))
				continue
			}
			act.Discrete[a] = int32(c.towards(row, col))
		}
	}
}

func (w World) sees(c courier, row, col uint8) bool {
	return gap(c.row, row) <= w.View && gap(c.col, col) <= w.View
}

// nextRestaurant is the nearest one with waiting orders in sight, or the nearest.
func (w World) nextRestaurant(c courier, queues []byte) (row, col uint8) {
	least := 4 * w.Grid
	for i, at := range w.Restaurants {
		y, x := uint8(at.Row), uint8(at.Col)
		d := gap(c.row, y) + gap(c.col, x)
		if queues[i] == 0 || !w.sees(c, y, x) {
			d += 2 * w.Grid
		}
		if d < least {
			least, row, col = d, y, x
		}
	}
	return row, col
}

// Dispatcher knows everything but the future. Carriers walk to their customers; the free courier and the
// waiting order that are closest are paired first, then the next; who is left over waits at a restaurant that
// nobody else is sent to.
func (w World) Dispatcher() Courier {
	return func(s *env.Step, r *rand.Rand, act env.Actions) {
		idle, wanted := make([]bool, w.Agents), make([]int, len(w.Restaurants))
		for i, q := range w.queues(s.Snapshot) {
			wanted[i] = int(q)
		}
		for a := range idle {
			c := courierAt(s.Snapshot, a)
			if idle[a] = c.job == free; !idle[a] {
				act.Discrete[a] = int32(c.towards(c.toRow, c.toCol))
			}
		}
		busy := w.send(s, act, idle, wanted)
		for i := range wanted {
			wanted[i] = 0
			if busy[i] == 0 {
				wanted[i] = 1
			}
		}
		w.send(s, act, idle, wanted)
		for i := range wanted {
			wanted[i] = w.Agents
		}
		w.send(s, act, idle, wanted)
	}
}

// send moves idle couriers to restaurants, the closest pair first, while some are wanted there, and returns
// how many go to each restaurant.
func (w World) send(s *env.Step, act env.Actions, idle []bool, wanted []int) (sent []int) {
	sent = make([]int, len(wanted))
	for {
		courier, to, least := -1, 0, 2*w.Grid
		for a, ok := range idle {
			for i := range wanted {
				if !ok || wanted[i] == 0 {
					continue
				}
				c := courierAt(s.Snapshot, a)
				if d := gap(c.row, uint8(w.Restaurants[i].Row)) + gap(c.col, uint8(w.Restaurants[i].Col)); d < least {
					courier, to, least = a, i, d
				}
			}
		}
		if courier < 0 {
			return sent
		}
		c, at := courierAt(s.Snapshot, courier), w.Restaurants[to]
		row, col := uint8(at.Row), uint8(at.Col)
		if least == 0 { // there is no action to wait: step aside, away from the border
			row, col = uint8(w.Grid/2), uint8(w.Grid/2)
		}
		act.Discrete[courier] = int32(c.towards(row, col))
		idle[courier], wanted[to], sent[to] = false, wanted[to]-1, sent[to]+1
	}
}
