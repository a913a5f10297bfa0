package battle

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+-]{0,99}$`)

func (w World) validate() error {
	if w.Name == "" {
		return fmt.Errorf("battle: Name is empty, want one such as \"2s3z\"")
	}
	drawn := 0
	for _, some := range []bool{len(w.Allies)+len(w.Enemies) > 0, w.Family.types() != nil, len(w.Teams.Units) > 0} {
		if some {
			drawn++
		}
	}
	switch {
	case drawn == 0 && w.Limit == 0:
		return fmt.Errorf("battle: there is no map %q; the nearest is %q", w.Name, nearest(w.Name, allNames()))
	case drawn != 1:
		return fmt.Errorf("battle: %s has %d kinds of armies, want one of Allies and Enemies, Family, Teams", w.Name, drawn)
	case !plainName.MatchString(w.Name):
		return fmt.Errorf("battle: Name is %.100q, want letters, digits, '_', '+', '-': it names directories", w.Name)
	}
	for _, c := range []struct {
		name        string
		value       float64
		least, most float64
	}{
		{"Profile", float64(w.Profile), 0, float64(len(profiles) - 1)},
		{"Limit", float64(w.Limit), 1, 100_000},
		{"Width", float64(w.Width), 2, 256},
		{"Height", float64(w.Height), 2, 256},
		{"Enemy", float64(w.Enemy), 0, float64(len(enemies) - 1)},
		{"Reward", float64(w.Reward), 0, float64(len(rewards) - 1)},
		{"Epsilon", w.Epsilon, 0, 1},
		{"Miss", w.Miss, 0, 1},
		{"Sight", w.Sight, 0.1, 1000},
		{"Reach", w.Reach, 0.1, 1000},
		{"len(Units)", float64(len(w.Units)), 0, 100},
	} {
		if !(c.value >= c.least && c.value <= c.most) { // also NaN
			return fmt.Errorf("battle: %s: %s is %v, want %v to %v", w.Name, c.name, c.value, c.least, c.most)
		}
	}
	if p := w.AttackPoint; p != nil && !(p.X >= 0 && p.X <= float64(w.Width) && p.Y >= 0 && p.Y <= float64(w.Height)) {
		return fmt.Errorf("battle: %s: AttackPoint is (%v, %v), want a point of the %d × %d map", w.Name, p.X, p.Y, w.Width, w.Height)
	}
	if err := w.validateTerrain(); err != nil {
		return err
	}
	if w.Family.types() == nil && (w.Sizes != nil || w.Composition != nil) {
		return fmt.Errorf("battle: %s: Sizes and Composition are for families, want none", w.Name)
	}
	var err error
	switch {
	case w.Family.types() != nil:
		err = w.validateFamily()
	case len(w.Teams.Units) > 0:
		err = w.validateTeams()
	default:
		err = w.validateArmies()
	}
	if err != nil {
		return err
	}
	if n := w.fewestAllies(); w.Leaders < 0 || w.Leaders > mostLeaders(n) {
		return fmt.Errorf("battle: %s: Leaders is %d where %d allies may fight, want 0 to %d: no more leaders than followers, or %d",
			w.Name, w.Leaders, n, mostLeaders(n), leastLeaders)
	}
	return nil
}

func (w World) validateTerrain() error {
	if w.Terrain == nil {
		return nil
	}
	if len(w.Terrain) != w.Height {
		return fmt.Errorf("battle: %s: Terrain has %d rows, want Height, %d", w.Name, len(w.Terrain), w.Height)
	}
	for i, row := range w.Terrain {
		if len(row) != w.Width || strings.Trim(row, ".#") != "" {
			return fmt.Errorf("battle: %s: row %d of Terrain is %q, want Width, %d, cells: '.' or '#'", w.Name, i, row, w.Width)
		}
	}
	if len(w.Allies) == 0 {
		return fmt.Errorf("battle: %s: Terrain is for fixed armies: those drawn start anywhere", w.Name)
	}
	return nil
}

// validateArmies checks fixed armies.
func (w World) validateArmies() error {
	for _, army := range []struct {
		name   string
		groups []Group
	}{{"Allies", w.Allies}, {"Enemies", w.Enemies}} {
		n := 0
		for _, g := range army.groups {
			if !(g.X >= 0 && g.X <= float64(w.Width) && g.Y >= 0 && g.Y <= float64(w.Height)) {
				return fmt.Errorf("battle: %s: a group of %s starts at (%v, %v), want a point of the %d × %d map", w.Name, army.name, g.X, g.Y, w.Width, w.Height)
			}
			for _, c := range g.Units {
				if c.N < 1 || c.N > mostUnits {
					return fmt.Errorf("battle: %s: %s has %d of unit %q, want 1 to %d", w.Name, army.name, c.N, c.Unit, mostUnits)
				}
				n += c.N
			}
		}
		if n < 1 || n > mostUnits {
			return fmt.Errorf("battle: %s: %s has %d units, want 1 to %d", w.Name, army.name, n, mostUnits)
		}
	}
	return nil
}

// fits returns an error if an army cannot fight, or its units cannot stand where they start.
func (b *battle) fits() error {
	w := &b.world
	for _, army := range []struct {
		name  string
		kinds []uint8
	}{{"Allies", b.roster.allies}, {"Enemies", b.roster.enemies}} {
		fighters := 0
		for _, k := range army.kinds {
			if b.armory.kinds[k].attack != Heal {
				fighters++
			}
		}
		if len(army.kinds) > 0 && fighters == 0 {
			return fmt.Errorf("battle: %s: %s has healers only, want a unit that fights", w.Name, army.name)
		}
	}
	for _, c := range b.compositions {
		fighters := 0
		for t, n := range c {
			if b.armory.kinds[b.familyKinds[t]].attack != Heal {
				fighters += n
			}
		}
		if fighters <= w.Family.Fewer {
			return fmt.Errorf("battle: %s: the composition %v of %v has healers only, want a unit that fights", w.Name, c, w.Family.types())
		}
	}
	widest := float32(0)
	for _, k := range b.armory.kinds {
		widest = max(widest, k.radius)
	}
	if least := 2 * float64(widest); float64(min(w.Width, w.Height)) < least {
		return fmt.Errorf("battle: %s: the map is %d × %d cells, want at least %v each way for its widest unit", w.Name, w.Width, w.Height, math.Ceil(least))
	}
	for i, p := range b.roster.at {
		k := &b.armory.kinds[b.roster.kindOf(i)]
		x, y := float32(p.X), float32(p.Y)
		if x < k.radius || y < k.radius || x > float32(w.Width)-k.radius || y > float32(w.Height)-k.radius || !k.air && b.field.blocked(x, y) {
			return fmt.Errorf("battle: %s: a %s would start at (%.2f, %.2f), where it has no room on the %d × %d map",
				w.Name, b.armory.names[b.roster.kindOf(i)], x, y, w.Width, w.Height)
		}
	}
	return nil
}

// nearest returns the name that is least edits away from what was asked for.
func nearest(asked string, names []string) string {
	best, least := "", math.MaxInt
	for _, name := range names {
		if d := edits(strings.ToLower(asked), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
