package takeout

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
)

// anchor is what a script reaches: means of episodes and their standard errors.
type anchor struct{ completion, steps, reward, completionError, stepsError, rewardError float64 }

func play(t *testing.T, w World, c Courier, episodes int) anchor {
	t.Helper()
	p := mustNew(t, w)
	out, act := env.NewBatch(w.Spec(), 1).At(0), env.Actions{Discrete: make([]int32, w.Agents)}
	var values [3][]float64
	for e := range int64(episodes) {
		r := key(e).Split("act").Rand()
		out.Truncated = false
		p.Reset(env.Episode{Rand: key(e).Rand()}, out)
		for !out.Over() {
			c(out, r, act)
			clear(out.Reward)
			p.Step(act, out)
		}
		m := out.Metrics[len(out.Metrics)-4:] // total_reward, steps_per_order, delivered, generated
		for i, v := range []float32{100 * m[2] / m[3], m[1], m[0]} {
			values[i] = append(values[i], float64(v))
		}
	}
	var a anchor
	for i, to := range [][2]*float64{{&a.completion, &a.completionError}, {&a.steps, &a.stepsError}, {&a.reward, &a.rewardError}} {
		sum, squares := 0.0, 0.0
		for _, v := range values[i] {
			sum += v
		}
		*to[0] = sum / float64(episodes)
		for _, v := range values[i] {
			squares += (v - *to[0]) * (v - *to[0])
		}
		*to[1] = math.Sqrt(squares / float64(episodes*(episodes-1)))
	}
	return a
}

// TestAnchors compares the scripts with the figures of the specification, which are means of 20 episodes:
// their standard error follows from the spread of ours. Three standard errors are allowed, and half a unit of
// the last digit that the specification prints.
func TestAnchors(t *testing.T) {
	mini := func(view int) World { w := Mini(); w.View = view; return w }
	paper := func(view int) World { w := Paper(); w.View = view; return w }
	late := Paper()
	late.OrderWindow = 720
	const none = -1
	for _, c := range []struct {
		name                      string
		world                     World
		courier                   func(World) Courier
		episodes                  int
		completion, steps, reward float64
	}{
		{"random", mini(4), World.Random, 400, 4.9, 182, none},
		{"windowed", mini(2), World.Windowed, 200, 20.6, none, none},
		{"windowed", mini(3), World.Windowed, 200, 57.3, none, none},
		{"windowed", mini(4), World.Windowed, 200, 80.4, none, none},
		{"directed", mini(2), World.Directed, 200, 85, none, none},
		{"directed", mini(3), World.Directed, 200, 90, none, none},
		{"directed", mini(4), World.Directed, 200, 94, none, none},
		{"random", paper(9), World.Random, 100, 2.1, 670, 44},
		{"windowed", paper(6), World.Windowed, 100, 19, none, none},
		{"windowed", paper(7), World.Windowed, 100, 46, none, none},
		{"windowed", paper(9), World.Windowed, 50, 99, none, none},
		{"dispatcher", paper(9), World.Dispatcher, 50, 99.9, none, 5070},
		{"dispatcher, orders until the end", late, World.Dispatcher, 50, 97.4, none, none},
	} {
		a := play(t, c.world, c.courier(c.world), c.episodes)
		t.Logf("%s, %s, view %d: completion %.2f ± %.2f %%, steps per order %.1f ± %.1f, reward %.1f ± %.1f", c.world.Name, c.name,
			c.world.View, a.completion, a.completionError, a.steps, a.stepsError, a.reward, a.rewardError)
		for _, v := range []struct {
			what                            string
			got, standardError, want, digit float64
		}{
			{"completion", a.completion, a.completionError, c.completion, 0.5},
			{"steps per order", a.steps, a.stepsError, c.steps, 0.5},
			{"reward", a.reward, a.rewardError, c.reward, 0.5},
		} {
			both := v.standardError * math.Sqrt(1+float64(c.episodes)/20)
			if v.want != none && math.Abs(v.got-v.want) > 3*both+v.digit {
				t.Errorf("%s, %s, view %d: %s is %.2f, want %v ± %.2f", c.world.Name, c.name, c.world.View, v.what, v.got, v.want, 3*both+v.digit)
			}
		}
	}
}

// TestPublishedAverages recomputes the last row of the paper's table from the others.
func TestPublishedAverages(t *testing.T) {
	p := Table2()
	for j, setting := range p.Columns {
		sum := 0.0
		for _, row := range p.Values[:10] {
			sum += row[j]
		}
		if mean := sum / 10; math.Abs(mean-p.Values[10][j]) > 0.0051 {
			t.Errorf("%s: the mean is %.3f, printed is %v", setting, mean, p.Values[10][j])
		}
	}
}
