package sweep

import (
	"math"
	"math/rand/v2"

	"github.com/muster-marl/muster/pkg/train"
)

// Axis lists what one part of a point may be. P is the caller's own type of points, such as
// struct{ LR float64; World env.World; Seed uint64 }.
type Axis[P any] []func(p *P)

// Over makes an axis of values that set puts into a point. The values come in a second pair of brackets, so that worlds of
// several types make one axis:
//
//	sweep.Over(func(p *point, lr float64) { p.LR = lr })(1e-3, 3e-4)
//	sweep.Over(func(p *point, w env.World) { p.World = w })(takeout.Mini(), matrix.Climb{})
func Over[P, V any](set func(p *P, value V)) func(values ...V) Axis[P] {
	return func(values ...V) (axis Axis[P]) {
		for _, v := range values {
			axis = append(axis, func(p *P) { set(p, v) })
		}
		return axis
	}
}

// Grid returns all combinations of the axes' values, put into copies of start; the last axis changes fastest. An axis
// without values leaves no point.
func Grid[P any](start P, axes ...Axis[P]) []P {
	points := []P{start}
	for _, axis := range axes {
		var next []P
		for _, p := range points {
			for _, put := range axis {
				q := p
				put(&q)
				next = append(next, q)
			}
		}
		points = next
	}
	return points
}

// Random returns n points that draw makes, always the same for one key. More points leave the first ones as they are.
func Random[P any](key uint64, n int, draw func(r *rand.Rand) P) []P {
	var points []P
	for i := range n {
		points = append(points, draw(rand.New(rand.NewPCG(key, uint64(i)))))
	}
	return points
}

// LogUniform draws from low to high so that every factor is as likely, as is usual for learning rates.
func LogUniform(r *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, r.Float64())
}

// Map turns points into experiments.
func Map[P any](points []P, make func(p P) *train.Experiment) []*train.Experiment {
	var list []*train.Experiment
	for _, p := range points {
		list = append(list, make(p))
	}
	return list
}
