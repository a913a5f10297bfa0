package battle

import "math"

// crowd finds who overlaps by a Verlet list: it keeps the pairs that were within margin of touching, and looks at
// all pairs again only when, before a round, somebody may have moved half of that since: until then no other pair
// can touch.
type crowd struct {
	pairs        []pair
	seenX, seenY []float32 // where everybody was when pairs were looked for
	slack        float32   // cells that anybody may still move before pairs must be looked for; below 0: look
	unrest       bool      // true = somebody still overlapped after the last rounds
}

type pair struct {
	u, v   int32
	touch  float32 // sum of the radii
	touch2 float32 // squared, less rounding
}

// margin is a compromise by measurement: a wider one has more pairs, a narrower one is looked for more often.
const margin = 2

// contact is the part of the radii's sum, squared, from which on a distance is no overlap: float32 cannot place
// units that touch more exactly, and would push them apart forever.
const contact = 1 - 1e-6

func newCrowd(n int) crowd {
	return crowd{pairs: make([]pair, 0, n*(n-1)/2), seenX: make([]float32, n), seenY: make([]float32, n)}
}

// forget makes the next round look for pairs: somebody appeared, died, or was put somewhere else.
func (c *crowd) forget() { c.slack = float32(math.Inf(-1)) }

// refresh makes pairs hold all that can overlap now.
func (c *crowd) refresh(b *battle) {
	if c.slack >= 0 {
		return
	}
	if !math.IsInf(float64(c.slack), -1) { // the bound is used up; how far did they really go?
		far := float32(0)
		for _, u := range b.living {
			dx, dy := b.x[u]-c.seenX[u], b.y[u]-c.seenY[u]
			far = max(far, dx*dx+dy*dy)
		}
		if c.slack = margin/2 - float32(math.Sqrt(float64(far))); c.slack >= 0 {
			return
		}
	}
	c.slack, c.pairs = margin/2, c.pairs[:0]
	copy(c.seenX, b.x[:b.n])
	copy(c.seenY, b.y[:b.n])
	for i, u := range b.living {
		k := &b.armory.kinds[b.kind[u]]
		x, y, radius, air := b.x[u], b.y[u], k.radius, k.air
		for _, v := range b.living[:i] {
			l := &b.armory.kinds[b.kind[v]]
			dx, dy := x-b.x[v], y-b.y[v]
			touch := radius + l.radius
			if reach := touch + margin; dx*dx+dy*dy < reach*reach && air == l.air {
				c.pairs = append(c.pairs, pair{int32(v), int32(u), touch, touch * touch * contact})
			}
		}
	}
}

// pushApart moves overlapping living units of one plane apart, once: a unit that wants to walk gives way to one
// that stands, as in SMAClite; otherwise both take half. It says whether anybody overlapped.
func (c *crowd) pushApart(b *battle) (pushed bool) {
	c.refresh(b)
	for i := range c.pairs {
		p := &c.pairs[i]
		u, v := p.u, p.v
		dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
		d2 := dx*dx + dy*dy
		if d2 >= p.touch2 {
			continue
		}
		pushed = true
		d := float32(math.Sqrt(float64(d2)))
		overlap := p.touch - d
		if d < 1e-6 { // on one spot: any direction
			sin, cos := math.Sincos(2 * math.Pi * b.rand.Float64())
			dx, dy, d = float32(cos), float32(sin), 1
		}
		share := float32(0.5) // of v
		walksU, walksV := b.vx[u] != 0 || b.vy[u] != 0, b.vx[v] != 0 || b.vy[v] != 0
		if walksU != walksV {
			share = 0
			if walksV {
				share = 1
			}
		}
		c.slack -= overlap
		f := overlap / d
		b.x[v] += dx * f * share
		b.y[v] += dy * f * share
		b.x[u] -= dx * f * (1 - share)
		b.y[u] -= dy * f * (1 - share)
	}
	return pushed
}
