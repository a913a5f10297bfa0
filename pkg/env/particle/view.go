package particle

import (
	"fmt"
	"strconv"

	"github.com/muster-marl/muster/pkg/env"
)

// View draws agents as discs with their numbers and a line for their velocity (its length is the way of two steps),
// landmarks as dots, ringed where an agent covers them. Agents that overlap have a frame.
func (s *spread) View(c *env.Canvas) {
	const far = 8 // agents cannot get further away in the usual 25 steps
	c.Show(-far, -far, far, far)
	edge := [4]float64{-1.2, -1.2, 1.2, 1.2}
	look := func(x, y, r float64) {
		edge = [4]float64{min(edge[0], x-r), min(edge[1], y-r), max(edge[2], x+r), max(edge[3], y+r)}
	}
	for _, m := range s.marks {
		look(m[0], m[1], 0.1)
		c.Disc(m[0], m[1], 0.05, env.Ink)
		for _, a := range s.agents {
			if dx, dy := a.x-m[0], a.y-m[1]; dx*dx+dy*dy < covers*covers {
				c.Ring(m[0], m[1], covers, 0.02, env.Ink)
				break
			}
		}
	}
	for i, a := range s.agents {
		look(a.x, a.y, a.radius)
		c.Disc(a.x, a.y, a.radius, env.Hue(i))
		if s.overlaps[i] > 0 {
			c.Ring(a.x, a.y, a.radius, 0.03, env.Ink)
		}
		way := 2 * s.w.Physics.Dt
		c.Line(a.x, a.y, a.x+way*a.vx, a.y+way*a.vy, 0.02, env.Ink)
		c.Label(a.x, a.y, a.radius/2, env.White, strconv.Itoa(i+1))
	}
	c.Look(edge[0], edge[1], edge[2], edge[3])
	c.Note = fmt.Sprintf("step %d of %d: %d of %d covered, %.0f collisions", s.t, s.w.Steps, s.now, len(s.marks), s.collisions)
}
