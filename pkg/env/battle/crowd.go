package battle

import "math"

// crowd finds who overlaps. It keeps the pairs that were within margin of touching, and looks at all pairs again
// only when, before a round, somebody has moved half of that since: until then no other pair can touch.
type crowd struct {
	pairs        []pair
	seenX, seenY []float32 // where everybody was then
	stale        bool      // true = look again in any case
	unrest       bool      // true = somebody still overlapped after the last rounds
}

type pair struct {
	u, v  int32
	touch float32 // sum of the radii
}

// contact is the part of the radii's sum, squared, from which on a distance is no overlap: float32 cannot place
// units that touch more exactly, and would push them apart forever.
const contact = 1 - 1e-6

// margin is a compromise: a wider one has more pairs, a narrower one is looked for more often.
const margin = 1

func newCrowd(n int) crowd {
	return crowd{pairs: make([]pair, 0, n*(n-1)/2), seenX: make([]float32, n), seenY: make([]float32, n)}
}

// refresh makes pairs hold all that can overlap now.
func (c *crowd) refresh(b *battle) {
	if !c.stale {
		const half2 = margin * margin / 4
		for _, u := range b.living {
			dx, dy := b.x[u]-c.seenX[u], b.y[u]-c.seenY[u]
			if dx*dx+dy*dy >= half2 {
				c.stale = true
				break
			}
		}
	}
	if !c.stale {
		return
	}
	c.stale, c.pairs = false, c.pairs[:0]
	copy(c.seenX, b.x[:b.n])
	copy(c.seenY, b.y[:b.n])
	for i, u := range b.living {
		k := &b.armory.kinds[b.kind[u]]
		x, y := b.x[u], b.y[u]
		for _, v := range b.living[:i] {
			l := &b.armory.kinds[b.kind[v]]
			dx, dy := x-b.x[v], y-b.y[v]
			touch := k.radius + l.radius
			if reach := touch + margin; dx*dx+dy*dy < reach*reach && k.air == l.air {
				c.pairs = append(c.pairs, pair{int32(v), int32(u), touch})
			}
		}
	}
}

// pushApart moves overlapping living units of one plane apart, once: a unit that wants to walk gives way to one
// that stands, as in SMAClite; otherwise both take half. It says whether anybody overlapped.
func (c *crowd) pushApart(b *battle) (pushed bool) {
	c.refresh(b)
	for _, p := range c.pairs {
		u, v := p.u, p.v
		dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
		d2 := dx*dx + dy*dy
		if d2 >= p.touch*p.touch*contact {
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
		f := overlap / d
		b.x[v] += dx * f * share
		b.y[v] += dy * f * share
		b.x[u] -= dx * f * (1 - share)
		b.y[u] -= dy * f * (1 - share)
	}
	return pushed
}
