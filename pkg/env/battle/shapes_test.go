package battle

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestB8Sizes: of SMAC's maps, computed from its own sources, and of SMACv2's and REFIL's scenarios.
func TestB8Sizes(t *testing.T) {
	for _, c := range []struct {
		name                                             string
		allies, enemies, limit, actions, obs, state, pay int
	}{
		{"3m", 3, 3, 60, 9, 30, 48, 365}, {"8m", 8, 8, 120, 14, 80, 168, 640}, {"25m", 25, 25, 150, 31, 250, 950, 1575},
		{"5m_vs_6m", 5, 6, 70, 12, 55, 98, 530}, {"8m_vs_9m", 8, 9, 120, 15, 85, 179, 695}, {"10m_vs_11m", 10, 11, 150, 17, 105, 243, 805},
		{"27m_vs_30m", 27, 30, 180, 36, 285, 1170, 1850}, {"MMM", 10, 10, 150, 16, 160, 290, 1015}, {"MMM2", 10, 12, 180, 18, 176, 322, 1205},
		{"2s3z", 5, 5, 120, 11, 80, 120, 1020}, {"3s5z", 8, 8, 150, 14, 128, 216, 1510}, {"3s5z_vs_3s6z", 8, 9, 170, 15, 136, 230, 1670},
		{"3s_vs_3z", 3, 3, 150, 9, 36, 54, 680}, {"3s_vs_4z", 3, 4, 200, 10, 42, 61, 840}, {"3s_vs_5z", 3, 5, 250, 11, 48, 68, 1000},
		{"1c3s5z", 9, 9, 180, 15, 162, 270, 1870}, {"2m_vs_1z", 2, 1, 150, 7, 16, 26, 360}, {"corridor", 6, 24, 400, 30, 156, 282, 1280},
		{"6h_vs_8z", 6, 8, 150, 14, 78, 140, 1480}, {"2s_vs_1sc", 2, 1, 300, 7, 17, 27, 510}, {"so_many_baneling", 7, 32, 100, 38, 202, 397, 1480},
		{"bane_vs_bane", 24, 24, 200, 30, 336, 984, 1260}, {"2c_vs_64zg", 2, 64, 400, 70, 332, 342, 3080},
	} {
		b, out := begin(t, Map(c.name), rng.New(1))
		s := b.Spec()
		got := []int{s.Agents, s.Entities - s.Agents, s.MaxSteps, s.Actions[0], s.ObsDim, s.StateDim, int(b.fullPay)}
		if want := []int{c.allies, c.enemies, c.limit, c.actions, c.obs, c.state, c.pay}; !slices.Equal(got, want) {
			t.Errorf("%s: allies, enemies, limit, actions, obs, state, pay are %v, want %v", c.name, got, want)
		}
		if err := out.Check(s); err != nil {
			t.Error(err)
		}
	}
	if n := len(MapNames()); n != 23 {
		t.Errorf("%d maps, want 23", n)
	}
	for _, c := range []struct {
		w                                  World
		entities, entity, actions, pay, at int
	}{
		{SZ(), 16, 38, 14, 1550, 30}, {CSZ(), 16, 39, 14, 1930, 31}, {MMM(), 16, 46, 22, 930, 39}, // at: hp (REFIL's descendants read it there)
	} {
		b, _ := begin(t, c.w, rng.New(1))
		s := b.Spec()
		got := []int{s.Agents, s.Entities, s.EntityDim, s.Actions[0], int(b.fullPay), b.layout.hp, s.MaxSteps, s.Roles}
		if want := []int{8, c.entities, c.entity, c.actions, c.pay, c.at, 150, 3}; !slices.Equal(got, want) {
			t.Errorf("%s: agents, entities, their width, actions, pay, place of hp, limit, roles are %v, want %v", c.w.Name, got, want)
		}
	}
	one := CSZ()
	one.Composition = []int{2, 2, 1}
	for _, w := range []World{CSZ(3, 4, 5).WithLeaders(2), CSZ(8).WithLeaders(4), one, CSZ().WithProfile(Lite)} {
		b, _ := begin(t, w, rng.New(1))
		all, _ := begin(t, CSZ(), rng.New(1))
		if b.spec.Name = all.spec.Name; !reflect.DeepEqual(b.spec, all.spec) {
			t.Errorf("%s has sizes %+v, want its family's %+v", w.name(), b.spec, all.spec)
		}
	}
	for name, want := range map[string][3]int{ // actions, obs, state as SMACv2 gives them with own positions
		"terran_5_vs_5": {11, 82, 120}, "protoss_5_vs_5": {11, 92, 130}, "zerg_10_vs_11": {17, 4 + 11*8 + 9*8 + 6, 10*7 + 11*6 + 10*17},
	} {
		b, _ := begin(t, Random(name), rng.New(1))
		if s := b.Spec(); [3]int{s.Actions[0], s.ObsDim, s.StateDim} != want || s.MaxSteps != 200 {
			t.Errorf("%s: actions, obs, state are %v %v %v, want %v", name, s.Actions[0], s.ObsDim, s.StateDim, want)
		}
	}
}

// TestObservationOf3m checks every number of one agent's observation, state and entity row with units put by hand.
func TestObservationOf3m(t *testing.T) {
	w := Map("3m")
	b, out := put(t, w, []stand{
		{"marine", 10, 16}, {"marine", 12, 16}, {"marine", 10, 26}, // the third is out of sight of the first
		{"marine", 13, 20}, {"marine", 16, 16}, {"marine", 19, 16}, // at 5, 6 and 9 from the first: sight of features ends before 9
	})
	b.hp[3], b.ready[0] = 9, 7.885 // half of 15.77
	b.step(out, Stop, North, Stop)
	b.x, b.y = []float32{10, 12, 10, 13, 16, 19}, []float32{16, 16, 26, 20, 16, 16}
	copy(b.hp, []float32{45, 22.5, 45, 9, 45, 45})
	b.ready[0] = float32(b.now) + 7.8864
	b.show(out)
	want := []float32{
		1, 1, 1, 1,
		1, 5 / 9.0, 3 / 9.0, 4 / 9.0, 0.2,
		1, 6 / 9.0, 6 / 9.0, 0, 1,
		0, 0, 0, 0, 0,
		1, 2 / 9.0, 2 / 9.0, 0, 0.5,
		0, 0, 0, 0, 0,
		1,
	}
	for i, x := range want {
		if !near(out.Obs[i], x, 1e-6) {
			t.Errorf("observation %d is %v, want %v", i, out.Obs[i], x)
		}
	}
	state := make([]float32, 48)
	copy(state, []float32{1, 0.5, -6 / 32.0, 0, 0.5, 0, -4 / 32.0, 0, 1, 0, -6 / 32.0, 10 / 32.0, 0.2, -3 / 32.0, 4 / 32.0, 1, 0, 0, 1, 3 / 32.0, 0})
	state[21+Stop], state[21+9+North], state[21+18+Stop] = 1, 1, 1
	for i, x := range state {
		if !near(out.State[i], x, 1e-4) {
			t.Errorf("state %d is %v, want %v", i, out.State[i], x)
		}
	}
	hidden := []bool{false, false, true, false, false, false} // the edge, 9, is in sight here
	if !slices.Equal(out.Hidden[:6], hidden) {
		t.Errorf("hidden from agent 0: %v, want %v", out.Hidden[:6], hidden)
	}
	// entity row of agent 0: tag 3 (after three enemies), moves and targets, one type, hp, energy, cooldown, places
	mx, my := float32(80/6.0), float32(110/6.0)
	far := float32(math.Hypot(float64(10-mx), float64(26-my)))
	row := []float32{0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0.5, -6 / 32.0, 0, (10 - mx) / far, (16 - my) / far}
	if len(row) != b.spec.EntityDim {
		t.Fatalf("an entity has %d values, want %d", b.spec.EntityDim, len(row))
	}
	for i, x := range row {
		if !near(out.Entities[i], x, 1e-4) {
			t.Errorf("value %d of entity 0 is %v, want %v", i, out.Entities[i], x)
		}
	}
	b.die(0)
	b.bury()
	b.show(out)
	for i, x := range out.Entities[:b.spec.EntityDim] {
		if want := i == 3 || i == b.layout.typ; (x == 1) != want || x != 0 && x != 1 {
			t.Errorf("value %d of a dead entity is %v, want tag and type only", i, x)
		}
	}
	if slices.ContainsFunc(out.Obs[:b.spec.ObsDim], func(x float32) bool { return x != 0 }) || out.State[0] != 0 {
		t.Error("the dead observe something")
	}
}

// TestB11Order: agents by SMAC's type numbers, enemies by StarCraft's; leaders are the first agents.
func TestB11Order(t *testing.T) {
	for _, c := range []struct {
		w               World
		allies, enemies []string
	}{
		{SZ(), []string{"stalker", "zealot"}, []string{"zealot", "stalker"}},
		{CSZ(), []string{"colossus", "stalker", "zealot"}, []string{"colossus", "zealot", "stalker"}},
		{MMM(), []string{"marauder", "marine", "medivac"}, []string{"marine", "marauder", "medivac"}},
	} {
		for leaders := range 5 {
			w := c.w.WithLeaders(leaders)
			if leaders > 2 {
				w.Sizes = []int{2 * leaders, 8} // as many followers
			}
			b, out := begin(t, w, rng.New(1))
			for episode := range int64(40) {
				b.Reset(env.Episode{Rand: rng.New(7).Split("env", episode).Rand()}, out)
				place := func(u int, order []string) int { return slices.Index(order, b.armory.names[b.kind[u]]) }
				for u := range b.n - 1 {
					order := c.allies
					if u >= b.na {
						order = c.enemies
					}
					if p, q := place(u, order), place(u+1, order); u != b.na-1 && (p > q || p == q && b.x[u] > b.x[u+1]) {
						t.Fatalf("%s episode %d: units %d and %d are out of order", c.w.Name, episode, u, u+1)
					}
				}
				for slot, role := range out.Role {
					want := uint8(0)
					switch {
					case slot < min(leaders, b.na):
						want = Leader
					case slot < b.na:
						want = Follower
					case slot >= b.maxAllies && slot < b.maxAllies+b.n-b.na:
						want = NonAgent
					}
					if role != want {
						t.Fatalf("%s with %d leaders: role of slot %d is %d, want %d", c.w.Name, leaders, slot, role, want)
					}
				}
			}
		}
	}
}

// TestB12Tags: distinct, enemies 0 to 7, allies 8 to 15, each with chance n/8, and 6 + tag acts on that unit.
func TestB12Tags(t *testing.T) {
	b, out := begin(t, MMM(4), rng.New(1))
	const episodes = 4000
	var seen [16]int
	for episode := range int64(episodes) {
		b.Reset(env.Episode{Rand: rng.New(8).Split("env", episode).Rand()}, out)
		used := map[uint8]bool{}
		for u := range b.n {
			tag := b.tag[u]
			if used[tag] || (tag < 8) != (u >= b.na) || tag > 15 {
				t.Fatalf("unit %d of %d allies has tag %d, tags so far %v", u, b.na, tag, used)
			}
			used[tag] = true
			seen[tag]++
			if row := out.Entities[b.slot(u)*b.spec.EntityDim:]; row[tag] != 1 {
				t.Fatalf("the row of unit %d does not show its tag %d", u, tag)
			}
		}
		if episode > 50 {
			continue
		}
		for i := range b.na { // everybody in reach
			b.x[i], b.y[i] = 16, 16
		}
		for v := b.na; v < b.n; v++ {
			b.x[v], b.y[v] = 17, 16
		}
		b.show(out)
		for i := range b.na {
			heals := b.armory.kinds[b.kind[i]].attack == Heal
			for a := FirstTarget; a < b.layout.actions; a++ {
				v := b.named(i, a)
				if !out.Avail[i*b.layout.actions+a] {
					continue
				}
				if int(b.tag[v]) != a-FirstTarget || heals != (v < b.na) {
					t.Fatalf("action %d of agent %d (heals: %v) is about unit %d with tag %d", a, i, heals, v, b.tag[v])
				}
				act := make([]int32, 8)
				act[i] = int32(a)
				b.orderAllies(act)
				if b.order[i] != attack || b.target[i] != int16(v) {
					t.Fatalf("action %d of agent %d targets %d, want %d", a, i, b.target[i], v)
				}
			}
		}
	}
	for tag, n := range seen { // p = 1/2, standard deviation 32
		if n < episodes/2-160 || n > episodes/2+160 {
			t.Errorf("tag %d is drawn in %d of %d episodes, want half", tag, n, episodes)
		}
	}
}

// TestB13Masks plays 100,000 random steps in several worlds: only the available is chosen, and all of it works.
func TestB13Masks(t *testing.T) {
	worlds := []World{Map("MMM2"), Map("2s3z"), SZ(), CSZ(3, 4, 5), MMM()}
	for _, w := range worlds {
		b, out := begin(t, w, rng.New(1))
		n, slots := b.layout.actions, b.spec.Entities
		act, r := make([]int32, b.maxAllies), rng.New(2).Rand()
		for step, episode := 0, int64(0); step < 100_000/len(worlds); step++ {
			if out.Terminated || out.Truncated {
				if b.totals[illegalActions] != 0 {
					t.Fatalf("%s counts %v illegal actions", w.Name, b.totals[illegalActions])
				}
				episode++
				out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
				b.Reset(env.Episode{Rand: rng.New(2).Split("env", episode).Rand()}, out)
			}
			present := 0
			for j := range slots {
				if out.Present[j] {
					present++
				}
			}
			if present != b.n {
				t.Fatalf("%s: %d entities are present, want %d", w.Name, present, b.n)
			}
			for i := range b.maxAllies {
				avail := out.Avail[i*n : (i+1)*n]
				if alive := i < b.na && b.alive[i]; alive == avail[NoOp] || alive != avail[Stop] || !alive && slices.Contains(avail[Stop:], true) {
					t.Fatalf("%s: agent %d (alive: %v) may choose %v", w.Name, i, alive, avail)
				}
				for j := range b.maxAllies {
					if out.Hidden[i*slots+j] != out.Hidden[j*slots+i] {
						t.Fatalf("%s: agent %d and %d do not see each other alike", w.Name, i, j)
					}
				}
				for a := range n {
					if i < b.na && b.alive[i] && avail[a] != b.available(i, a) {
						t.Fatalf("%s: action %d of agent %d is offered: %v, and carried out: %v", w.Name, a, i, avail[a], b.available(i, a))
					}
				}
			}
			env.RandomActions(b.spec, out.Avail, r, act)
			b.step(out, act...)
			if err := out.Check(b.spec); err != nil {
				t.Fatalf("%s: %v", w.Name, err)
			}
		}
	}
}
