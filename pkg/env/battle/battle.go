package battle

import (
	"math/rand/v2"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// ticksPerStep is how long an order holds (SMAC, step_mul).
const ticksPerStep = 8

// battle is one environment.
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
	fullPay      float32 // what SMAC calls the maximal reward; with EpisodeScale the episode's

	rand   *rand.Rand
	steps  int
	now    int32 // ticks since the beginning
	judged judgement
	totals [3]float32 // metrics
	dealt  float32    // damage done to enemies in this step
	shots  []shot

	units
	crowd crowd
	sight
	acting []int   // scratch of fight
	aims   []int16 // of chooseTargets
	drawn  []uint8 // of the draws at the beginning
}

type judgement struct {
	over, terminated, truncated bool
	outcome                     env.Outcome
}

// shot is an attack, or the begin of healing, in the last step.
type shot struct {
	from, to int16
	tick     int32 // of the episode
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
	b.units, b.sight, b.crowd = newUnits(allies, enemies), newSight(allies, enemies), newCrowd(n)
	b.shots = make([]shot, 0, ticksPerStep*n)
	b.acting, b.aims, b.drawn = make([]int, 0, n), make([]int16, n), make([]uint8, 0, n)
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
