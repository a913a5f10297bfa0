package battle

import (
	"fmt"
	"math"
	"slices"
)

// Teams is armies whose units and places are drawn anew in each episode (SMACv2, env/starcraft2/distributions.py
// and examples/configs): units independently; the enemy has the same and, if it is larger, more of them.
type Teams struct {
	Units           []Chance
	Allies, Enemies int
	Reflect         float64 // chance that the armies start as mirror images; otherwise the allies are surrounded
}

// Chance is how likely a unit is of a type.
type Chance struct {
	Unit  string
	P     float64
	Alone bool // true = a team may consist of this type only
}

var races = map[string][]Chance{
	"protoss": {{"stalker", 0.45, true}, {"zealot", 0.45, true}, {"colossus", 0.1, true}},
	"terran":  {{"marine", 0.45, true}, {"marauder", 0.45, true}, {"medivac", 0.1, false}},
	"zerg":    {{"zergling", 0.45, true}, {"hydralisk", 0.45, true}, {"baneling", 0.1, false}},
}

// Random returns one of SMACv2's scenarios: "protoss_5_vs_5", "terran_10_vs_11", …. New refuses other names and
// says which is nearest.
func Random(name string) World {
	for _, race := range []string{"protoss", "terran", "zerg"} {
		for _, n := range teamSizes {
			if name != teamName(race, n) {
				continue
			}
			w := Open(name, 200) // limit: examples/configs
			w.Teams = Teams{Units: slices.Clone(races[race]), Allies: n[0], Enemies: n[1], Reflect: 0.5}
			w.TypeRanges, w.OwnPosition, w.EpisodeScale = true, true, true
			return w
		}
	}
	return World{Name: name}
}

var teamSizes = [][2]int{{5, 5}, {10, 10}, {20, 20}, {10, 11}, {20, 23}}

func teamName(race string, n [2]int) string { return fmt.Sprintf("%s_%d_vs_%d", race, n[0], n[1]) }

// RandomNames returns the names that Random knows.
func RandomNames() []string {
	var names []string
	for _, race := range []string{"protoss", "terran", "zerg"} {
		for _, n := range teamSizes {
			names = append(names, teamName(race, n))
		}
	}
	return names
}

func (w World) validateTeams() error {
	t := w.Teams
	if t.Allies < 1 || t.Allies > mostUnits || t.Enemies < 1 || t.Enemies > mostUnits {
		return fmt.Errorf("battle: %s: Teams has %d allies and %d enemies, want 1 to %d each", w.Name, t.Allies, t.Enemies, mostUnits)
	}
	if !(t.Reflect >= 0 && t.Reflect <= 1) {
		return fmt.Errorf("battle: %s: Teams.Reflect is %v, want 0 to 1", w.Name, t.Reflect)
	}
	sum, alone := 0.0, 0.0
	for _, c := range t.Units {
		if !(c.P >= 0 && c.P <= 1) {
			return fmt.Errorf("battle: %s: Teams draws unit %q with chance %v, want 0 to 1", w.Name, c.Unit, c.P)
		}
		sum += c.P
		if c.Alone {
			alone += c.P
		}
	}
	if math.Abs(sum-1) > 1e-9 || alone < 0.01 {
		return fmt.Errorf("battle: %s: the chances of Teams sum to %v, and %v of that may be alone, want 1 and at least 0.01", w.Name, sum, alone)
	}
	if least := 12; min(w.Width, w.Height) < least {
		return fmt.Errorf("battle: %s: the map is %d × %d cells, want at least %d each way to surround a team", w.Name, w.Width, w.Height, least)
	}
	return nil
}

// drawTeams draws who fights, and where they start.
func (b *battle) drawTeams() {
	t := &b.world.Teams
	allies := b.drawTeam(b.drawn[:0], t.Allies)
	enemies := append(allies, allies[:min(t.Allies, t.Enemies)]...)
	if t.Enemies > t.Allies {
		enemies = b.drawTeam(enemies, t.Enemies-t.Allies)
	}
	enemies = enemies[len(allies):]
	if b.rand.Float64() < t.Reflect {
		b.reflect(allies, enemies)
	} else {
		b.surround(allies, enemies)
	}
}

// drawTeam appends n kinds to team; those that may not be alone are drawn again if they are.
func (b *battle) drawTeam(team []uint8, n int) []uint8 {
	begin := len(team)
	for {
		alone := false
		for range n {
			u, i := b.rand.Float64(), 0
			for ; i < len(b.world.Teams.Units)-1; i++ {
				if u -= b.world.Teams.Units[i].P; u < 0 {
					break
				}
			}
			alone = alone || b.world.Teams.Units[i].Alone
			team = append(team, b.teamKinds[i])
		}
		if alone {
			return team
		}
		team = team[:begin]
	}
}

// reflect places the allies in the western half but for its last cell, each enemy as the image of an ally in the
// vertical midline, and further enemies in the eastern half.
func (b *battle) reflect(allies, enemies []uint8) {
	w, h := float64(b.world.Width), float64(b.world.Height)
	for _, k := range allies {
		b.enlist(k, float32(b.rand.Float64()*(w/2-1)), float32(b.rand.Float64()*h))
	}
	b.na = b.n
	for i, k := range enemies {
		if i < b.na {
			b.enlist(k, float32(w)-b.x[i], b.y[i])
		} else {
			b.enlist(k, float32(w/2+b.rand.Float64()*w/2), float32(b.rand.Float64()*h))
		}
	}
}

// surround places the allies in the middle and one to four groups of enemies on as many diagonals, each somewhere
// between 2 cells each way from the middle and the corner.
func (b *battle) surround(allies, enemies []uint8) {
	const fromMiddle = 2
	w, h := float64(b.world.Width), float64(b.world.Height)
	b.enlistTeam(allies, w/2, h/2)
	b.na = b.n
	groups := 1 + b.rand.IntN(4)
	corners := [4]int{0, 1, 2, 3}
	for i := range corners {
		j := i + b.rand.IntN(len(corners)-i)
		corners[i], corners[j] = corners[j], corners[i]
	}
	var size [4]int
	for range enemies {
		size[b.rand.IntN(groups)]++
	}
	for g := range groups {
		cx, cy := float64(corners[g]&1), float64(corners[g]>>1)
		t := b.rand.Float64()
		x := t*(w/2+fromMiddle*(2*cx-1)) + (1-t)*cx*w
		y := t*(h/2+fromMiddle*(2*cy-1)) + (1-t)*cy*h
		b.enlistTeam(enemies[:size[g]], x, y)
		enemies = enemies[size[g]:]
	}
}
