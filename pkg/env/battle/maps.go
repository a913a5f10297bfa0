package battle

import (
	"math"
	"slices"
	"strings"
)

// Map returns one of SMAC's 23 maps by its usual name. New refuses other names and says which is nearest.
//
// Counts and limits: SMAC, maps/smac_maps.py. Places, attack points and terrain: SMAClite, smaclite_maps/*.json,
// where it has the map; the others start like 2s3z.
func Map(name string) World {
	for _, m := range standardMaps() {
		if m.name == name {
			w := Open(name, m.limit)
			w.Terrain = m.terrain()
			w.Allies, w.Enemies, w.AttackPoint = m.allies, m.enemies, m.attack
			return w
		}
	}
	return World{Name: name}
}

// MapNames returns the names that Map knows.
func MapNames() []string {
	var names []string
	for _, m := range standardMaps() {
		names = append(names, m.name)
	}
	return names
}

// allNames are the names of all scenarios that ship.
func allNames() []string {
	names := append(MapNames(), RandomNames()...)
	for _, w := range []World{SZ(), CSZ(), MMM(), Marines(), OneDown()} {
		names = append(names, w.Name)
	}
	return names
}

type standardMap struct {
	name            string
	limit           int
	terrain         func() []string
	allies, enemies []Group
	attack          *Point // nil = the middle of the allies
}

// standardMaps makes them anew, so that who changes one changes it for nobody else.
func standardMaps() []standardMap {
	return []standardMap{
		west("3m", 60, strip, marines(3), marines(3)),
		west("8m", 120, strip, marines(8), marines(8)),
		west("25m", 150, strip, marines(25), marines(25)),
		west("5m_vs_6m", 70, strip, marines(5), marines(6)),
		west("8m_vs_9m", 120, strip, marines(8), marines(9)),
		west("10m_vs_11m", 150, strip, marines(10), marines(11)),
		west("27m_vs_30m", 180, strip, marines(27), marines(30)),
		west("MMM", 150, strip, mmm(1, 2, 7), mmm(1, 2, 7)),
		west("MMM2", 180, strip, mmm(1, 2, 7), mmm(1, 3, 8)),
		west("2s3z", 120, strip, sz(2, 3), sz(2, 3)),
		west("3s5z", 150, strip, sz(3, 5), sz(3, 5)),
		west("3s5z_vs_3s6z", 170, strip, sz(3, 5), sz(3, 6)),
		west("3s_vs_3z", 150, open, some(3, "stalker"), some(3, "zealot")),
		west("3s_vs_4z", 200, open, some(3, "stalker"), some(4, "zealot")),
		west("3s_vs_5z", 250, open, some(3, "stalker"), some(5, "zealot")),
		west("1c3s5z", 180, strip, append(some(1, "colossus"), sz(3, 5)...), append(some(1, "colossus"), sz(3, 5)...)),
		west("2m_vs_1z", 150, strip, marines(2), some(1, "zealot")),
		{"corridor", 400, corridor, []Group{{19.04, 19.12, some(6, "zealot")}}, []Group{{27.91, 28.24, some(24, "zergling")}}, &Point{4.47, 4.33}},
		west("6h_vs_8z", 150, open, some(6, "hydralisk"), some(8, "zealot")),
		{"2s_vs_1sc", 300, open, []Group{{11.12, 10.34, some(1, "stalker")}, {16.98, 10.37, some(1, "stalker")}},
			[]Group{{13.92, 20.04, some(1, "spine crawler")}}, nil},
		west("so_many_baneling", 100, open, some(7, "zealot"), some(32, "baneling")),
		{"bane_vs_bane", 200, open, []Group{{16, 11, some(20, "zergling")}, {16, 8, some(4, "baneling")}},
			[]Group{{16, 21, some(20, "zergling")}, {16, 24, some(4, "baneling")}}, &Point{16, 8}},
		{"2c_vs_64zg", 400, ravine, []Group{{16, 16, some(2, "colossus")}}, []Group{{16, 9, some(64, "zergling")}}, &Point{16, 16}},
	}
}

// west is a map whose allies start in the west and whose enemies start in the east.
func west(name string, limit int, terrain func() []string, allies, enemies []Count) standardMap {
	return standardMap{name, limit, terrain, []Group{{9, 16, allies}}, []Group{{23, 16, enemies}}, &Point{9, 16}}
}

func some(n int, unit string) []Count { return []Count{{unit, n}} }
func marines(n int) []Count           { return some(n, "marine") }
func sz(stalkers, zealots int) []Count {
	return []Count{{"stalker", stalkers}, {"zealot", zealots}}
}
func mmm(medivacs, marauders, marines int) []Count {
	return []Count{{"medivac", medivacs}, {"marauder", marauders}, {"marine", marines}}
}

func open() []string { return nil }

// strip is 16 rows across the map (SMAClite's SIMPLE, under most of SMAC's maps).
func strip() []string {
	return terrain(func(_, y int) bool { return y >= 8 && y < 24 })
}

// corridor is a room in which both armies start and a passage behind the allies, as wide as a few units, into a
// second room: what matters of SMAC's map. Its cells are ours.
func corridor() []string {
	return terrain(func(x, y int) bool {
		start, end := min(x, y) >= 14 && max(x, y) < side-1, min(x, y) >= 1 && max(x, y) < 12
		return start || end || x+y > 20 && x+y < 30 && x-y >= -2 && x-y <= 2
	})
}

// ravine is a walled field with a cliff between the armies and a narrow ramp in its middle. Its cells are ours: in
// StarCraft the colossi walk over the cliff and the zerglings find their way around, which neither can here.
func ravine() []string {
	return terrain(func(x, y int) bool {
		return y >= 6 && y < 20 && (y != 12 || x == 16)
	})
}

// terrain draws a map of side × side cells, north first.
func terrain(walkable func(x, y int) bool) []string {
	var rows []string
	for y := side - 1; y >= 0; y-- {
		var row strings.Builder
		for x := range side {
			if walkable(x, y) {
				row.WriteByte('.')
			} else {
				row.WriteByte('#')
			}
		}
		rows = append(rows, row.String())
	}
	return rows
}

// field is the terrain made ready.
type field struct {
	width, height float32
	columns       int
	walls         []bool // [y][x], true = stops ground units; nil = open
}

func newField(w *World) field {
	f := field{width: float32(w.Width), height: float32(w.Height), columns: w.Width}
	for _, row := range slices.Backward(w.Terrain) {
		for _, c := range row {
			f.walls = append(f.walls, c == '#')
		}
	}
	return f
}

// blocked says whether the cell at a point of the map is a wall. Coordinates are truncated to cells.
func (f *field) blocked(x, y float32) bool {
	return f.walls != nil && f.walls[int(y)*f.columns+int(x)]
}

// enterable says whether a point is inside the map and not in a wall.
func (f *field) enterable(x, y float32) bool {
	return x >= 0 && y >= 0 && x < f.width && y < f.height && !f.blocked(x, y)
}

// roster is fixed armies: kinds and places, in the order of the groups.
type roster struct {
	allies, enemies []uint8
	at              []Point // allies first
}

func (r *roster) kindOf(i int) uint8 {
	if i < len(r.allies) {
		return r.allies[i]
	}
	return r.enemies[i-len(r.allies)]
}

// gap is left between the edges of units that start in one group (SMAClite, smaclite.py).
const gap = 0.05

// newRoster lays every group out on a grid of ⌈√n⌉ columns around its point; that of an enemy is turned by
// 180°, so equal groups stand opposite each other (SMAClite, smaclite.py).
func newRoster(w *World, units []Unit) roster {
	var r roster
	find := func(name string) uint8 {
		return uint8(slices.IndexFunc(units, func(u Unit) bool { return u.Name == name }))
	}
	place := func(groups []Group, turn float64) (kinds []uint8) {
		for _, g := range groups {
			var group []uint8
			for _, c := range g.Units {
				for range c.N {
					group = append(group, find(c.Unit))
				}
			}
			for _, p := range grid(group, units) {
				r.at = append(r.at, Point{g.X + turn*p.X, g.Y + turn*p.Y})
			}
			kinds = append(kinds, group...)
		}
		return kinds
	}
	r.allies = place(w.Allies, 1)
	r.enemies = place(w.Enemies, -1)
	return r
}

// grid returns the units' places around (0, 0), row by row.
func grid(group []uint8, units []Unit) (at []Point) {
	columns := int(math.Ceil(math.Sqrt(float64(len(group)))))
	rows := slices.Collect(slices.Chunk(group, max(columns, 1)))
	height, width := gap*float64(columns-1), 0.0
	radius := make([]float64, len(rows))
	for i, row := range rows {
		across := 0.0
		for _, k := range row {
			radius[i] = max(radius[i], units[k].Radius)
			across += 2 * units[k].Radius
		}
		width, height = max(width, across), height+2*radius[i]
	}
	y := -height / 2
	for i, row := range rows {
		x := -width / 2
		y += radius[i]
		for _, k := range row {
			x += units[k].Radius
			at = append(at, Point{x, y})
			x += units[k].Radius + gap
		}
		y += radius[i] + gap
	}
	return at
}
