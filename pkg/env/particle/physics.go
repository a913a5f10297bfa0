// Package particle holds tasks of discs that push themselves over a plane: the multi-agent particle environments of
// R. Lowe et al., "Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments", NeurIPS 2017, of which
// many versions exist that differ in small things; here those are fields, and presets are named after their source.
// A task is a file that sets bodies up, lets them move (Physics, Controls), and says what is seen and paid.
//
// There is one task so far, Spread. Messages and walls are missing.
package particle

import (
	"fmt"
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// Physics are the constants of motion and of contact. Lengths, masses and forces have no units.
type Physics struct {
	Dt        float64 // time of one step
	Damping   float64 // share of its velocity that a body loses in a step
	Contact   float64 // force of a contact per unit of penetration
	Margin    float64 // how soft contacts are: penetration is Margin·log(1 + exp(−gap/Margin))
	MoveFirst bool    // true = bodies move by the velocities of before the step; false = velocities change first
}

// classic are the constants that all versions share.
func classic() Physics { return Physics{Dt: 0.1, Damping: 0.25, Contact: 100, Margin: 1e-3} }

// validate names the constant that cannot be, of a task of that name.
func (p Physics) validate(task string) error {
	for _, c := range []struct {
		name        string
		value, most float64
	}{{"Dt", p.Dt, 1}, {"Damping", p.Damping, 1}, {"Contact", p.Contact, 1e6}, {"Margin", p.Margin, 1}} {
		if !(c.value >= 0 && c.value <= c.most) || c.value == 0 && c.name != "Damping" && c.name != "Contact" {
			return fmt.Errorf("particle: %s.Physics.%s is %v, want more than 0 (Damping, Contact: at least 0), at most %g", task, c.name, c.value, c.most)
		}
	}
	return nil
}

// body is a disc.
type body struct {
	x, y, vx, vy float64
	fx, fy       float64 // force of this step
	radius, mass float64
	fastest      float64 // speed that it never exceeds; 0 = no limit
}

// move applies contacts between bodies, all of which are solid, to the forces that act on them already, and moves them.
func (p *Physics) move(bodies []body) {
	for i := range bodies {
		for j := i + 1; j < len(bodies); j++ {
			p.pushApart(&bodies[i], &bodies[j])
		}
	}
	for i := range bodies {
		p.integrate(&bodies[i])
	}
}

// beyond is the gap, in margins, from which on contact forces are nothing: exp(−40) is below 1e-17.
const beyond = 40

// pushApart adds the force of contact. Bodies whose middles coincide have no direction to be pushed in.
func (p *Physics) pushApart(a, b *body) {
	dx, dy := a.x-b.x, a.y-b.y
	square, touch := dx*dx+dy*dy, a.radius+b.radius
	if far := touch + beyond*p.Margin; square > far*far || square == 0 {
		return
	}
	d := math.Sqrt(square)
	force := p.Contact / d * p.Margin * softplus((touch-d)/p.Margin)
	a.fx += force * dx
	a.fy += force * dy
	b.fx -= force * dx
	b.fy -= force * dy
}

// softplus is log(1 + exp(x)), without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func (p *Physics) integrate(b *body) {
	if p.MoveFirst {
		b.x += b.vx * p.Dt
		b.y += b.vy * p.Dt
	}
	b.vx = b.vx*(1-p.Damping) + b.fx/b.mass*p.Dt
	b.vy = b.vy*(1-p.Damping) + b.fy/b.mass*p.Dt
	if b.fastest > 0 {
		if v := math.Sqrt(b.vx*b.vx + b.vy*b.vy); v > b.fastest {
			b.vx, b.vy = b.vx/v*b.fastest, b.vy/v*b.fastest
		}
	}
	if !p.MoveFirst {
		b.x += b.vx * p.Dt
		b.y += b.vy * p.Dt
	}
}

// Controls say how an action becomes a force.
type Controls struct {
	Force      float64 // of a full push
	Continuous bool    // true = two numbers, the force along x and y in units of Force; false = one of five choices
	RightFirst bool    // true = choices 1 to 4 push right, left, up, down; false = left, right, down, up. 0 is no push
}

// choices are the forces of the five discrete actions.
type choices [5][2]float64

func (c Controls) choices() choices {
	f := c.Force
	if !c.RightFirst {
		f = -f
	}
	return choices{{0, 0}, {f, 0}, {-f, 0}, {0, f}, {0, -f}}
}

// heads are the discrete heads and the width of the continuous action of one agent.
func (c Controls) heads() ([]int, int) {
	if c.Continuous {
		return nil, 2
	}
	return []int{len(choices{})}, 0
}

// push sets the forces on the first bodies, one for each agent, and removes those of the last step.
func (c *Controls) push(bodies []body, table *choices, act env.Actions) {
	if c.Continuous {
		for i := range bodies {
			bodies[i].fx = float64(env.Clip(act.Continuous[2*i])) * c.Force
			bodies[i].fy = float64(env.Clip(act.Continuous[2*i+1])) * c.Force
		}
		return
	}
	for i := range bodies {
		f := &table[act.Discrete[i]]
		bodies[i].fx, bodies[i].fy = f[0], f[1]
	}
}
