package battle

import (
	"fmt"
	"math"
	"slices"
)

// Family is symmetric battles of many sizes: each episode draws one of all armies (compositions) that the
// counts allow, uniformly, for both sides (REFIL, envs/starcraft2/custom_scenarios.py).
type Family struct {
	Types     []string // whose numbers together are Least to Most
	Least     int
	Most      int
	Extra     string `json:",omitempty"` // a type of which 0 to MostExtra come on top
	MostExtra int    `json:",omitzero"`
	Fewer     int    `json:",omitzero"` // units of the first type that the allies have less than the enemy
}

// SZ returns the family of 3 to 8 stalkers and zealots; with sizes only episodes with so many allies: SZ(3, 4, 5)
// is what the team-formation papers train on.
func SZ(sizes ...int) World {
	return family("sz", 150, Family{Types: []string{"stalker", "zealot"}, Least: 3, Most: 8}, sizes)
}

// CSZ returns the family of 3 to 6 stalkers and zealots with up to 2 colossi.
func CSZ(sizes ...int) World {
	return family("csz", 150, Family{Types: []string{"stalker", "zealot"}, Least: 3, Most: 6, Extra: "colossus", MostExtra: 2}, sizes)
}

// MMM returns the family of 3 to 6 marines and marauders with up to 2 medivacs.
func MMM(sizes ...int) World {
	return family("mmm", 150, Family{Types: []string{"marine", "marauder"}, Least: 3, Most: 6, Extra: "medivac", MostExtra: 2}, sizes)
}

// Marines returns the family of 3 to 8 marines, for quick trials.
func Marines(sizes ...int) World {
	return family("3-8m", 100, Family{Types: []string{"marine"}, Least: 3, Most: 8}, sizes)
}

// OneDown returns the family of 5 to 10 marines against one more.
func OneDown(sizes ...int) World {
	return family("6-11m_mandown", 100, Family{Types: []string{"marine"}, Least: 6, Most: 11, Fewer: 1}, sizes)
}

func family(name string, limit int, f Family, sizes []int) World {
	w := Open(name, limit)
	w.Family, w.Sizes, w.RandomTags = f, sizes, true
	return w
}

// types are all types of the family, nil if there is none.
func (f Family) types() []string {
	if f.Extra == "" {
		return f.Types
	}
	return append(slices.Clone(f.Types), f.Extra)
}

func (f Family) mostEnemies() int { return f.Most + f.MostExtra }
func (f Family) mostAllies() int  { return f.mostEnemies() - f.Fewer }

// Compositions returns the armies that episodes draw from, as counts of stalkers, zealots, colossi or whatever
// the Family's types are: of the enemy, and of the allies, too, if they are not Fewer.
func (w World) Compositions() [][]int {
	if w.Composition != nil {
		return [][]int{w.Composition}
	}
	var all [][]int
	for _, c := range w.Family.compositions() {
		if w.Sizes == nil || slices.Contains(w.Sizes, total(c)-w.Family.Fewer) {
			all = append(all, c)
		}
	}
	return all
}

func total(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// compositions are the family's, without regard to Sizes.
func (f Family) compositions() (all [][]int) {
	var fill func(counts []int, left int)
	fill = func(counts []int, left int) {
		if len(counts) == len(f.Types)-1 {
			counts = append(counts, left)
			if f.Extra == "" {
				all = append(all, slices.Clone(counts))
				return
			}
			for extra := range f.MostExtra + 1 {
				all = append(all, append(slices.Clone(counts), extra))
			}
			return
		}
		for n := left; n >= 0; n-- {
			fill(append(counts, n), left-n)
		}
	}
	for n := f.Least; n <= f.Most; n++ {
		fill(make([]int, 0, len(f.Types)), n)
	}
	return all
}

// largest is the composition that scales the reward of the family: of those with the most types, then with the
// most units, the one with the most units of the first type (REFIL takes the first of its list).
func (f Family) largest() []int {
	var best []int
	rank := func(c []int) []int {
		types := 0
		for _, n := range c {
			types += min(n, 1)
		}
		return []int{types, total(c), c[0]}
	}
	for _, c := range f.compositions() {
		if best == nil || slices.Compare(rank(c), rank(best)) > 0 {
			best = c
		}
	}
	return best
}

// validateFamily checks what compositions and Compositions rely on.
func (w World) validateFamily() error {
	f := w.Family
	for _, c := range []struct {
		name               string
		value, least, most int
	}{
		{"len(Family.Types)", len(f.Types), 1, 3},
		{"Family.Least", f.Least, 1, f.Most},
		{"Family.Most", f.Most, 1, 30},
		{"Family.MostExtra", f.MostExtra, 0, 30},
		{"Family.Fewer", f.Fewer, 0, f.Least - 1},
	} {
		if c.value < c.least || c.value > c.most {
			return fmt.Errorf("battle: %s: %s is %d, want %d to %d", w.Name, c.name, c.value, c.least, c.most)
		}
	}
	if f.Fewer > 0 && len(f.Types) > 1 {
		return fmt.Errorf("battle: %s: Family.Fewer is %d with %d Types, want one type", w.Name, f.Fewer, len(f.Types))
	}
	if (f.Extra == "") != (f.MostExtra == 0) {
		return fmt.Errorf("battle: %s: Family.Extra is %q and MostExtra %d, want both or neither", w.Name, f.Extra, f.MostExtra)
	}
	for _, n := range w.Sizes {
		if n < f.Least-f.Fewer || n > f.mostAllies() {
			return fmt.Errorf("battle: %s: a size of %d allies, want %d to %d", w.Name, n, f.Least-f.Fewer, f.mostAllies())
		}
	}
	if w.Sizes != nil && len(w.Sizes) == 0 {
		return fmt.Errorf("battle: %s: Sizes is empty, want some, or nil for all", w.Name)
	}
	if c := w.Composition; c != nil {
		if len(c) != len(f.types()) {
			return fmt.Errorf("battle: %s: Composition has %d counts, want %d: of %v", w.Name, len(c), len(f.types()), f.types())
		}
		for i, n := range c {
			if n < 0 || n > mostUnits {
				return fmt.Errorf("battle: %s: Composition has %d of unit %q, want 0 to %d", w.Name, n, f.types()[i], mostUnits)
			}
		}
		if n := total(c); n < 1+f.Fewer || n > f.mostEnemies() || c[0] < f.Fewer {
			return fmt.Errorf("battle: %s: Composition %v has %d units, want %d to %d, the slots there are", w.Name, c, n, 1+f.Fewer, f.mostEnemies())
		}
	}
	if least := separation + 4.0; float64(min(w.Width, w.Height)) < least {
		return fmt.Errorf("battle: %s: the map is %d × %d cells, want at least %v each way for armies %v apart", w.Name, w.Width, w.Height, least, separation)
	}
	return nil
}

const (
	separation = 14.0 // of the armies' centres (REFIL, custom_scenarios.py)
	scatter    = 1.0  // of a type group's point around its army's centre, each way (jitter in REFIL)
)

// drawFamily draws a composition and places it: the armies' centres lie opposite each other on a circle around
// the middle of the map; all units of one type start around a point of their own.
func (b *battle) drawFamily() {
	counts := b.compositions[b.rand.IntN(len(b.compositions))]
	angle := 2 * math.Pi * b.rand.Float64()
	sin, cos := math.Sincos(angle)
	for side, turn := range []float64{1, -1} {
		x := float64(b.world.Width)/2 + turn*separation/2*cos
		y := float64(b.world.Height)/2 + turn*separation/2*sin
		for t, n := range counts {
			if side == 0 && t == 0 {
				n -= b.world.Family.Fewer
			}
			if n == 0 {
				continue
			}
			gx := x + scatter*(2*b.rand.Float64()-1)
			gy := y + scatter*(2*b.rand.Float64()-1)
			b.enlistAround(b.familyKinds[t], n, gx, gy)
		}
		if side == 0 {
			b.na = b.n
		}
	}
}
