package battle

import (
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// showEntities writes REFIL's rows (starcraft2custom.py, get_entities): tag, availability of the moves and targets
// (agents), type, hp, shield, energy and cooldown (agents), place on the map, and place relative to the mean of all
// units over the largest distance to it; the dead count there with their last places. The dead keep tag and type,
// all else is 0; empty slots are 0.
func (b *battle) showEntities(out *env.Step) {
	l := &b.layout
	clear(out.Entities)
	mx, my, spread := b.middle()
	for u := range b.n {
		slot := b.slot(u)
		f := out.Entities[slot*l.entity:][:l.entity]
		f[b.tag[u]] = 1
		f[l.typ+int(b.kind[u])] = 1
		if !b.alive[u] {
			continue
		}
		f[l.hp] = b.hpPart[u]
		if l.shield >= 0 {
			f[l.shield] = b.shieldPart[u]
		}
		f[l.place], f[l.place+1] = b.placeOnMap(u)
		f[l.apart], f[l.apart+1] = (b.x[u]-mx)*spread, (b.y[u]-my)*spread
		if u >= b.na {
			continue
		}
		f[l.energy], f[l.cooldown] = b.energy[u]/maxEnergy, b.wait(u)
		for k, ok := range out.Avail[u*l.actions+North : (u+1)*l.actions] {
			if ok {
				f[l.avail+k] = 1
			}
		}
	}
}

// middle is the mean place of all units, and one over the largest distance to it.
func (b *battle) middle() (x, y, spread float32) {
	for u := range b.n {
		x += b.x[u]
		y += b.y[u]
	}
	n := float32(max(b.n, 1))
	x, y = x/n, y/n
	far := float32(0)
	for u := range b.n {
		dx, dy := b.x[u]-x, b.y[u]-y
		far = max(far, dx*dx+dy*dy)
	}
	if far == 0 {
		return x, y, 1
	}
	return x, y, 1 / float32(math.Sqrt(float64(far)))
}
