package battle

import (
	"fmt"
	"math"
	"strconv"

	"github.com/muster-marl/muster/pkg/env"
)

// What View draws: the paints of both armies, and sizes in cells.
var armyPaint = [2]env.Paint{env.Hue(0), env.Hue(1)}

const (
	barHeight = 0.16
	viewEdge  = 1.5 // around the units that are in focus
)

// View draws the map, allies blue and enemies vermillion, each with a bar of hit points (green) and one of shields
// (sky blue) above it; a ring around a leader; a line from whoever has shot in the last step to its target, green
// where it healed; the dead as small grey discs. Kinds of units are told apart by their size and mark. Where groups
// are known, allies have their group's hue instead of blue, and their number instead of a mark.
func (b *battle) View(c *env.Canvas) {
	c.Show(0, 0, float64(b.world.Width), float64(b.world.Height))
	left, bottom, right, top := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for u := range b.n {
		x, y := float64(b.x[u]), float64(b.y[u])
		left, bottom, right, top = min(left, x), min(bottom, y), max(right, x), max(top, y)
	}
	c.Look(left-viewEdge, bottom-viewEdge, right+viewEdge, top+viewEdge)
	b.viewWalls(c)
	for u, alive := range b.alive[:b.n] {
		if !alive {
			c.Disc(float64(b.x[u]), float64(b.y[u]), 0.18, env.Grey)
		}
	}
	for _, s := range b.shots {
		paint := env.Hue(4)
		if b.army(int(s.from)) == b.army(int(s.to)) {
			paint = env.Hue(2)
		}
		c.Line(float64(b.x[s.from]), float64(b.y[s.from]), float64(b.x[s.to]), float64(b.y[s.to]), 0.08, paint)
	}
	alive := [2]int{}
	for _, u := range b.living {
		b.viewUnit(c, u)
		alive[b.army(u)]++
	}
	for _, u := range b.living {
		b.viewBars(c, u)
	}
	c.Note = fmt.Sprintf("step %d of %d: %d of %d allies, %d of %d enemies", b.steps, b.world.Limit, alive[0], b.na, alive[1], b.n-b.na)
}

// viewWalls draws the walls of a row as few boxes.
func (b *battle) viewWalls(c *env.Canvas) {
	for i := 0; i < len(b.field.walls); {
		row, column, end := i/b.field.columns, i%b.field.columns, i
		for end < (row+1)*b.field.columns && b.field.walls[end] {
			end++
		}
		if end > i {
			c.Box(float64(column), float64(row), float64(column+end-i), float64(row+1), env.Pale)
		}
		i = max(end, i+1)
	}
}

func (b *battle) viewUnit(c *env.Canvas, u int) {
	k := &b.armory.kinds[b.kind[u]]
	x, y, r := float64(b.x[u]), float64(b.y[u]), float64(k.radius)
	if b.role(u) == Leader {
		c.Ring(x, y, r+0.14, 0.12, env.Ink)
	}
	if slot := b.slot(u); slot < min(b.maxAllies, len(c.Groups)) {
		c.Disc(x, y, r, env.GroupHue(c.Groups[slot]))
		c.Label(x, y, 0.8*r, env.White, strconv.Itoa(slot))
		return
	}
	c.Disc(x, y, r, armyPaint[b.army(u)])
	switch mark := b.kind[u] % 4; mark {
	case 1:
		c.Disc(x, y, r*0.4, env.White)
	case 2:
		c.Ring(x, y, r*0.5, 0.1, env.White)
	case 3:
		c.Box(x-r*0.6, y-0.07, x+r*0.6, y+0.07, env.White)
	}
}

// viewBars draws what is left of a unit's hit points and shields.
func (b *battle) viewBars(c *env.Canvas, u int) {
	k := &b.armory.kinds[b.kind[u]]
	x, y, r := float64(b.x[u]), float64(b.y[u]), float64(k.radius)
	bar := func(height float64, share float32, paint env.Paint) {
		c.Box(x-r, height, x+r, height+barHeight, env.Pale)
		c.Box(x-r, height, x-r+2*r*float64(share), height+barHeight, paint)
	}
	bar(y+r+0.12, b.hp[u]/k.hp, env.Hue(2))
	if k.shield > 0 {
		bar(y+r+0.14+barHeight, b.shield[u]/k.shield, env.Hue(5))
	}
}
