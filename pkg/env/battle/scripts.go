package battle

import (
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/env"
)

// Script is a scripted policy of the allies: it reads one moment and writes the agents' actions. It keeps nothing, so
// it may serve many environments and goroutines.
type Script func(s *env.Step, r *rand.Rand, act env.Actions)

// Random chooses uniformly among the available actions.
func (w World) Random() Script {
	return w.script(func(b *battle) Script {
		return func(s *env.Step, r *rand.Rand, act env.Actions) { env.RandomActions(b.spec, s.Avail, r, act.Discrete) }
	})
}

// Near attacks the nearest enemy that may be attacked. With none in reach an agent steps along the larger
// difference towards the nearest living enemy, or along the other one where it is blocked. Healers heal the ally
// with the least part of its hp, or approach the nearest ally.
func (w World) Near() Script { return w.attackBy(func(_ *seen, d2 float32) float32 { return d2 }) }

// Focus is Near that attacks the enemy with the least hp and shield.
func (w World) Focus() Script {
	return w.attackBy(func(v *seen, _ float32) float32 { return v.strength })
}

// script makes a script from a battle; a world that cannot be has one that does nothing, since New says why.
func (w World) script(of func(b *battle) Script) Script {
	b, err := w.build()
	if err != nil {
		return func(*env.Step, *rand.Rand, env.Actions) {}
	}
	return of(b)
}

// seen is what a script reads of an entity's row.
type seen struct {
	alive    bool
	kind     uint8
	tag      int
	x, y     float32
	part     float32 // of its hp
	strength float32 // hp and shield
}

func (b *battle) read(s *env.Step, slot int) (v seen) {
	l := &b.layout
	f := s.Entities[slot*l.entity:][:l.entity]
	if !s.Present[slot] || f[l.hp] <= 0 {
		return v
	}
	for v.tag = 0; f[v.tag] == 0; v.tag++ {
	}
	for f[l.typ+int(v.kind)] == 0 {
		v.kind++
	}
	k := &b.armory.kinds[v.kind]
	v.alive, v.part = true, f[l.hp]
	v.x, v.y = (f[l.place]+0.5)*b.field.width, (f[l.place+1]+0.5)*b.field.height
	if v.strength = v.part * k.hp; l.shield >= 0 {
		v.strength += f[l.shield] * k.shield
	}
	return v
}

// attackBy attacks the enemy in reach with the least rank.
func (w World) attackBy(rank func(v *seen, d2 float32) float32) Script {
	return w.script(func(b *battle) Script {
		return func(s *env.Step, _ *rand.Rand, act env.Actions) {
			var units [2 * mostUnits]seen
			slots := b.maxAllies + b.maxEnemies
			for j := range slots {
				units[j] = b.read(s, j)
			}
			for i := range b.maxAllies {
				act.Discrete[i] = NoOp
				if s.Alive[i] {
					act.Discrete[i] = b.choose(s, i, units[:slots], rank)
				}
			}
		}
	})
}

func (b *battle) choose(s *env.Step, i int, units []seen, rank func(v *seen, d2 float32) float32) int32 {
	me, avail := &units[i], s.Avail[i*b.layout.actions:][:b.layout.actions]
	first, others := FirstTarget, units[b.maxAllies:]
	heals := b.armory.kinds[me.kind].attack == Heal
	if heals {
		first, others = FirstTarget+b.layout.firstHeal-b.maxEnemies, units[:b.maxAllies]
	}
	best, nearest := -1, -1
	var least, close float32
	for k := range others {
		v := &others[k]
		if !v.alive || v == me || !b.armory.versus(me.kind, v.kind).can {
			continue
		}
		dx, dy := v.x-me.x, v.y-me.y
		d2 := dx*dx + dy*dy
		if nearest < 0 || d2 < close {
			nearest, close = k, d2
		}
		if !avail[first+v.tag] {
			continue
		}
		r := v.part
		if !heals {
			r = rank(v, d2)
		}
		if best < 0 || r < least {
			best, least = first+v.tag, r
		}
	}
	switch {
	case best >= 0:
		return int32(best)
	case nearest >= 0:
		return approach(me, &others[nearest], avail)
	}
	return Stop
}

func approach(me, v *seen, avail []bool) int32 {
	dx, dy := v.x-me.x, v.y-me.y
	alongX, alongY := int32(East), int32(North)
	if dx < 0 {
		alongX = West
	}
	if dy < 0 {
		alongY = South
	}
	first, second := alongX, alongY
	if abs(dy) > abs(dx) {
		first, second = alongY, alongX
	}
	switch {
	case avail[first]:
		return first
	case avail[second]:
		return second
	}
	return Stop
}
