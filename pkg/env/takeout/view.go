package takeout

import (
	"fmt"
	"math"
	"strconv"

	"github.com/muster-marl/muster/pkg/env"
)

// View draws the grid: restaurants with their ids and a dot for each waiting order (at most ten), couriers with their
// numbers, and rings for customers with the number of the courier that carries their order. Couriers are blue while
// free, green while guided to a restaurant, vermillion while carrying.
func (p *platform) View(c *env.Canvas) {
	side := float64(p.w.Grid)
	c.Show(0, 0, side, side)
	for i := 1.0; i < side; i++ {
		c.Line(i, 0, i, side, 0.03, env.Pale)
		c.Line(0, i, side, i, 0.03, env.Pale)
	}
	waiting := 0
	for i := range p.restaurants {
		r := &p.restaurants[i]
		x, y := p.middle(r.row, r.col)
		c.Box(x-0.45, y-0.45, x+0.45, y+0.45, env.Hue(4))
		c.Label(x-0.18, y+0.2, 0.3, env.Ink, strconv.Itoa(i+1))
		for k := range min(r.released-r.taken, 10) {
			c.Disc(x-0.34+0.17*float64(k%5), y-0.14-0.17*float64(k/5), 0.065, env.Ink)
		}
		waiting += r.released - r.taken
	}
	for a, k := range p.couriers {
		if k.carries() {
			x, y := p.middle(k.toRow, k.toCol)
			c.Disc(x, y, 0.36, env.White)
			c.Ring(x, y, 0.36, 0.08, env.Hue(1))
			c.Label(x, y, 0.24, env.Hue(1), strconv.Itoa(a+1))
		}
	}
	for a, k := range p.couriers {
		x, y := p.stand(a)
		colour := env.Hue(0)
		switch {
		case k.guided():
			colour = env.Hue(2)
		case k.carries():
			colour = env.Hue(1)
		}
		c.Disc(x, y, 0.3, colour)
		c.Label(x, y, 0.24, env.White, strconv.Itoa(a+1))
	}
	delivered := 0
	for _, d := range p.delivered {
		delivered += d
	}
	c.Note = fmt.Sprintf("step %d of %d: %d of %d orders delivered, %d waiting", p.t, p.w.Steps, delivered, p.w.Orders, waiting)
}

// middle is the middle of a cell on the canvas, whose y grows upwards.
func (p *platform) middle(row, col uint8) (x, y float64) {
	return float64(col) + 0.5, float64(p.w.Grid) - float64(row) - 0.5
}

// stand is where courier a stands in its cell: in the middle, or around it where several share the cell.
func (p *platform) stand(a int) (x, y float64) {
	me := p.couriers[a]
	x, y = p.middle(me.row, me.col)
	here, before := 0, 0
	for i, k := range p.couriers {
		if k.row == me.row && k.col == me.col {
			here++
			if i < a {
				before++
			}
		}
	}
	if here == 1 {
		return x, y
	}
	sin, cos := math.Sincos(2 * math.Pi * float64(before) / float64(here))
	return x + 0.2*cos, y + 0.2*sin
}
