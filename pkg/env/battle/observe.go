package battle

import (
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// show writes the present moment.
func (b *battle) show(out *env.Step) {
	b.measure()
	b.showAvail(out)
	b.showSight(out)
	b.showObs(out)
	b.showState(out)
	b.showEntities(out)
	copy(out.Metrics, b.totals[:])
	if j := &b.judged; j.over {
		out.Terminated, out.Truncated, out.Outcome = j.terminated, j.truncated, j.outcome
	}
}

// measure prepares what several features need.
func (b *battle) measure() {
	for _, u := range b.living {
		k := &b.armory.kinds[b.kind[u]]
		b.hpPart[u] = b.hp[u] / k.hp
		if k.shield > 0 {
			b.shieldPart[u] = b.shield[u] / k.shield
		} else {
			b.shieldPart[u] = 0
		}
	}
	for _, i := range b.living[:b.livingAllies] {
		row, x, y := b.distance2[i*b.n:(i+1)*b.n], b.x[i], b.y[i]
		for _, v := range b.living {
			dx, dy := b.x[v]-x, b.y[v]-y
			row[v] = dx*dx + dy*dy
		}
	}
	if b.world.Miss > 0 {
		b.drawBlindness()
	}
}

// drawBlindness: the first agent that sees an enemy always does; each of the others misses him with chance Miss,
// until the first one dies (SMACv2, starcraft2.py, obs_enemies and enemy_tags).
func (b *battle) drawBlindness() {
	for e := range b.n - b.na {
		if h := b.holder[e]; h != nobody && !b.alive[h] {
			b.holder[e] = nobody
		}
		v := b.na + e
		if b.holder[e] != nobody || !b.alive[v] {
			continue
		}
		for _, i := range b.living[:b.livingAllies] {
			s := b.armory.kinds[b.kind[i]].sight
			if b.distance2[i*b.n+v] >= s*s {
				continue
			}
			b.holder[e] = int16(i)
			for j := range b.na {
				b.blind[j*b.maxEnemies+e] = j != i && b.rand.Float64() < b.world.Miss
			}
			break
		}
	}
}

func (b *battle) misses(i, v int) bool {
	return b.world.Miss > 0 && v >= b.na && b.blind[i*b.maxEnemies+v-b.na]
}

// showSight writes who sees whom (REFIL, obs_mask and entity_mask, with our polarity): both alive and within sight,
// the edge included; everybody who is present sees itself, dead or alive.
func (b *battle) showSight(out *env.Step) {
	copy(out.Present, b.present)
	copy(out.Role, b.roles)
	copy(out.Hidden, b.nothingSeen)
	clear(out.Alive)
	slots := b.maxAllies + b.maxEnemies
	shift := b.maxAllies - b.na // from a unit's index to an enemy's slot
	for i := range b.na {
		out.Hidden[i*slots+i] = false
	}
	for _, i := range b.living[:b.livingAllies] {
		out.Alive[i] = true
		hidden, row := out.Hidden[i*slots:(i+1)*slots], b.distance2[i*b.n:(i+1)*b.n]
		s := b.armory.kinds[b.kind[i]].sight
		s *= s
		for _, j := range b.living[:b.livingAllies] {
			hidden[j] = row[j] > s
		}
		for _, v := range b.living[b.livingAllies:] {
			hidden[shift+v] = row[v] > s || b.misses(i, v)
		}
	}
}

// showObs writes SMAC's flat observation (get_obs_agent): availability of the four moves; for each enemy, by tag,
// and each comrade nearer than sight: attackable or visible, distance and offset over sight, hp, shield, type; then
// the own hp, shield and type. The dead observe zeros.
func (b *battle) showObs(out *env.Step) {
	l := &b.layout
	clear(out.Obs)
	for _, i := range b.living[:b.livingAllies] {
		o, row := out.Obs[i*l.obs:(i+1)*l.obs], b.distance2[i*b.n:(i+1)*b.n]
		for way, ok := range out.Avail[i*l.actions+North : i*l.actions+FirstTarget] {
			if ok {
				o[way] = 1
			}
		}
		k := &b.armory.kinds[b.kind[i]]
		sight2, command2, per := k.sight*k.sight, k.command*k.command, 1/k.sight
		if k.attack == Heal {
			command2 = -1
		}
		for _, v := range b.living[b.livingAllies:] {
			if row[v] >= sight2 || b.misses(i, v) {
				continue
			}
			f := o[len(steps)+int(b.tag[v])*l.enemy:][:l.enemy]
			if row[v] <= command2 {
				f[0] = 1
			}
			b.showOther(f, i, v, row[v], per, l.shields[1])
		}
		allies := o[len(steps)+b.maxEnemies*l.enemy:]
		for _, j := range b.living[:b.livingAllies] {
			if row[j] >= sight2 || j == i {
				continue
			}
			place := j
			if j > i {
				place--
			}
			f := allies[place*l.ally:][:l.ally]
			f[0] = 1
			b.showOther(f, i, j, row[j], per, l.shields[0])
			if a := b.lastAction[j]; b.world.LastAction && a != nobody {
				f[l.ally-l.actions+int(a)] = 1
			}
		}
		b.showSelf(o[l.obs-l.own:], i)
	}
}

// showOther writes what i sees of v, but for the flag in front.
func (b *battle) showOther(f []float32, i, v int, d2, per float32, shields int) {
	f[1] = float32(math.Sqrt(float64(d2))) * per
	f[2] = (b.x[v] - b.x[i]) * per
	f[3] = (b.y[v] - b.y[i]) * per
	f[4] = b.hpPart[v]
	if shields > 0 {
		f[5] = b.shieldPart[v]
	}
	if b.layout.typeCode {
		f[5+shields+int(b.kind[v])] = 1
	}
}

func (b *battle) showSelf(f []float32, i int) {
	f[0] = b.hpPart[i]
	f = f[1:]
	if b.layout.shields[0] > 0 {
		f[0] = b.shieldPart[i]
		f = f[1:]
	}
	if b.world.OwnPosition {
		f[0], f[1] = b.x[i]/b.field.width, b.y[i]/b.field.height
		f = f[2:]
	}
	if b.layout.typeCode {
		f[b.kind[i]] = 1
	}
}

// showState writes SMAC's global state (get_state): of each ally hp, cooldown (a healer's energy), place, shield
// and type, of each enemy, by tag, hp, place, shield and type, then the last actions. The dead have zeros.
func (b *battle) showState(out *env.Step) {
	l := &b.layout
	clear(out.State)
	row := func(f []float32, u, shields int) {
		f[0], f[1] = b.placeOnMap(u)
		if shields > 0 {
			f[2] = b.shieldPart[u]
		}
		if l.typeCode {
			f[2+shields+int(b.kind[u])] = 1
		}
	}
	for _, i := range b.living[:b.livingAllies] {
		f := out.State[i*l.stateAlly:][:l.stateAlly]
		f[0], f[1] = b.hpPart[i], b.wait(i)
		if b.armory.kinds[b.kind[i]].attack == Heal {
			f[1] = b.energy[i] / maxEnergy
		}
		row(f[2:], i, l.shields[0])
	}
	enemies := out.State[b.maxAllies*l.stateAlly:]
	for _, v := range b.living[b.livingAllies:] {
		f := enemies[int(b.tag[v])*l.stateEnemy:][:l.stateEnemy]
		f[0] = b.hpPart[v]
		row(f[1:], v, l.shields[1])
	}
	last := enemies[b.maxEnemies*l.stateEnemy:]
	for i, a := range b.lastAction {
		if a != nobody {
			last[i*l.actions+int(a)] = 1
		}
	}
}

// placeOnMap is the offset from the middle of the map, over its sizes.
func (b *battle) placeOnMap(u int) (x, y float32) {
	return b.x[u]/b.field.width - 0.5, b.y[u]/b.field.height - 0.5
}

// wait is what is left of the cooldown, of the longest there is for the type: 0 to 1. SMAC divides by numbers of its
// own, some of which are too small.
func (b *battle) wait(u int) float32 {
	if left := b.ready[u] - float32(b.now); left > 0 {
		return min(left/b.armory.kinds[b.kind[u]].longest, 1)
	}
	return 0
}
