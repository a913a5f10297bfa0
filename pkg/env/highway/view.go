package highway

import (
	"fmt"
	"strconv"

	"github.com/muster-marl/muster/pkg/env"
)

// broad is how much larger what lies across the road is drawn than what lies along it.
const broad = 10

// View draws the road from above, traffic going to the right: agents' vehicles with their numbers above them, dark ones
// of human drivers, the obstacle, and a ring around who has crashed. Across, everything is ten times as large.
func (m *merge) View(c *env.Canvas) {
	c.Show(0, -broad*13, roadEnd+60, broad*4)
	half := broad * laneWidth / 2
	c.Box(0, -half, roadEnd+60, half, env.Pale)
	c.Box(mergeBegin, -broad*mergeY-half, mergeEnd, -broad*mergeY+half, env.Pale)
	for x := 0.0; x < mergeBegin; x += 4 {
		y := -broad * rampY
		if x >= rampEnd {
			_, across := curve.local(x+2, 0)
			y = broad * across
		}
		c.Box(x, y-half, x+4, y+half, env.Pale)
	}
	c.Line(mergeBegin, -half, mergeEnd, -half, 0.5, env.White)
	c.Box(mergeEnd-obstacleL/2, -broad*(mergeY+obstacleL/2), mergeEnd+obstacleL/2, -broad*(mergeY-obstacleL/2), env.Ink)
	mean := 0.0
	for i := range m.cars[:m.n] {
		v := &m.cars[i]
		y, paint := -broad*v.y, env.Ink
		if !v.human {
			paint = env.Hue(i)
			mean += v.speed / float64(m.agents)
		}
		c.Box(v.x-length/2, y-broad*width/2, v.x+length/2, y+broad*width/2, paint)
		if !v.human {
			c.Label(v.x, y+broad*width/2+8, 9, paint, strconv.Itoa(i+1))
		}
		if v.crashed {
			c.Ring(v.x, y, 14, 2, env.Ink)
		}
	}
	c.Note = fmt.Sprintf("step %d of %d: agents drive %.1f m/s", m.t, m.w.Steps, mean)
	if m.crashed() {
		c.Note += ", crash"
	}
}
