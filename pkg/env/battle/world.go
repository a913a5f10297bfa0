// Package battle is micromanagement by the rules of SMAC, without StarCraft: M. Samvelyan et al., "The
// StarCraft Multi-Agent Challenge", AAMAS 2019. Map returns its 23 maps; SZ, CSZ and MMM the families of
// S. Iqbal et al., "Randomized Entity-wise Factorization for Multi-Agent Reinforcement Learning", ICML 2021, with
// teams of many sizes; Random the random teams of SMACv2 (B. Ellis et al., NeurIPS 2023).
//
// The engine is closed, so its rules are re-told here: combat after SMAClite (A. Michalski, F. Christianos and
// S. Albrecht, 2023), collision and what the sources leave open as docs/worlds/battle.md says. Missing: projectiles,
// turn rates, acceleration, cliffs that colossi cross, fields of view narrower than a circle.
package battle

import (
	"fmt"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

// World holds the constants of a battle. Take one from Map, SZ, CSZ, MMM, Random, Open or Load and change
// fields. The armies are either fixed (Allies, Enemies) or drawn for each episode (Family or Teams).
type World struct {
	Name    string  // of the scenario: "2s3z"
	Profile Profile // the clock
	Limit   int     // environment steps of an episode, each of 8 ticks

	Width, Height int      // cells
	Terrain       []string `json:",omitempty"` // Height rows of Width cells, north first; '#' stops ground units; nil = open

	Allies, Enemies []Group `json:",omitempty"`
	Family          Family  `json:",omitzero"`
	Teams           Teams   `json:",omitzero"`
	Sizes           []int   `json:",omitempty"` // of a Family: numbers of allies that episodes draw from; nil = all
	Composition     []int   `json:",omitempty"` // of a Family: the one army that is played, a count for each of its types
	Units           []Unit  `json:",omitempty"` // types beside the built-in ones; the same name replaces

	Enemy       Enemy   // who commands the enemy
	Epsilon     float64 `json:",omitzero"`  // chance that an enemy follows a random order in an environment step
	AttackPoint *Point  `json:",omitempty"` // where the enemy walks to; nil = the middle of the allies at the start
	Mirror      bool    `json:",omitzero"`  // true = the allies fight like the enemy, and their actions do not count

	Leaders     int     // agents with the role of a leader: the first ones
	Sight       float64 // distance of centres at which an agent sees
	Reach       float64 // distance of centres at which an agent may be ordered to attack or heal
	TypeRanges  bool    `json:",omitzero"` // true = Sight is each type's, Reach is its weapon's, at least 2 (SMACv2)
	OwnPosition bool    `json:",omitzero"` // true = Obs has the agent's position (SMACv2)
	LastAction  bool    `json:",omitzero"` // true = Obs has the last actions of the comrades in sight
	RandomTags  bool    `json:",omitzero"` // true = actions 6 + tag name their targets by tags drawn anew in each episode (REFIL)
	Miss        float64 `json:",omitzero"` // chance that an agent cannot see an enemy whom a comrade saw first (SMACv2's EPO: 1 − prob_obs_enemy)
	FreeAttacks bool    `json:",omitzero"` // true = attacks may be ordered at any distance (EPO: action_mask False)

	Reward       Reward
	CountLosses  bool `json:",omitzero"` // true = losses of allies cost half of what the enemy's pay; otherwise pay is never negative
	EpisodeScale bool `json:",omitzero"` // true = pay is scaled by the episode's enemy, not by the family's largest
}

// Point is a place on the map; (0, 0) is its south-west corner, y grows northwards.
type Point struct{ X, Y float64 }

// Group is units that start around a point.
type Group struct {
	X, Y  float64
	Units []Count
}

// Count is some units of a type.
type Count struct {
	Unit string
	N    int
}

// Enemy says who commands the enemy.
type Enemy uint8

const (
	AttackMove Enemy = iota // SMAClite's model of the engine's own attack-move
	Nearest                 // JaxMARL's SMAX heuristic, from what each unit sees: attacks the nearest
	Anyone                  // the same, attacks a random one
)

var enemies = []string{"attackmove", "smax", "smax-random"}

// Reward says what the team is paid for.
type Reward uint8

const (
	Change Reward = iota // SMAC: the absolute change of the enemy's hp and shields, kills and the win; regeneration pays, too
	Damage               // damage done, kills and the win
	Sparse               // 1 for a win, −1 for a loss
)

var rewards = []string{"smac", "damage", "sparse"}

const (
	sightRange = 9   // SMAC, unit_sight_range
	reach      = 6   // SMAC, unit_shoot_range, the same for all types
	leastReach = 2   // SMACv2, min_attack_range
	side       = 32  // cells of a map (SMAClite, maps/map.py); the size of REFIL's empty map is not documented
	mostUnits  = 128 // of an army
)

// Open returns a world without armies on open ground, 32 × 32 cells, in which an episode has at most limit steps:
// the beginning of a scenario of one's own.
func Open(name string, limit int) World {
	return World{Name: name, Limit: limit, Width: side, Height: side, Sight: sightRange, Reach: reach}
}

// WithProfile returns w with another clock.
func (w World) WithProfile(p Profile) World {
	w.Profile = p
	return w
}

// WithSizes returns a family's w in which episodes have one of these numbers of allies. The sizes of the
// environment stay.
func (w World) WithSizes(sizes ...int) World {
	w.Sizes = sizes
	return w
}

// WithLeaders returns w with n leaders.
func (w World) WithLeaders(n int) World {
	w.Leaders = n
	return w
}

// New returns a battle, or an error naming the first constant that cannot be.
func (w World) New() (env.Env, error) { return w.build() }

func (w World) build() (*battle, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	units, err := w.units()
	if err != nil {
		return nil, err
	}
	b := newBattle(w, units)
	return b, b.fits()
}

// Metrics of a battle, totals since the episode began: dead units, and actions that were not available when the
// environment was stepped without a Vec, which refuses them.
var metrics = []string{"dead_allies", "dead_enemies", "illegal_actions"}

const (
	deadAllies = iota
	deadEnemies
	illegalActions
)

// Roles of entities (Step.Role).
const (
	Leader   = 1 + iota // an agent that leads
	Follower            // any other agent
	NonAgent            // an enemy
)

// name is the scenario's, with what makes episodes others: "sz-3-5-l2-lite".
func (w World) name() string {
	name := w.Name
	if k := len(w.Sizes); k > 0 && w.Composition == nil {
		name += fmt.Sprintf("-%d", slices.Min(w.Sizes))
		if hi := slices.Max(w.Sizes); hi > slices.Min(w.Sizes) {
			name += fmt.Sprintf("-%d", hi)
		}
	}
	for i, n := range w.Composition {
		if i == 0 {
			name += "-"
		} else {
			name += "+"
		}
		name += fmt.Sprint(n)
	}
	if w.Leaders > 0 {
		name += fmt.Sprintf("-l%d", w.Leaders)
	}
	if w.Profile != SC2 {
		name += "-" + w.Profile.String()
	}
	return name
}

// units returns the types that occur in w, in the order of one-hot codes: ascending ID.
func (w World) units() ([]Unit, error) {
	all := Units(w.Profile)
	for _, u := range w.Units {
		if err := u.validate(); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(v Unit) bool { return v.Name == u.Name }); i >= 0 {
			all[i] = u
		} else {
			all = append(all, u)
		}
	}
	var names []string
	for _, g := range slices.Concat(w.Allies, w.Enemies) {
		for _, c := range g.Units {
			names = append(names, c.Unit)
		}
	}
	names = append(names, w.Family.types()...)
	for _, c := range w.Teams.Units {
		names = append(names, c.Unit)
	}
	var used []Unit
	for _, name := range names {
		i := slices.IndexFunc(all, func(v Unit) bool { return v.Name == name })
		if i < 0 {
			known := make([]string, len(all))
			for k, u := range all {
				known[k] = u.Name
			}
			return nil, fmt.Errorf("battle: %s has no unit %q; the nearest is %q", w.Name, name, nearest(name, known))
		}
		if !slices.ContainsFunc(used, func(v Unit) bool { return v.Name == name }) {
			used = append(used, all[i])
		}
	}
	slices.SortStableFunc(used, func(a, b Unit) int { return a.ID - b.ID })
	return used, nil
}
