package battle

import (
	"cmp"
	"math"
)

// enlistAll draws who fights and where they start.
func (b *battle) enlistAll() {
	b.n, b.na = 0, 0
	switch {
	case b.compositions != nil:
		b.drawFamily()
	case b.teamKinds != nil:
		b.drawTeams()
	default:
		for i, p := range b.roster.at {
			b.oldX[i], b.oldY[i] = float32(p.X), float32(p.Y) // where there is room
			b.enlist(b.roster.kindOf(i), float32(p.X)+b.startNoise(), float32(p.Y)+b.startNoise())
		}
		b.na = len(b.roster.allies)
	}
}

// startNoise is up to a tenth of a cell each way in SC2, so that equal battles differ; none in Lite.
func (b *battle) startNoise() float32 {
	if b.world.Profile == Lite {
		return 0
	}
	return float32(0.2*b.rand.Float64() - 0.1)
}

func (b *battle) enlist(kind uint8, x, y float32) {
	b.kind[b.n], b.x[b.n], b.y[b.n], b.alive[b.n] = kind, x, y, true
	b.n++
}

// enlistAround adds n units of a kind on a hexagonal spiral, moved so that their mean is at (x, y).
func (b *battle) enlistAround(kind uint8, n int, x, y float64) {
	begin := b.n
	for range n {
		b.enlist(kind, 0, 0)
	}
	b.spiral(begin, x, y)
}

// enlistTeam does so for units of several kinds.
func (b *battle) enlistTeam(kinds []uint8, x, y float64) {
	begin := b.n
	for _, k := range kinds {
		b.enlist(k, 0, 0)
	}
	b.spiral(begin, x, y)
}

// spiral places the units from begin on around (x, y): one in the middle, six around it, then twelve, gap apart.
func (b *battle) spiral(begin int, x, y float64) {
	pitch := 0.0
	for u := begin; u < b.n; u++ {
		pitch = max(pitch, 2*float64(b.armory.kinds[b.kind[u]].radius)+gap)
	}
	px, py, mx, my := 0.0, 0.0, 0.0, 0.0
	ring, done := 0, 0 // units of the ring that stand already
	for u := begin; u < b.n; u++ {
		b.x[u], b.y[u] = float32(px), float32(py)
		mx, my = mx+px, my+py
		if done++; done >= 6*ring {
			ring, done = ring+1, 0
			px, py = pitch*float64(ring), 0
			continue
		}
		sin, cos := math.Sincos(math.Pi / 3 * float64(2+(done-1)/ring)) // along the ring's six sides
		px, py = px+pitch*cos, py+pitch*sin
	}
	n := float64(max(b.n-begin, 1))
	for u := begin; u < b.n; u++ {
		b.x[u] += float32(x - mx/n)
		b.y[u] += float32(y - my/n)
	}
}

// settle pushes units apart that start on top of one another.
func (b *battle) settle() {
	const rounds = 30
	clear(b.vx[:b.n]) // nobody walks, so both give way
	clear(b.vy[:b.n])
	b.muster()
	b.crowd.forget()
	for range rounds {
		pushed := b.crowd.pushApart(b)
		if !b.keepInside() && !pushed {
			break
		}
	}
}

// lineUp gives the units their indices: allies by SMAC's number of the type, x and y (SMAC, init_units), enemies by
// StarCraft's (REFIL).
func (b *battle) lineUp() {
	before := func(u, v int) bool {
		k, l := &b.armory.kinds[b.kind[u]], &b.armory.kinds[b.kind[v]]
		first := cmp.Compare(k.id, l.id)
		if u < b.na {
			first = cmp.Compare(k.allyID, l.allyID)
		}
		return cmp.Or(first, cmp.Compare(b.kind[u], b.kind[v]), cmp.Compare(b.x[u], b.x[v]), cmp.Compare(b.y[u], b.y[v])) < 0
	}
	for _, army := range [2][2]int{{0, b.na}, {b.na, b.n}} {
		for i := army[0] + 1; i < army[1]; i++ {
			for u := i; u > army[0] && before(u, u-1); u-- {
				v := u - 1
				b.kind[u], b.kind[v] = b.kind[v], b.kind[u]
				b.x[u], b.x[v] = b.x[v], b.x[u]
				b.y[u], b.y[v] = b.y[v], b.y[u]
			}
		}
	}
}

// drawTags gives every unit the number by which orders name it: enemies 0 to maxEnemies−1, allies the numbers
// after. Drawn anew in each episode, they let few units train the actions of many (REFIL, init_units).
func (b *battle) drawTags() {
	deal := func(of []int16, first, begin, end int) {
		for i := range of {
			of[i] = nobody
		}
		free := b.drawn[:0]
		for i := range of {
			free = append(free, uint8(i))
		}
		for u := begin; u < end; u++ {
			i := u - begin
			if b.world.RandomTags {
				k := i + b.rand.IntN(len(free)-i)
				free[i], free[k] = free[k], free[i]
			}
			b.tag[u] = uint8(first) + free[i]
			of[free[i]] = int16(u)
		}
	}
	deal(b.enemyWithTag, 0, b.na, b.n)
	deal(b.allyWithTag, b.maxEnemies, 0, b.na)
}

// makeReady fills what the tick needs: fresh units, who stand until the first orders; hunters know where to go.
func (b *battle) makeReady() {
	b.fighters, b.healers = [2]int{}, [2]int{}
	var sumX, sumY [2]float64
	b.fastest = 0
	for u := range b.n {
		k, army := &b.armory.kinds[b.kind[u]], b.army(u)
		b.hp[u], b.shield[u], b.energy[u], b.ready[u], b.struck[u] = k.hp, k.shield, 0, 0, -shieldDelay
		b.order[u], b.target[u], b.heals[u], b.fires[u] = stop, nobody, nobody, false
		b.vx[u], b.vy[u], b.startX[u], b.startY[u] = 0, 0, b.x[u], b.y[u]
		if k.attack == Heal {
			b.energy[u] = startEnergy
			b.healers[army]++
		} else {
			b.fighters[army]++
		}
		b.fastest = max(b.fastest, k.speed)
		sumX[army] += float64(b.x[u])
		sumY[army] += float64(b.y[u])
	}
	for army, n := range [2]int{b.na, b.n - b.na} { // the enemy walks to where the allies are, and they to him
		b.attackX[1-army], b.attackY[1-army] = float32(sumX[army]/float64(n)), float32(sumY[army]/float64(n))
	}
	if p := b.world.AttackPoint; p != nil {
		b.attackX[1], b.attackY[1] = float32(p.X), float32(p.Y)
	}
	for i := range b.lastAction {
		b.lastAction[i] = nobody
	}
	for e := range b.holder {
		b.holder[e] = nobody
	}
	clear(b.blind)
	clear(b.present)
	clear(b.roles)
	for u := range b.n {
		slot := b.slot(u)
		b.present[slot], b.roles[slot] = true, b.role(u)
	}
	b.died = false
	b.muster()
	b.crowd.forget()
	if b.world.EpisodeScale {
		b.fullPay = b.episodePay()
	}
}
