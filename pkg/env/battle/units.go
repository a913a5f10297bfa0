package battle

import (
	"fmt"
	"math"
	"slices"
)

// Profile is the clock of a battle: which seconds the units' times are in, and whether weapons vary.
type Profile uint8

const (
	SC2  Profile = iota // StarCraft II's normal seconds; each shot adds −1, 0, 1 or 2 ticks to the cooldown
	Lite                // SMAClite's numbers, 1.4 times as fast, without that variation
)

var profiles = []string{"sc2", "lite"}

// Attack says what a unit does to what it attacks.
type Attack uint8

const (
	Single  Attack = iota // damages its target
	Line                  // damages all that touch a Length × Width rectangle across the line of fire at the target
	Suicide               // damages all within Splash of itself, and dies
	Heal                  // restores hp of units of its own army
)

var attacks = []string{"single", "line", "suicide", "heal"}

// Unit is a type of unit, as data. A second has 16 ticks; lengths are cells of the map.
type Unit struct {
	Name       string
	HP         float64
	Shield     float64  `json:",omitzero"` // absorbs damage before hp, without armor, and comes back
	Armor      float64  `json:",omitzero"` // taken off each hit on hp
	Damage     float64  `json:",omitzero"` // of one hit
	Hits       int      `json:",omitzero"` // in one attack
	Bonus      []Bonus  `json:",omitempty"`
	Cooldown   float64  `json:",omitzero"` // seconds from one attack to the next
	Range      float64  // of the weapon or of healing, from edge to edge
	Speed      float64  // cells per second
	Radius     float64  // of the circle that collides
	Sight      float64  // used where World.TypeRanges is set
	Scan       float64  // from the centre; what comes closer an attack-moving unit attacks
	Is         []string // "light", "armored", …: what a Bonus is against
	Air        bool     `json:",omitzero"` // flies: collides with flyers only and crosses every terrain
	HitsGround bool
	HitsAir    bool    `json:",omitzero"`
	Attack     Attack  `json:",omitzero"`
	Length     float64 `json:",omitzero"` // of a Line's rectangle
	Width      float64 `json:",omitzero"` // of a Line's rectangle
	Splash     float64 `json:",omitzero"` // of a Suicide: from its centre to its victims' edges
	Regen      float64 `json:",omitzero"` // hp per second
	ID         int     // StarCraft II's number of the type: the order of enemies and of one-hot codes
	AllyID     int     // SMAC's number of the passive copy that allies are: the order of agents
}

// Bonus is extra damage of each hit on units with an attribute.
type Bonus struct {
	Against string
	Damage  float64
}

// scan is how far attack-moving units look; a spine crawler looks twice as far (SMAClite,
// smaclite/env/units/unit_type.py and spine_crawler.json).
const scan = 5

// melee is the range of units that must touch their target (SMAClite, smaclite/env/units/unit_type.py).
const melee = 0.1

// Units returns the ten built-in types of a profile.
//
// SC2: StarCraft II's data files (BurnySc2/sc2-techtree, data/data.json), in normal seconds. Sight: SMACv2,
// unit_sight_range. AllyID: SMAC and REFIL, get_unit_type_by_name. A medivac's reach and a baneling's trigger
// are SMAClite's, because the data files have no weapon for them. A spine crawler is never an ally; it has no AllyID.
func Units(p Profile) []Unit {
	armored := func(d float64) []Bonus { return []Bonus{{"armored", d}} }
	light := func(d float64) []Bonus { return []Bonus{{"light", d}} }
	units := []Unit{
		{Name: "marine", HP: 45, Damage: 6, Hits: 1, Cooldown: 0.8608, Range: 5, Speed: 2.25, Radius: 0.375, Sight: 9,
			Is: []string{"light", "biological"}, HitsGround: true, HitsAir: true, ID: 48, AllyID: 1939},
		{Name: "marauder", HP: 125, Armor: 1, Damage: 10, Hits: 1, Bonus: armored(10), Cooldown: 1.5, Range: 6, Speed: 2.25, Radius: 0.5625, Sight: 10,
			Is: []string{"armored", "biological"}, HitsGround: true, ID: 51, AllyID: 1938},
		{Name: "medivac", HP: 150, Armor: 1, Range: 4, Speed: 2.5, Radius: 0.75, Sight: 11,
			Is: []string{"armored", "mechanical"}, Air: true, HitsGround: true, Attack: Heal, ID: 54, AllyID: 1940},
		{Name: "stalker", HP: 80, Shield: 80, Armor: 1, Damage: 13, Hits: 1, Bonus: armored(5), Cooldown: 1.8701, Range: 6, Speed: 2.9531, Radius: 0.625, Sight: 10,
			Is: []string{"armored", "mechanical"}, HitsGround: true, HitsAir: true, ID: 74, AllyID: 1941},
		{Name: "zealot", HP: 100, Shield: 50, Armor: 1, Damage: 8, Hits: 2, Cooldown: 1.2, Range: melee, Speed: 2.25, Radius: 0.5, Sight: 9,
			Is: []string{"light", "biological"}, HitsGround: true, ID: 73, AllyID: 1942},
		{Name: "colossus", HP: 200, Shield: 150, Armor: 1, Damage: 10, Hits: 2, Bonus: light(5), Cooldown: 1.5, Range: 7, Speed: 2.25, Radius: 1, Sight: 10,
			Is: []string{"armored", "mechanical", "massive"}, HitsGround: true, Attack: Line, Length: 2.8, Width: 0.3, ID: 4, AllyID: 1936}, // rectangle: SMAClite, colossus.json
		{Name: "zergling", HP: 35, Damage: 5, Hits: 1, Cooldown: 0.696, Range: melee, Speed: 2.9531, Radius: 0.375, Sight: 8,
			Is: []string{"light", "biological"}, HitsGround: true, Regen: 0.27, ID: 105, AllyID: 1943},
		{Name: "baneling", HP: 30, Damage: 20, Hits: 1, Bonus: light(15), Range: 0.25, Speed: 2.5, Radius: 0.375, Sight: 8,
			Is: []string{"biological"}, HitsGround: true, Attack: Suicide, Splash: 2.2, Regen: 0.27, ID: 9, AllyID: 1935},
		{Name: "hydralisk", HP: 90, Damage: 12, Hits: 1, Cooldown: 0.825, Range: 5, Speed: 2.25, Radius: 0.625, Sight: 9,
			Is: []string{"light", "biological"}, HitsGround: true, HitsAir: true, Regen: 0.27, ID: 107, AllyID: 1937},
		{Name: "spine crawler", HP: 300, Armor: 2, Damage: 25, Hits: 1, Bonus: armored(5), Cooldown: 1.8501, Range: 7, Radius: 1.125, Sight: 11, Scan: 2 * scan,
			Is: []string{"armored", "biological", "structure"}, HitsGround: true, Regen: 0.27, ID: 98},
	}
	for i := range units {
		if units[i].Scan == 0 {
			units[i].Scan = scan
		}
		if p == Lite {
			units[i] = lite(units[i])
		}
	}
	return units
}

// lite returns a built-in type with SMAClite's numbers where they differ (smaclite_units/*.json). It has no
// hydralisk: ours is StarCraft II's in faster seconds.
func lite(u Unit) Unit {
	faster := map[string][2]float64{ // cells per second, seconds between attacks
		"marine": {3.15, 0.61}, "marauder": {3.15, 1.07}, "medivac": {3.5, 0}, "stalker": {4.13, 1.34}, "zealot": {3.15, 0.86},
		"colossus": {3.15, 1.07}, "zergling": {4.13, 0.497}, "baneling": {3.15, 1}, "hydralisk": {3.15, 0.59}, "spine crawler": {0, 1.32},
	}[u.Name]
	u.Speed, u.Cooldown, u.Sight = faster[0], faster[1], 9
	if u.Regen > 0 {
		u.Regen = 0.38
	}
	switch u.Name {
	case "baneling":
		u.Damage, u.Bonus = 80, nil
	case "spine crawler":
		u.Radius = 0.5
	}
	return u
}

// validate returns an error that names the first number that cannot be.
func (u Unit) validate() error {
	if u.Name == "" {
		return fmt.Errorf("battle: a unit has no name, want one such as \"marine\"")
	}
	for _, c := range []struct {
		field       string
		value       float64
		least, most float64
	}{
		{"HP", u.HP, 1, 1e6}, {"Shield", u.Shield, 0, 1e6}, {"Armor", u.Armor, 0, 1e6}, {"Damage", u.Damage, 0, 1e6}, {"Hits", float64(u.Hits), 0, 100},
		{"Cooldown", u.Cooldown, 0, 1000}, {"Range", u.Range, 0, 100}, {"Speed", u.Speed, 0, 100}, {"Radius", u.Radius, 0.05, 10}, {"Sight", u.Sight, 0, 1000},
		{"Scan", u.Scan, 0, 1000}, {"Attack", float64(u.Attack), 0, float64(len(attacks) - 1)}, {"Length", u.Length, 0, 100}, {"Width", u.Width, 0, 100},
		{"Splash", u.Splash, 0, 100}, {"Regen", u.Regen, 0, 1e6}, {"ID", float64(u.ID), 0, 1e6}, {"AllyID", float64(u.AllyID), 0, 1e6},
	} {
		if !(c.value >= c.least && c.value <= c.most) { // also NaN
			return fmt.Errorf("battle: unit %q: %s is %v, want %v to %v", u.Name, c.field, c.value, c.least, c.most)
		}
	}
	for _, b := range u.Bonus {
		if !(b.Damage >= 0 && b.Damage <= 1e6) || b.Against == "" {
			return fmt.Errorf("battle: unit %q: a Bonus of %v against %q, want 0 to 1e6 against an attribute such as \"armored\"", u.Name, b.Damage, b.Against)
		}
	}
	return nil
}

// ticksPerSecond holds for both profiles: what differs is the second (PySC2, docs/environment.md; SMAClite, unit.py).
const ticksPerSecond = 16

// kind is a Unit made ready: float32, ticks instead of seconds.
type kind struct {
	hp, shield, armor float32
	radius, speed     float32 // cells, cells per tick
	cooldown, longest float32 // ticks from one attack to the next; with the greatest jitter
	sight, command    float32 // how far it sees, and how far it may be ordered to attack, from centre to centre
	regen             float32 // hp per tick
	halfLength        float32 // of a line's rectangle
	halfWidth         float32
	splash            float32
	hits              int
	attack            Attack
	air               bool
	id, allyID        int
}

// versus is what one kind does to another.
type versus struct {
	damage float32 // of one hit, with the bonus, before armor
	reach2 float32 // squared distance of centres within which the weapon reaches
	scan2  float32 // squared distance of centres below which an attack-moving unit takes notice
	can    bool    // the weapon hits this plane
}

// armory holds the kinds of a world and what each does to each.
type armory struct {
	kinds []kind
	names []string
	pairs []versus // [attacker][target]
}

func (a *armory) versus(attacker, target uint8) *versus {
	return &a.pairs[int(attacker)*len(a.kinds)+int(target)]
}

func newArmory(w *World, units []Unit) *armory {
	a := &armory{pairs: make([]versus, 0, len(units)*len(units))}
	jitter := 0.0
	if w.Profile == SC2 {
		jitter = maxJitter
	}
	for _, u := range units {
		k := kind{
			hp: float32(u.HP), shield: float32(u.Shield), armor: float32(u.Armor),
			radius: float32(u.Radius), speed: float32(u.Speed / ticksPerSecond),
			cooldown: float32(u.Cooldown * ticksPerSecond), longest: float32(u.Cooldown*ticksPerSecond + jitter),
			sight: float32(w.Sight), command: float32(w.Reach), regen: float32(u.Regen / ticksPerSecond),
			halfLength: float32(u.Length / 2), halfWidth: float32(u.Width / 2), splash: float32(u.Splash),
			hits: u.Hits, attack: u.Attack, air: u.Air, id: u.ID, allyID: u.AllyID,
		}
		if w.TypeRanges {
			k.sight, k.command = float32(u.Sight), float32(math.Max(u.Range, leastReach))
		}
		a.kinds, a.names = append(a.kinds, k), append(a.names, u.Name)
		for _, v := range units {
			damage := u.Damage
			for _, b := range u.Bonus {
				if slices.Contains(v.Is, b.Against) {
					damage += b.Damage
				}
			}
			reach, notice := float32(u.Range)+float32(u.Radius)+float32(v.Radius), float32(u.Scan)+float32(v.Radius)
			a.pairs = append(a.pairs, versus{
				damage: float32(damage), reach2: reach * reach, scan2: notice * notice,
				can: v.Air && u.HitsAir || !v.Air && u.HitsGround,
			})
		}
	}
	return a
}
