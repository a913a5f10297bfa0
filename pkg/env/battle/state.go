package battle

import "slices"

// order is what a unit does until the next environment step.
type order uint8

const (
	stop   order = iota
	move         // walk to the goal
	attack       // attack or heal the target, wherever it is
	hunt         // attack-move: attack what comes near, otherwise walk to the goal
)

const nobody = -1

// units is the state of everybody. A unit has an index for the episode: the allies, who are the agents, 0 to na−1,
// then the enemies to n−1. Arrays are by that index unless they say otherwise.
type units struct {
	na, n  int
	kind   []uint8
	alive  []bool
	x, y   []float32 // centres
	oldX   []float32 // before this tick; kept where there are walls
	oldY   []float32
	vx, vy []float32 // cells per tick that the order asks for
	hp     []float32
	shield []float32
	energy []float32 // of healers
	ready  []float32 // tick from which the weapon can be used again
	struck []int32   // tick of the last damage taken
	order  []order
	target []int16   // whom it attacks or heals; nobody
	goalX  []float32 // of a move
	goalY  []float32
	startX []float32
	startY []float32
	fires  []bool  // true = its target was in range when the tick began, so it stands and acts
	heals  []int16 // the patient of the last tick; nobody
	tag    []uint8 // by which orders name it

	enemyWithTag []int16
	allyWithTag  []int16 // [tag − maxEnemies]
	lastAction   []int32 // [agent]; nobody before the first step
	present      []bool  // [entity]
	roles        []uint8 // [entity]

	living       []int  // in ascending order, as of the beginning of the tick
	livingAllies int    // how many of them are allies: the first ones
	died         bool   // somebody did in this tick
	fighters     [2]int // alive, of allies and of enemies
	healers      [2]int
	attackX      [2]float32 // where the hunters among allies, and among enemies, walk to
	attackY      [2]float32
	fastest      float32 // cells that anybody walks in a tick, at most
}

func newUnits(allies, enemies int) units {
	n := allies + enemies
	var u units
	for _, f := range []*[]float32{
		&u.x, &u.y, &u.oldX, &u.oldY, &u.vx, &u.vy, &u.hp, &u.shield, &u.energy, &u.ready, &u.goalX, &u.goalY, &u.startX, &u.startY,
	} {
		*f = make([]float32, n)
	}
	for _, f := range []*[]uint8{&u.kind, &u.tag, &u.roles} {
		*f = make([]uint8, n)
	}
	for _, f := range []*[]bool{&u.alive, &u.fires, &u.present} {
		*f = make([]bool, n)
	}
	u.struck, u.order, u.target, u.heals = make([]int32, n), make([]order, n), make([]int16, n), make([]int16, n)
	u.enemyWithTag, u.allyWithTag, u.lastAction = make([]int16, enemies), make([]int16, allies), make([]int32, allies)
	u.living = make([]int, 0, n)
	return u
}

// sight is what features need, and who misses whom.
type sight struct {
	distance2   []float32 // [agent][unit] squared, between the living; valid while features are written
	hpPart      []float32 // of the full hp, likewise
	shieldPart  []float32
	nothingSeen []bool  // [agent][entity], all true
	holder      []int16 // [enemy]: the agent that saw it first (World.Miss)
	blind       []bool  // [agent][enemy], true = misses it
}

func newSight(allies, enemies int) sight {
	n := allies + enemies
	return sight{
		distance2: make([]float32, allies*n), hpPart: make([]float32, n), shieldPart: make([]float32, n),
		nothingSeen: slices.Repeat([]bool{true}, allies*n), holder: make([]int16, enemies), blind: make([]bool, allies*enemies),
	}
}

// die removes a unit from the battle; it keeps its place for features.
func (b *battle) die(u int) {
	b.alive[u], b.hp[u], b.shield[u], b.fires[u], b.died = false, 0, 0, false, true
	army := b.army(u)
	if b.armory.kinds[b.kind[u]].attack == Heal {
		b.healers[army]--
	} else {
		b.fighters[army]--
	}
	b.totals[deadAllies+army]++
}

// army is 0 of allies, 1 of enemies.
func (b *battle) army(u int) int {
	if u < b.na {
		return 0
	}
	return 1
}

// bury forgets who died: their killers have no target, and they stop colliding.
func (b *battle) bury() {
	b.died = false
	b.muster()
	b.crowd.forget()
	for _, u := range b.living {
		if t := b.target[u]; t != nobody && !b.alive[t] {
			b.target[u] = nobody
		}
	}
}

// muster lists the living.
func (b *battle) muster() {
	b.living, b.livingAllies = b.living[:0], 0
	for u, alive := range b.alive[:b.n] {
		if alive {
			b.living = append(b.living, u)
			if u < b.na {
				b.livingAllies++
			}
		}
	}
}

// slot is the entity of a unit: agents first, enemies from maxAllies on.
func (b *battle) slot(u int) int {
	if u < b.na {
		return u
	}
	return b.maxAllies + u - b.na
}

// role is Leader for the first agents (Leaders of them), in the order of lineUp. A leader that dies stays one.
func (b *battle) role(u int) uint8 {
	switch {
	case u >= b.na:
		return NonAgent
	case u < b.world.Leaders:
		return Leader
	}
	return Follower
}
