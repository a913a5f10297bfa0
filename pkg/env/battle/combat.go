package battle

import "math"

const (
	shieldDelay   = 10 * ticksPerSecond     // ticks without damage after which a shield comes back (SMAClite, unit.py)
	shieldPerTick = 2.0 / ticksPerSecond    // SMAClite, unit.py: SHIELD_PER_SECOND
	healPerTick   = 9.0 / ticksPerSecond    // hp (SMAClite, unit.py: HEAL_PER_SECOND)
	healPerEnergy = 3.0                     // hp (SMAClite, unit.py: HEAL_PER_ENERGY)
	energyPerTick = 0.5625 / ticksPerSecond // SMAClite, unit.py: ENERGY_PER_SECOND
	startEnergy   = 50.0                    // SMAClite, medivac.json
	maxEnergy     = 200.0                   // SMAClite, medivac.json
	newPatient    = 5.0                     // energy without which a healer takes no new patient (SMAClite, unit.py)
	maxJitter     = 2                       // ticks; a shot adds −1, 0, 1 or 2 to its cooldown (PySC2, docs/environment.md)
)

// fight lets the living act in random order: what regenerates does, and who is in range attacks or heals. Deaths
// count at once: who dies does not act any more in this tick. Units that have nothing to do are left out of the
// shuffle, which does not change the order of the others.
func (b *battle) fight() {
	acting, violent := b.acting[:0], false
	now := float32(b.now)
	for _, u := range b.living {
		k := &b.armory.kinds[b.kind[u]]
		if b.fires[u] && (k.attack == Heal || now >= b.ready[u]) {
			acting, violent = append(acting, u), true
		} else {
			b.fires[u] = false
			if k.regen > 0 || b.shield[u] < k.shield || k.attack == Heal {
				acting = append(acting, u)
			}
		}
		if !b.fires[u] {
			b.heals[u] = nobody
		}
	}
	if violent {
		b.shuffle(acting)
	}
	for _, u := range acting {
		if !b.alive[u] {
			continue
		}
		b.regenerate(u)
		if b.fires[u] {
			b.fires[u] = false
			b.fire(u)
		}
	}
}

// shuffle is Fisher and Yates's, with two draws of 32 bits from each number.
func (b *battle) shuffle(units []int) {
	var bits uint64
	for i := len(units) - 1; i > 0; i-- {
		if bits >>= 32; bits == 0 {
			bits = b.rand.Uint64()
		}
		j := int(uint64(uint32(bits)) * uint64(i+1) >> 32)
		units[i], units[j] = units[j], units[i]
	}
}

// regenerate restores shields that were left alone for ten seconds, hp of the Zerg, and energy of healers.
func (b *battle) regenerate(u int) {
	k := &b.armory.kinds[b.kind[u]]
	if b.shield[u] < k.shield && b.now-b.struck[u] > shieldDelay {
		b.shield[u] = min(b.shield[u]+shieldPerTick, k.shield)
	}
	if k.regen > 0 && b.hp[u] < k.hp {
		b.hp[u] = min(b.hp[u]+k.regen, k.hp)
	}
	if k.attack == Heal {
		b.energy[u] = min(b.energy[u]+energyPerTick, maxEnergy)
	}
}

// fire carries out the attack or the healing that u's order asks for; its target was in range when the tick began.
func (b *battle) fire(u int) {
	t := int(b.target[u])
	if !b.alive[t] {
		return
	}
	k := &b.armory.kinds[b.kind[u]]
	if k.attack == Heal {
		b.heal(u, t)
		return
	}
	b.shots = append(b.shots, shot{int16(u), int16(t), b.now})
	b.ready[u] = float32(b.now) + k.cooldown
	if b.world.Profile == SC2 {
		b.ready[u] += float32(b.rand.Uint64()>>62) - 1
	}
	switch k.attack {
	case Single:
		b.hit(u, t)
	case Line:
		b.hitLine(u, t)
	case Suicide:
		b.hitAround(u)
	}
}

// hit is one attack: every hit takes from the shield first, which has no armor, then its rest less the armor
// from hp (SMAClite, unit.py, deal_damage and take_damage). Hits after death are void.
func (b *battle) hit(u, v int) {
	target, damage := &b.armory.kinds[b.kind[v]], b.armory.versus(b.kind[u], b.kind[v]).damage
	shield, hp := b.shield[v], b.hp[v]
	for range b.armory.kinds[b.kind[u]].hits {
		absorbed := min(damage, shield)
		shield -= absorbed
		if rest := damage - absorbed - target.armor; rest > 0 {
			hp -= rest
		}
		if hp <= 0 {
			hp = 0
			break
		}
	}
	if v >= b.na {
		b.dealt += b.shield[v] + b.hp[v] - shield - hp
	}
	b.shield[v], b.hp[v], b.struck[v] = shield, hp, b.now
	if hp == 0 {
		b.die(v)
	}
}

// hitLine hits every enemy that touches the rectangle across the line of fire at the target (SMAClite,
// targeter.py, LaserBeamTargeter).
func (b *battle) hitLine(u, t int) {
	k := &b.armory.kinds[b.kind[u]]
	x, y := b.x[t], b.y[t]
	ex, ey := x-b.x[u], y-b.y[u] // along the line of fire
	if d := float32(math.Sqrt(float64(ex*ex + ey*ey))); d > 0 {
		ex, ey = ex/d, ey/d
	} else {
		ex, ey = 1, 0
	}
	for _, v := range b.opponents(u) {
		if !b.alive[v] || !b.armory.versus(b.kind[u], b.kind[v]).can {
			continue
		}
		dx, dy := b.x[v]-x, b.y[v]-y
		along := max(abs(dx*ex+dy*ey)-k.halfWidth, 0)
		across := max(abs(dx*ey-dy*ex)-k.halfLength, 0)
		if r := b.armory.kinds[b.kind[v]].radius; along*along+across*across <= r*r {
			b.hit(u, v)
		}
	}
}

// hitAround hits every enemy whose edge is within the splash of u, which dies of it. An enemy that dies so counts
// like one that was killed (SMAClite adds its remaining hp to the reward).
func (b *battle) hitAround(u int) {
	k := &b.armory.kinds[b.kind[u]]
	for _, v := range b.opponents(u) {
		if !b.alive[v] || !b.armory.versus(b.kind[u], b.kind[v]).can {
			continue
		}
		dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
		if r := k.splash + b.armory.kinds[b.kind[v]].radius; dx*dx+dy*dy <= r*r {
			b.hit(u, v)
		}
	}
	if u >= b.na {
		b.dealt += b.hp[u] + b.shield[u]
	}
	b.die(u)
}

// heal restores hp of v while there is energy. A patient that is whole, or a new one with too little energy, is
// sent away: a hunting healer looks for another (SMAClite, unit.py, heal).
func (b *battle) heal(u, v int) {
	missing := b.armory.kinds[b.kind[v]].hp - b.hp[v]
	ongoing := b.heals[u] == int16(v)
	if missing <= 0 || !ongoing && b.energy[u] < newPatient {
		b.heals[u] = nobody
		if b.order[u] == hunt {
			b.target[u] = nobody
		}
		return
	}
	amount := min(missing, healPerTick, b.energy[u]*healPerEnergy)
	b.hp[v] += amount
	b.energy[u] = max(b.energy[u]-amount/healPerEnergy, 0)
	if b.heals[u] = int16(v); !ongoing {
		b.shots = append(b.shots, shot{int16(u), int16(v), b.now})
	}
}

func abs(x float32) float32 {
	if x < 0 {
		return -x
	}
	return x
}
