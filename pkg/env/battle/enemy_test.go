package battle

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestAttackMove: whom an attack-moving zealot or marine of the enemy, the first after the allies, has for a target
// after one tick, and whom it keeps.
func TestAttackMove(t *testing.T) {
	for _, c := range []struct {
		name    string
		allies  []stand
		enemies []stand
		aims    [][2]int // who attacks whom from before
		target  int      // of the first enemy
	}{
		{"nobody in scan: 5 and the target's radius", []stand{{"marine", 10, 10}}, []stand{{"zealot", 15.38, 10}}, nil, nobody},
		{"somebody in scan", []stand{{"marine", 10, 10}}, []stand{{"zealot", 15.37, 10}}, nil, 0},
		{"a spine crawler looks 10 far", []stand{{"marine", 10, 10}}, []stand{{"spine crawler", 20.3, 10}}, nil, 0},
		{"the nearest", []stand{{"marine", 10, 10}, {"marine", 12, 10}}, []stand{{"zealot", 14, 10}}, nil, 1},
		{"an attacker out of scan", []stand{{"marine", 10, 10}, {"marine", 9, 10}}, []stand{{"zealot", 15.9, 10}}, [][2]int{{1, 2}}, 1},
		{"the near before an attacker out of scan", []stand{{"marine", 10, 10}, {"marine", 13, 10}}, []stand{{"zealot", 15.9, 10}}, [][2]int{{0, 2}}, 1},
		{"a healer before the nearest", []stand{{"marine", 12, 10}, {"medivac", 9.5, 10}}, []stand{{"marine", 14, 10}}, nil, 1},
		{"no healer that it cannot hit", []stand{{"marine", 12, 10}, {"medivac", 13, 10}}, []stand{{"zealot", 14, 10}}, nil, 0},
		{"a healer instead of its target", []stand{{"marine", 12, 10}, {"medivac", 9.5, 10}}, []stand{{"marine", 14, 10}}, [][2]int{{2, 0}}, 1},
		{"a target in weapon range is kept", []stand{{"marine", 10, 10}, {"marine", 13, 10}}, []stand{{"marine", 14, 10}}, [][2]int{{2, 0}}, 0},
		{"a target out of weapon range is dropped", []stand{{"marine", 10, 10}, {"marine", 12, 10}}, []stand{{"zealot", 14, 10}}, [][2]int{{2, 0}}, 1},
		{"a target that attacks it is chased", []stand{{"marine", 10, 10}, {"marine", 12, 10}}, []stand{{"zealot", 14, 10}}, [][2]int{{2, 0}, {0, 2}}, 0},
		{"a healer takes the least hp of the hurt", []stand{{"marine", 28, 28}}, []stand{{"medivac", 14, 10}, {"marine", 12, 10}, {"marauder", 13, 10}}, nil, 3},
		{"a healer follows who has a target", []stand{{"zealot", 12, 6}}, []stand{{"medivac", 14, 10}, {"marine", 12, 10}}, nil, nobody},
	} {
		b, _ := stage(t, SC2, c.allies, c.enemies)
		n := len(c.allies)
		for u := n; u < b.n; u++ {
			b.order[u] = hunt
		}
		for _, a := range c.aims {
			b.target[a[0]] = int16(a[1])
			if a[0] < n {
				b.order[a[0]] = attack
			}
		}
		if c.target == 3 {
			b.hp[3] = 40 // of 125, less than the marine's 45
		}
		b.now++
		b.chooseTargets()
		if got := int(b.target[n]); got != c.target {
			t.Errorf("%s: the target is %d, want %d", c.name, got, c.target)
		}
	}
}

// TestHealersStayBehind: an attack-moving medivac is as slow as those it could heal.
func TestHealersStayBehind(t *testing.T) {
	for near, want := range map[bool]float32{true: 0.140625, false: 0.15625} {
		at := float32(21)
		if !near {
			at = 28
		}
		b, _ := stage(t, SC2, []stand{{"marine", 5, 20}}, []stand{{"medivac", 20, 20}, {"marine", at, 20}})
		b.order[1], b.order[2] = hunt, hunt
		b.ticks(1)
		if got := 20 - b.x[1]; math.Abs(float64(got-want)) > 1e-4 {
			t.Errorf("with a marine near by: %v, the medivac walks %v in a tick, want %v", near, got, want)
		}
	}
}

// TestSMAXEnemy: shoots who is in weapon range and keeps it, walks to who is in sight, otherwise to the place
// opposite its start.
func TestSMAXEnemy(t *testing.T) {
	b, _ := stage(t, SC2, []stand{{"marine", 10, 10}, {"marine", 12, 10}}, []stand{{"marine", 14, 10}})
	b.world.Enemy = Nearest
	b.orderEnemies()
	if b.order[2] != attack || b.target[2] != 1 {
		t.Errorf("order %v on %d, want an attack on the nearest, 1", b.order[2], b.target[2])
	}
	b.target[2] = 0
	b.orderEnemies()
	if b.target[2] != 0 {
		t.Errorf("the target is %d, want the last one, which is still in range", b.target[2])
	}
	b.world.Enemy = Anyone
	seen := [2]int{}
	for range 200 {
		b.target[2] = nobody
		b.orderEnemies()
		seen[b.target[2]]++
	}
	if seen[0] < 60 || seen[1] < 60 { // 100 ± 7
		t.Errorf("targets of a random choice %v, want about 100 each", seen)
	}
	for _, c := range []struct{ x, y, goalX, goalY float32 }{
		{18.5, 10, 16.5, 10}, // marines in sight, west
		{28, 12, 26, 12},     // none: (4, 20) is opposite, further west than north
		{8, 30, 8, 28},       // (24, 2): further south than east
	} {
		b.x[2], b.y[2], b.startX[2], b.startY[2] = c.x, c.y, c.x, c.y
		b.orderEnemies()
		if b.order[2] != move || b.goalX[2] != c.goalX || b.goalY[2] != c.goalY {
			t.Errorf("from (%v, %v) to (%v, %v), want (%v, %v)", c.x, c.y, b.goalX[2], b.goalY[2], c.goalX, c.goalY)
		}
	}
}

// TestEpsilon: an enemy with random orders chooses each legal one alike.
func TestEpsilon(t *testing.T) {
	b, _ := stage(t, SC2, []stand{{"marine", 2, 10}, {"marine", 3, 10}, {"marine", 20, 10}}, []stand{{"zealot", 0.6, 10}})
	b.world.Epsilon = 1
	seen := map[[3]float32]int{}
	const draws = 6000
	for range draws {
		b.goalX[3], b.goalY[3] = 0, 0
		b.orderEnemies()
		key := [3]float32{float32(b.order[3]), b.goalX[3] - b.x[3], b.goalY[3] - b.y[3]}
		if b.order[3] == attack {
			key = [3]float32{float32(attack), float32(b.target[3])}
		} else if b.order[3] == stop {
			key = [3]float32{}
		}
		seen[key]++
	}
	for key, n := range seen { // stop, north, south, east (west is off the map), two marines in reach
		if math.Abs(float64(n-draws/6)) > 145 { // 5 standard deviations
			t.Errorf("order %v comes %d times of %d, want a sixth", key, n, draws)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d different orders %v, want 6", len(seen), seen)
	}
}

// TestScripts: what near and focus choose in moments put by hand.
func TestScripts(t *testing.T) {
	w := Map("3m")
	for _, c := range []struct {
		name        string
		units       []stand
		near, focus int32
	}{
		{"the nearest, the weakest", []stand{{"marine", 10, 16}, {"marine", 28, 20}, {"marine", 28, 22}, {"marine", 14, 16}, {"marine", 13, 16}, {"marine", 15, 16}}, FirstTarget + 1, FirstTarget + 2},
		{"east to the nearest", []stand{{"marine", 10, 16}, {"marine", 28, 20}, {"marine", 28, 22}, {"marine", 19, 18}, {"marine", 22, 16}, {"marine", 20, 18}}, East, East},
		{"north to the nearest", []stand{{"marine", 10, 12}, {"marine", 28, 20}, {"marine", 28, 22}, {"marine", 12, 22}, {"marine", 22, 16}, {"marine", 20, 18}}, North, North},
		{"the other way where there is a wall", []stand{{"marine", 10, 23.2}, {"marine", 2, 20}, {"marine", 2, 18}, {"marine", 16, 23.8}, {"marine", 22, 16}, {"marine", 20, 18}}, East, East},
	} {
		b, out := put(t, w, c.units)
		b.hp[5] = 9
		b.show(out)
		act := env.Actions{Discrete: make([]int32, 3)}
		if w.Near()(out, nil, act); act.Discrete[0] != c.near {
			t.Errorf("%s: near chooses %d, want %d", c.name, act.Discrete[0], c.near)
		}
		if w.Focus()(out, nil, act); act.Discrete[0] != c.focus {
			t.Errorf("%s: focus chooses %d, want %d", c.name, act.Discrete[0], c.focus)
		}
	}
	family := MMM()
	family.Composition = []int{2, 0, 1}
	b, out := put(t, family, []stand{{"marine", 10, 16}, {"marine", 11, 16}, {"medivac", 12, 16}, {"marine", 28, 16}, {"marine", 28, 17}, {"medivac", 28, 18}})
	b.hp[1] = 20
	b.show(out)
	act := env.Actions{Discrete: make([]int32, 8)}
	family.Near()(out, rng.New(1).Rand(), act)
	if b.named(2, int(act.Discrete[2])) != 1 || act.Discrete[0] != East || act.Discrete[7] != NoOp {
		t.Errorf("actions %v: want the medivac to heal the hurt marine, the first to go east, the absent to do nothing", act.Discrete)
	}
	b.x[2] = 20
	b.show(out)
	if family.Near()(out, nil, act); act.Discrete[2] != West {
		t.Errorf("the medivac chooses %d, want west, to the nearest ally", act.Discrete[2])
	}
}

// TestLastActions: comrades in sight show theirs where LastAction is set.
func TestLastActions(t *testing.T) {
	w := Map("3m")
	w.LastAction = true
	b, out := put(t, w, []stand{{"marine", 10, 16}, {"marine", 10, 18}, {"marine", 10, 28}, {"marine", 28, 16}, {"marine", 28, 17}, {"marine", 28, 18}})
	b.step(out, Stop, West, North)
	l := &b.layout
	first := out.Obs[4+3*l.enemy:][:l.ally]
	if want := 30 + 2*9; b.spec.ObsDim != want || first[l.ally-l.actions+West] != 1 || first[l.ally-l.actions+Stop] != 0 {
		t.Errorf("observations of %d values, want %d; the comrade's block is %v, want action %d at its end", b.spec.ObsDim, want, first, West)
	}
}
