package battle

import "github.com/muster-marl/muster/pkg/env"

// Actions of an agent (SMAC, get_avail_agent_actions): FirstTarget + k attacks the enemy that k names or, of a
// healer, heals the ally.
const (
	NoOp = iota // of the dead and absent only
	Stop
	North
	South
	East
	West
	FirstTarget
)

// steps are the directions of North to West.
var steps = [4][2]float32{{0, 1}, {0, -1}, {1, 0}, {-1, 0}}

const (
	stride = 2 // cells to the goal of a move (SMAC, move_amount)
	probe  = 1 // cells ahead at which a move is tested (SMAC, can_move)
)

// canWalk says whether the cell ahead is on the map and no wall. SMAC asks this of flyers, too.
func (b *battle) canWalk(u, way int) bool {
	return b.field.enterable(b.x[u]+probe*steps[way][0], b.y[u]+probe*steps[way][1])
}

// mayOrder says whether u may be ordered to attack or heal v: alive, its centre in reach; a healer's patient is no
// flyer. Whether the weapon hits v's plane does not matter: SMAC allows useless orders, which just follow.
func (b *battle) mayOrder(u, v int) bool {
	k := &b.armory.kinds[b.kind[u]]
	if !b.alive[v] || k.attack == Heal && (u == v || !b.armory.versus(b.kind[u], b.kind[v]).can) {
		return false
	}
	dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
	return b.world.FreeAttacks || dx*dx+dy*dy <= k.command*k.command
}

// named returns the unit that agent u's action is about, or nobody.
func (b *battle) named(u, action int) int {
	k, of := action-FirstTarget, b.enemyWithTag
	if b.armory.kinds[b.kind[u]].attack == Heal {
		k, of = k-b.layout.firstHeal, b.allyWithTag
	}
	if k < 0 || k >= len(of) {
		return nobody
	}
	return int(of[k])
}

// available says whether a living agent may choose an action.
func (b *battle) available(u, action int) bool {
	switch {
	case action == Stop:
		return true
	case b.world.Mirror || action <= NoOp:
		return false
	case action < FirstTarget:
		return b.canWalk(u, action-North)
	}
	v := b.named(u, action)
	return v != nobody && b.mayOrder(u, v)
}

// orderAllies turns actions into orders. What is not available means to stop, and is counted; the dead do nothing.
func (b *battle) orderAllies(act []int32) {
	for i, a := range act[:b.maxAllies] {
		if i >= b.na || !b.alive[i] {
			if a != NoOp {
				b.totals[illegalActions]++
			}
			b.lastAction[i] = NoOp
			continue
		}
		action := int(a)
		if !b.available(i, action) {
			b.totals[illegalActions]++
			action = Stop
		}
		b.lastAction[i] = int32(action)
		switch {
		case b.world.Mirror:
			b.order[i] = hunt // with the target it has
		case action == Stop:
			b.order[i], b.target[i] = stop, nobody
		case action < FirstTarget:
			b.target[i] = nobody
			b.orderMove(i, action-North)
		default:
			b.order[i], b.target[i] = attack, int16(b.named(i, action))
		}
	}
}

func (b *battle) orderMove(u, way int) {
	b.order[u] = move
	b.goalX[u], b.goalY[u] = b.x[u]+stride*steps[way][0], b.y[u]+stride*steps[way][1]
}

// showAvail writes which actions are available; the squared distances must be up to date.
func (b *battle) showAvail(out *env.Step) {
	clear(out.Avail)
	n := b.layout.actions
	for i := range b.maxAllies {
		avail := out.Avail[i*n : (i+1)*n]
		if i >= b.na || !b.alive[i] {
			avail[NoOp] = true
			continue
		}
		avail[Stop] = true
		if b.world.Mirror {
			continue
		}
		for way := range steps {
			avail[North+way] = b.canWalk(i, way)
		}
		k := &b.armory.kinds[b.kind[i]]
		command2 := k.command * k.command
		if k.attack == Heal || b.world.FreeAttacks {
			for a := FirstTarget; a < n; a++ {
				avail[a] = b.available(i, a)
			}
			continue
		}
		d2 := b.distance2[i*b.n : (i+1)*b.n]
		for _, v := range b.living[b.livingAllies:] {
			if d2[v] <= command2 {
				avail[FirstTarget+int(b.tag[v])] = true
			}
		}
	}
}
