package matching

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/rng"
)

func TestContract(t *testing.T) {
	for _, w := range []env.World{NewGroups(4, 6), NewGroups(8, 6), NewGroups(1, 2), Groups{Agents: 3, Cells: 4, Slip: 1, Limit: 5}} {
		envtest.Check(t, w)
	}
}

// placed is a game of agents of these groups on these cells that never slip.
func placed(t *testing.T, cells int, group, cell []int) (*game, *env.Step) {
	t.Helper()
	w := Groups{Agents: len(group), Cells: cells, Limit: 3}
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	g, out := e.(*game), env.NewBatch(e.Spec(), 1).At(0)
	g.Reset(env.Episode{Rand: rng.New(1).Rand()}, out)
	copy(g.group, group)
	copy(g.cell, cell)
	g.matched = g.together()
	return g, out
}

// TestStep: agents placed by hand on a ring of 5, moved once; rewards are −0.1 + 2.5 × groups more together.
func TestStep(t *testing.T) {
	for _, c := range []struct {
		what              string
		group, cell, move []int
		want              []int
		reward            float64
		outcome           env.Outcome
	}{
		{"over the end, to the left and to the right", []int{0, 0, 1, 1}, []int{0, 4, 2, 4}, []int{Left, Right, Stay, Stay}, []int{4, 0, 2, 4}, -0.1, env.Running},
		{"one group meets", []int{0, 0, 1, 1}, []int{0, 1, 2, 4}, []int{Right, Stay, Stay, Stay}, []int{1, 1, 2, 4}, 2.4, env.Running},
		{"both meet, on one cell", []int{0, 0, 1, 1}, []int{0, 1, 2, 1}, []int{Right, Stay, Left, Stay}, []int{1, 1, 1, 1}, 4.9, env.Win},
		{"one parts, the other meets", []int{0, 0, 1, 1}, []int{3, 3, 2, 1}, []int{Right, Stay, Left, Stay}, []int{4, 3, 1, 1}, -0.1, env.Running},
		{"one parts", []int{0, 0, 1, 1}, []int{3, 3, 0, 2}, []int{Left, Right, Stay, Stay}, []int{2, 4, 0, 2}, -2.6, env.Running},
		{"all in one group: the empty one is together", []int{1, 1, 1, 1}, []int{2, 2, 2, 3}, []int{Stay, Stay, Stay, Left}, []int{2, 2, 2, 2}, 2.4, env.Win},
		{"together from the beginning, and staying", []int{0, 1, 1, 1}, []int{0, 2, 2, 2}, []int{Right, Stay, Stay, Stay}, []int{1, 2, 2, 2}, -0.1, env.Win},
		{"neighbours who change places", []int{0, 0, 1, 1}, []int{1, 2, 3, 4}, []int{Right, Left, Right, Left}, []int{2, 1, 4, 3}, -0.1, env.Running},
	} {
		g, out := placed(t, 5, c.group, c.cell)
		act := make([]int32, 4)
		for a, m := range c.move {
			act[a] = int32(m)
		}
		clear(out.Reward)
		g.Step(env.Actions{Discrete: act}, out)
		if !slices.Equal(g.cell, c.want) || out.Outcome != c.outcome || out.Terminated != (c.outcome == env.Win) || out.Truncated {
			t.Errorf("%s: cells %v, %v, want %v, %v", c.what, g.cell, out.Outcome, c.want, c.outcome)
		}
		for a, r := range out.Reward {
			if math.Abs(float64(r)-c.reward) > 1e-6 {
				t.Errorf("%s: agent %d receives %v, want %v", c.what, a, r, c.reward)
			}
		}
	}
}

// TestClock: the last step ends the episode by time-out, unless it wins.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		last int32
		want env.Outcome
	}{{Stay, env.TimeOut}, {Right, env.Win}} {
		g, out := placed(t, 5, []int{0, 0, 1}, []int{0, 1, 3})
		for step := range 3 {
			if out.Over() {
				t.Fatalf("over after %d steps, want 3", step)
			}
			act := []int32{Stay, Stay, Stay}
			if step == 2 {
				act[0] = c.last
			}
			g.Step(env.Actions{Discrete: act}, out)
		}
		if out.Outcome != c.want || out.Truncated != (c.want == env.TimeOut) || out.Terminated != (c.want == env.Win) {
			t.Errorf("ends as %v, terminated %v, truncated %v, want %v", out.Outcome, out.Terminated, out.Truncated, c.want)
		}
	}
}

// TestSeen: what entities, state and observations of three agents on four cells say.
func TestSeen(t *testing.T) {
	g, out := placed(t, 4, []int{0, 1, 1}, []int{3, 0, 2})
	g.Step(env.Actions{Discrete: []int32{Stay, Stay, Left}}, out)
	rows := [][]float32{ // cell, group, number
		{0, 0, 0, 1, 1, 0, 1, 0, 0},
		{1, 0, 0, 0, 0, 1, 0, 1, 0},
		{0, 1, 0, 0, 0, 1, 0, 0, 1},
	}
	if all := slices.Concat(rows...); !slices.Equal(out.Entities, all) || !slices.Equal(out.State, all) {
		t.Errorf("entities %v, state %v, want %v", out.Entities, out.State, all)
	}
	want := slices.Concat(rows[0], rows[1], rows[2], rows[1], rows[0], rows[2], rows[2], rows[0], rows[1])
	if !slices.Equal(out.Obs, want) {
		t.Errorf("observations %v, want %v", out.Obs, want)
	}
	if slices.Contains(out.Hidden, true) || slices.Contains(out.Present, false) || slices.Contains(out.Alive, false) {
		t.Errorf("hidden %v, present %v, alive %v, want everybody seen", out.Hidden, out.Present, out.Alive)
	}
}

// TestReset: group 0 has 0 to 3 of 4 agents equally often, and any agents; cells are uniform. Bounds are five standard
// deviations of so many draws.
func TestReset(t *testing.T) {
	const episodes, agents, cells = 12_000, 4, 6
	e, err := NewGroups(agents, cells).New()
	if err != nil {
		t.Fatal(err)
	}
	g, out := e.(*game), env.NewBatch(e.Spec(), 1).At(0)
	var size, member [agents]int
	var at [agents][cells]int
	for n := range int64(episodes) {
		g.Reset(env.Episode{Rand: rng.New(2).Split("env", n).Rand()}, out)
		k := 0
		for a := range agents {
			if g.group[a] == 0 {
				k++
				member[a]++
			}
			at[a][g.cell[a]]++
		}
		size[k]++
	}
	within := func(what string, n int, p float64) {
		if mean, sd := episodes*p, math.Sqrt(episodes*p*(1-p)); math.Abs(float64(n)-mean) > 5*sd {
			t.Errorf("%s: %d times of %d, want %.0f ± %.0f", what, n, episodes, mean, 5*sd)
		}
	}
	for a := range agents {
		within("size of group 0", size[a], 1./agents)
		within("member of group 0", member[a], 3./8) // mean size 1.5 of 4
		for _, n := range at[a] {
			within("cell", n, 1./cells)
		}
	}
}

// TestSlips: with probability Slip an agent does one of the three things at random: who wants to stay moves away with
// 2/3 of it. 30,000 agent-steps of Slip 0.3: 0.2 ± 0.012 (five standard deviations).
func TestSlips(t *testing.T) {
	g, out := placed(t, 6, []int{0, 0, 1, 1}, []int{0, 0, 0, 0})
	g.w.Slip, g.rand = 0.3, rng.New(3).Rand()
	var moved [moves]float64
	const steps = 7500
	for range steps {
		copy(g.cell, []int{3, 3, 3, 3})
		g.Step(env.Actions{Discrete: []int32{Stay, Stay, Stay, Stay}}, out)
		for _, c := range g.cell {
			moved[c-2] += 1. / (4 * steps)
		}
	}
	if math.Abs(moved[Left]-0.1) > 0.009 || math.Abs(moved[Right]-0.1) > 0.009 {
		t.Errorf("left, stayed, right: %.3f, want 0.1, 0.8, 0.1", moved)
	}
}

// nearest goes to the first agent of the own group by the shorter way; that agent stays.
func nearest(g *game, act []int32) {
	for a := range act {
		goal := g.cell[slices.Index(g.group, g.group[a])]
		switch d := (goal - g.cell[a] + g.w.Cells) % g.w.Cells; {
		case d == 0:
			act[a] = Stay
		case 2*d <= g.w.Cells:
			act[a] = Right
		default:
			act[a] = Left
		}
	}
}

// TestReference: shares of won episodes, returns and lengths of two policies over 4,000 episodes as the released
// game has them (measured there, 4,000 episodes, for the specification of this project). Bounds are at least five
// standard errors of the difference, from the standard deviation of each quantity.
func TestReference(t *testing.T) {
	const episodes = 4000
	for _, c := range []struct {
		agents int
		policy string
		want   [3]float64 // won, return, length
		within [3]float64
	}{
		{8, "random", [3]float64{0.001, -4.99, 50.0}, [3]float64{0.005, 0.1, 0.1}},
		{8, "join", [3]float64{1, 3.57, 3.9}, [3]float64{0.001, 0.2, 0.3}},
		{4, "random", [3]float64{0.59, -1.62, 33.2}, [3]float64{0.055, 0.35, 2.2}},
		{4, "join", [3]float64{1, 2.62, 2.6}, [3]float64{0.001, 0.2, 0.25}},
	} {
		e, err := NewGroups(c.agents, 6).New()
		if err != nil {
			t.Fatal(err)
		}
		g, out, act := e.(*game), env.NewBatch(e.Spec(), 1).At(0), make([]int32, c.agents)
		choose := rand.New(rand.NewPCG(1, 2))
		var got [3]float64
		for n := range int64(episodes) {
			out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
			g.Reset(env.Episode{Rand: rng.New(4).Split("env", n).Rand()}, out)
			for !out.Over() {
				if nearest(g, act); c.policy == "random" {
					for a := range act {
						act[a] = int32(choose.IntN(moves))
					}
				}
				g.Step(env.Actions{Discrete: act}, out)
				got[1] += float64(out.Reward[0]) / episodes
				got[2] += 1. / episodes
			}
			if out.Outcome == env.Win {
				got[0] += 1. / episodes
			}
		}
		t.Logf("%d agents, %s: %.3f", c.agents, c.policy, got)
		for i, what := range []string{"won", "return", "length"} {
			if math.Abs(got[i]-c.want[i]) > c.within[i] {
				t.Errorf("%d agents, %s: %s %.3f, want %.3f ± %.3f", c.agents, c.policy, what, got[i], c.want[i], c.within[i])
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for want, w := range map[string]Groups{
		"matching: Groups.Agents is 0, want 1 to 256":       {Agents: 0, Cells: 6, Limit: 50},
		"matching: Groups.Cells is 1, want 2 to 1024":       {Agents: 4, Cells: 1, Limit: 50},
		"matching: Groups.Slip is NaN, want a probability":  {Agents: 4, Cells: 6, Slip: math.NaN(), Limit: 50},
		"matching: Groups.Slip is 1.5, want a probability":  {Agents: 4, Cells: 6, Slip: 1.5, Limit: 50},
		"matching: Groups.Limit is 0, want at least 1 step": {Agents: 4, Cells: 6},
	} {
		if _, err := w.New(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	b.Run("matching/groups-8x6", func(b *testing.B) { envtest.BenchStep(b, NewGroups(8, 6)) })
}
