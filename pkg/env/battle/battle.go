package battle

import (
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// ticksPerStep is how long an order holds (SMAC, step_mul).
const ticksPerStep = 8

// order is what a unit does until the next environment step.
type order uint8

const (
	stop   order = iota
	move         // walk to the goal
	attack       // attack or heal the target, wherever it is
	hunt         // attack-move: attack what comes near, otherwise walk to the goal
)

const nobody = -1

// battle is one environment. Units have an index for the episode: the allies 0 to na−1, who are the agents, then
// the enemies to n−1. Everything about them lies in arrays by that index.
type battle struct {
	world        World
	spec         env.Spec
	armory       *armory
	field        field
	layout       layout
	roster       roster
	compositions [][]int
	familyKinds  []uint8 // kind of each type of the family
	teamKinds    []uint8 // kind of each type of the teams
	maxAllies    int     // slots
	maxEnemies   int
	fullPay      float32 // what SMAC calls the maximal reward; of EpisodeScale, the episode's

	rand   *rand.Rand
	na, n  int
	steps  int
	now    int32 // ticks since the beginning
	judged judgement

	kind   []uint8
	alive  []bool
	x, y   []float32 // centres
	oldX   []float32 // before this tick, where there are walls
	oldY   []float32
	vx, vy []float32 // cells per tick that the order asks for
	hp     []float32
	shield []float32
	energy []float32 // of healers
	ready  []float32 // tick from which the weapon can be used again
	struck []int32   // tick of the last damage taken
	order  []order
	target []int16 // whom it attacks or heals; nobody
	goalX  []float32
	goalY  []float32
	fires  []bool  // true = in range at the start of this tick, so it stands and acts
	heals  []int16 // the patient of the last tick; nobody
	tag    []uint8 // by which orders name it

	living       []int // in ascending order
	livingAllies int
	fighters     [2]int // alive, of allies and enemies
	healers      [2]int // alive
	enemyWithTag []int16
	allyWithTag  []int16    // tag − maxEnemies
	lastAction   []int32    // [agent]; nobody before the first step
	attackX      [2]float32 // where units that hunt walk to: of allies, of enemies
	attackY      [2]float32
	startX       []float32 // for the SMAX heuristic
	startY       []float32
	shots        []shot
	totals       [3]float32 // metrics
	dealt        float32    // damage done to enemies in this step
	crowd        crowd
	fastest      float32 // cells that anybody walks in a tick, at most
	acting       []int
	drawn        []uint8
	aims         []int16
	distance2    []float32 // [agent][unit] between the living, squared, when features are written
	hpPart       []float32 // of the full hp, likewise
	shieldPart   []float32
	nothingSeen  []bool // [agent][entity], all true
	present      []bool // [entity] of this episode
	roles        []uint8
	holder       []int16 // [enemy]: the agent that saw it first (Miss)
	blind        []bool  // [agent][enemy] (Miss)
	dirty        bool    // somebody died in this tick
}

// shot is an attack or the begin of healing in the last step, for drawing.
type shot struct {
	from, to int16
	tick     int32 // of the episode
}

type judgement struct {
	over, terminated, truncated bool
	outcome                     env.Outcome
}

func newBattle(w World, units []Unit) *battle {
	b := &battle{world: w, armory: newArmory(&w, units), field: newField(&w), judged: judgement{over: true, truncated: true, outcome: env.TimeOut}}
	b.roster = newRoster(&w, units)
	find := func(name string) uint8 { return uint8(slices.Index(b.armory.names, name)) }
	if types := w.Family.types(); types != nil {
		b.compositions = w.Compositions()
		for _, name := range types {
			b.familyKinds = append(b.familyKinds, find(name))
		}
	}
	for _, c := range w.Teams.Units {
		b.teamKinds = append(b.teamKinds, find(c.Unit))
	}
	b.maxAllies, b.maxEnemies = w.slots()
	b.layout = newLayout(b)
	b.spec = b.layout.spec(b)
	b.fullPay = b.mostPay()
	b.makeRoom(b.maxAllies, b.maxEnemies)
	return b
}

// slots are the numbers of allies and enemies that there is room for.
func (w *World) slots() (allies, enemies int) {
	if w.Family.types() != nil {
		return w.Family.mostAllies(), w.Family.mostEnemies()
	}
	if len(w.Teams.Units) > 0 {
		return w.Teams.Allies, w.Teams.Enemies
	}
	count := func(groups []Group) (n int) {
		for _, g := range groups {
			for _, c := range g.Units {
				n += c.N
			}
		}
		return n
	}
	return count(w.Allies), count(w.Enemies)
}

func (b *battle) makeRoom(allies, enemies int) {
	n := allies + enemies
	b.kind, b.alive, b.tag, b.drawn = make([]uint8, n), make([]bool, n), make([]uint8, n), make([]uint8, 0, n)
	for _, f := range []*[]float32{&b.x, &b.y, &b.oldX, &b.oldY, &b.vx, &b.vy, &b.hp, &b.shield, &b.energy, &b.ready, &b.goalX, &b.goalY, &b.startX, &b.startY, &b.hpPart, &b.shieldPart} {
		*f = make([]float32, n)
	}
	b.struck, b.order, b.fires = make([]int32, n), make([]order, n), make([]bool, n)
	b.target, b.heals, b.aims = make([]int16, n), make([]int16, n), make([]int16, n)
	b.living, b.acting = make([]int, 0, n), make([]int, 0, n)
	b.enemyWithTag, b.allyWithTag, b.lastAction = make([]int16, enemies), make([]int16, allies), make([]int32, allies)
	b.shots = make([]shot, 0, ticksPerStep*n)
	b.distance2, b.nothingSeen = make([]float32, allies*n), slices.Repeat([]bool{true}, allies*n)
	b.present, b.roles = make([]bool, n), make([]uint8, n)
	b.holder, b.blind = make([]int16, enemies), make([]bool, allies*enemies)
	b.crowd = newCrowd(n)
}

// Spec returns the sizes.
func (b *battle) Spec() env.Spec { return b.spec }

// Reset draws the armies and places them.
func (b *battle) Reset(ep env.Episode, out *env.Step) {
	b.rand = ep.Rand
	b.steps, b.now, b.judged, b.totals = 0, 0, judgement{}, [3]float32{}
	b.shots = b.shots[:0]
	b.enlistAll()
	b.settle()
	b.lineUp()
	b.drawTags()
	b.makeReady()
	b.show(out)
}

// Step carries out one joint action: orders, eight ticks, pay, verdict. After the end nothing moves any more.
func (b *battle) Step(act env.Actions, out *env.Step) {
	if !b.judged.over {
		b.shots, b.dealt = b.shots[:0], 0
		before := b.strength()
		b.orderAllies(act.Discrete)
		b.orderEnemies()
		for range ticksPerStep {
			b.playTick()
		}
		b.steps++
		b.judge()
		b.pay(out, before)
	}
	b.show(out)
}

// judge decides whether the battle is over. A healer cannot win: an army of healers only has lost (REFIL,
// only_medivac_left). The clock ends a battle that nobody has won.
func (b *battle) judge() {
	j := &b.judged
	switch {
	case b.fighters[0] == 0 && b.fighters[1] == 0 && len(b.living) == 0:
		*j = judgement{over: true, terminated: true, outcome: env.Draw}
	case b.fighters[0] == 0:
		*j = judgement{over: true, terminated: true, outcome: env.Loss}
	case b.fighters[1] == 0:
		*j = judgement{over: true, terminated: true, outcome: env.Win}
	case b.steps >= b.world.Limit:
		*j = judgement{over: true, truncated: true, outcome: env.TimeOut}
	}
}

// die removes a unit from the battle; it keeps its place for features.
func (b *battle) die(u int) {
	b.alive[u], b.hp[u], b.shield[u], b.fires[u], b.dirty = false, 0, 0, false, true
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
	b.dirty = false
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
