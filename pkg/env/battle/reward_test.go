package battle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestB14Reward: winning pays all there is, whoever strikes; regeneration of the enemy pays in SMAC's mode only.
func TestB14Reward(t *testing.T) {
	for _, c := range []struct {
		w    World
		want float64 // of an episode that is won
	}{
		{Map("3m"), 20}, {Map("8m"), 20}, {Marines(3), 20 * (3*45 + 30 + 200) / 640.0},
	} {
		c.w.Reward = Damage
		b, out := begin(t, c.w, rng.New(1))
		act, near, r := make([]int32, b.maxAllies), c.w.Near(), rng.New(1).Rand()
		won := 0
		for episode := range int64(20) {
			out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
			b.Reset(env.Episode{Rand: rng.New(14).Split("env", episode).Rand()}, out)
			sum := 0.0
			for !out.Over() {
				near(out, r, env.Actions{Discrete: act})
				b.step(out, act...)
				sum += float64(out.Reward[0])
			}
			if out.Outcome == env.Win {
				won++
				if math.Abs(sum-c.want) > 1e-4 {
					t.Errorf("%s: a won episode pays %v, want %v", c.w.Name, sum, c.want)
				}
			} else if sum >= c.want {
				t.Errorf("%s: an episode with outcome %v pays %v, want less than %v", c.w.Name, out.Outcome, sum, c.want)
			}
		}
		if won == 0 {
			t.Errorf("%s: no episode was won", c.w.Name)
		}
	}
	for mode, want := range map[Reward]float32{Change: 20 / 370.0, Damage: 0, Sparse: 0} { // 370: 160 for the stalker, 10, 200
		w := Open("regeneration", 10)
		w.Allies, w.Enemies, w.Reward = []Group{{5, 5, some(1, "marine")}}, []Group{{28, 28, some(1, "stalker")}}, mode
		b, out := begin(t, w, rng.New(1))
		b.shield[1] = 50
		b.now = 1000
		b.step(out, Stop)
		if b.shield[1] != 51 || !near(out.Reward[0], want, 1e-7) {
			t.Errorf("%v: a shield of 50 becomes %v, which pays %v, want 51 and %v", mode, b.shield[1], out.Reward[0], want)
		}
	}
}

// TestLossesCost: with CountLosses half of what the allies lose is taken off.
func TestLossesCost(t *testing.T) {
	b, out := stage(t, SC2, []stand{{"marine", 10, 10}, {"marine", 10, 12}}, []stand{{"zealot", 11, 10}})
	b.world.CountLosses = true
	b.hp[0] = 10 // dies of one blow, and the second marine is out of range
	b.step(out, Stop, Stop)
	if want := float32(-0.5*(10+10)) * 20 / b.fullPay; !near(out.Reward[0], want, 1e-6) || !near(out.Reward[1], want, 1e-6) {
		t.Errorf("a death pays %v, want %v", out.Reward, want)
	}
	b.world.Reward = Sparse
	b.hp[1], b.x[1], b.y[1] = 1, 11, 11
	for !out.Over() {
		b.step(out, NoOp, Stop)
	}
	if out.Outcome != env.Loss || out.Reward[0] != -1 {
		t.Errorf("a lost battle pays %v, want −1", out.Reward[0])
	}
}

// TestB15Ends: who has only healers left has lost, the allies first; nobody left is a draw; the clock truncates.
func TestB15Ends(t *testing.T) {
	allies, enemies := []stand{{"marine", 10, 10}, {"medivac", 8, 8}}, []stand{{"marine", 28, 28}, {"medivac", 26, 26}}
	for _, c := range []struct {
		dead                  []int
		outcome               env.Outcome
		terminated, truncated bool
		limit                 int
	}{
		{nil, env.Running, false, false, 100},
		{[]int{0}, env.Loss, true, false, 100},
		{[]int{1}, env.Running, false, false, 100},
		{[]int{2}, env.Win, true, false, 100},
		{[]int{3}, env.Running, false, false, 100},
		{[]int{0, 2}, env.Loss, true, false, 100},
		{[]int{0, 1, 2, 3}, env.Draw, true, false, 100},
		{nil, env.TimeOut, false, true, 1},
		{[]int{2}, env.Win, true, false, 1},
	} {
		b, out := stage(t, SC2, allies, enemies)
		b.world.Limit = c.limit
		for _, u := range c.dead {
			b.die(u)
		}
		b.bury()
		before := b.steps
		b.step(out, Stop, Stop)
		if out.Outcome != c.outcome || out.Terminated != c.terminated || out.Truncated != c.truncated {
			t.Errorf("with %v dead and limit %d: %v, terminated %v, truncated %v", c.dead, c.limit, out.Outcome, out.Terminated, out.Truncated)
		}
		if won := out.Reward[0]*b.fullPay/20 >= 199; won != (c.outcome == env.Win) {
			t.Errorf("with %v dead the step pays %v", c.dead, out.Reward[0])
		}
		if b.steps != before+1 {
			t.Errorf("%d steps", b.steps-before)
		}
		if !out.Over() {
			continue
		}
		end := fmt.Sprint(b.x, b.hp, out.Obs, out.State, out.Metrics)
		b.step(out, North, Stop)
		b.step(out, -7, 99)
		if got := fmt.Sprint(b.x, b.hp, out.Obs, out.State, out.Metrics); got != end || out.Outcome != c.outcome || out.Reward[0] != 0 {
			t.Errorf("stepping after the end changes %s to %s, outcome %v, reward %v", end, got, out.Outcome, out.Reward[0])
		}
	}
	b, out := stage(t, SC2, []stand{{"baneling", 10, 10}}, []stand{{"baneling", 10.9, 10}})
	b.step(out, Stop) // the enemy's explosion leaves nobody: 20 each on 30 hp does not
	if b.alive[1] || !b.alive[0] || out.Outcome != env.Win || b.totals[deadEnemies] != 1 {
		t.Errorf("an enemy baneling that explodes alone: alive %v, outcome %v", b.alive, out.Outcome)
	}
}

// trail is a hash of all that an episode shows.
func trail(b *battle, out *env.Step, key rng.Key, act []int32) uint64 {
	h, r := fnv.New64a(), key.Split("act").Rand()
	clear(out.Reward)
	out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
	b.Reset(env.Episode{Rand: key.Rand()}, out)
	for {
		for _, f := range [][]float32{out.Obs, out.State, out.Entities, out.Reward, out.Metrics} {
			var buf bytes.Buffer
			_ = binary.Write(&buf, binary.LittleEndian, f)
			h.Write(buf.Bytes())
		}
		fmt.Fprint(h, out.Avail, out.Hidden, out.Alive, out.Outcome)
		if out.Over() {
			return h.Sum64()
		}
		env.RandomActions(b.spec, out.Avail, r, act)
		b.step(out, act...)
	}
}

// TestB16Determinism: 100 episodes again, in another environment and another order, leave the same trail; and the
// same slots show the same with one worker and with eight.
func TestB16Determinism(t *testing.T) {
	w := MMM()
	a, outA := begin(t, w, rng.New(1))
	b, outB := begin(t, w, rng.New(2))
	act := make([]int32, a.maxAllies)
	var trails [100]uint64
	different := map[uint64]bool{}
	for e := range trails {
		trails[e] = trail(a, outA, rng.New(16).Split("env", int64(e)), act)
		different[trails[e]] = true
	}
	for e := len(trails) - 1; e >= 0; e-- {
		if got := trail(b, outB, rng.New(16).Split("env", int64(e)), act); got != trails[e] {
			t.Fatalf("episode %d leaves another trail when played again", e)
		}
	}
	if len(different) != len(trails) {
		t.Errorf("%d different episodes of %d", len(different), len(trails))
	}
	var want uint64
	for _, workers := range []int{1, 8} {
		v, err := env.NewVec(w, 16, func(e int64) rng.Key { return rng.New(16).Split("env", e) })
		if err != nil {
			t.Fatal(err)
		}
		v.Workers = workers
		h, r, act := fnv.New64a(), rng.New(16).Rand(), make([]int32, 16*v.Spec().Agents)
		for range 200 {
			before, err := v.Before()
			if err != nil {
				t.Fatal(err)
			}
			env.RandomActions(v.Spec(), before.Avail, r, act)
			after, err := v.Step(env.Actions{Discrete: act})
			if err != nil {
				t.Fatal(err)
			}
			_ = binary.Write(h, binary.LittleEndian, after.Entities)
			_ = binary.Write(h, binary.LittleEndian, after.Obs)
		}
		v.Close()
		if workers == 1 {
			want = h.Sum64()
		} else if h.Sum64() != want {
			t.Errorf("%d workers and 1 show different moments", workers)
		}
	}
}
