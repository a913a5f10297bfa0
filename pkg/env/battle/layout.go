package battle

import (
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// layout is where features stand. Widths follow SMAC's flat observation and state (starcraft2.py, get_obs_agent
// and get_state) and REFIL's entity rows (starcraft2custom.py). One-hot codes of types are in ascending order of
// Unit.ID on both sides; SMAC's own are reversed for allied stalkers and zealots.
type layout struct {
	actions   int
	firstHeal int // of actions that heal, counted from FirstTarget
	types     int
	typeCode  bool   // true = flat features have one-hot types: an army has several
	shields   [2]int // 1 if any unit of allies, of enemies has a shield

	enemy, ally, own int // widths of an observation's items
	stateAlly        int // widths of the state's items
	stateEnemy       int
	obs, state       int

	tags                           int // entity rows: tag 0 to tags−1, then
	avail, typ, hp, shield         int // shield −1 = none
	energy, cooldown, place, apart int
	entity                         int
}

func newLayout(b *battle) layout {
	w := &b.world
	var l layout
	kinds := [2][]uint8{b.roster.allies, b.roster.enemies}
	switch {
	case b.compositions != nil:
		kinds = [2][]uint8{b.familyKinds, b.familyKinds}
	case b.teamKinds != nil:
		kinds = [2][]uint8{b.teamKinds, b.teamKinds}
	}
	heals := false
	for army, some := range kinds {
		for _, k := range some {
			if b.armory.kinds[k].shield > 0 {
				l.shields[army] = 1
			}
			heals = heals || army == 0 && b.armory.kinds[k].attack == Heal
			l.typeCode = l.typeCode || k != some[0]
		}
	}
	l.types = len(b.armory.kinds)
	l.actions = FirstTarget + b.maxEnemies
	switch {
	case heals && w.RandomTags: // REFIL: heals are actions of their own
		l.firstHeal = b.maxEnemies
		l.actions += b.maxAllies
	case heals: // SMAC: they share those of attacks
		l.actions = FirstTarget + max(b.maxEnemies, b.maxAllies)
	}

	codes := 0
	if l.typeCode {
		codes = l.types
	}
	l.enemy = 5 + l.shields[1] + codes // attackable, distance, dx, dy, hp, shield, type
	l.ally = 5 + l.shields[0] + codes  // visible, distance, dx, dy, hp, shield, type, last action
	if w.LastAction {
		l.ally += l.actions
	}
	l.own = 1 + l.shields[0] + codes // hp, shield, place, type
	if w.OwnPosition {
		l.own += 2
	}
	l.obs = len(steps) + b.maxEnemies*l.enemy + (b.maxAllies-1)*l.ally + l.own
	l.stateAlly = 4 + l.shields[0] + codes  // hp, cooldown or energy, x, y, shield, type
	l.stateEnemy = 3 + l.shields[1] + codes // hp, x, y, shield, type
	l.state = b.maxAllies*l.stateAlly + b.maxEnemies*l.stateEnemy + b.maxAllies*l.actions

	l.tags = b.maxAllies + b.maxEnemies
	l.avail = l.tags
	l.typ = l.avail + l.actions - North // availability of the moves and all that follows
	l.hp = l.typ + l.types
	l.shield = -1
	next := l.hp + 1
	if slices.Max(l.shields[:]) > 0 {
		l.shield = next
		next++
	}
	l.energy, l.cooldown, l.place, l.apart = next, next+1, next+2, next+4
	l.entity = next + 6
	return l
}

func (l *layout) spec(b *battle) env.Spec {
	return env.Spec{
		Name: "battle/" + b.world.name(), Agents: b.maxAllies, Entities: b.maxAllies + b.maxEnemies, Actions: []int{l.actions},
		ObsDim: l.obs, StateDim: l.state, EntityDim: l.entity, Roles: NonAgent, MaxSteps: b.world.Limit, Metrics: slices.Clone(metrics),
	}
}
