package team

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestT7Capacities: the table of team sizes, in agents and leaders.
func TestT7Capacities(t *testing.T) {
	for _, c := range []struct {
		agents, leaders int
		want            []int
	}{
		{3, 2, []int{1, 0}}, {4, 2, []int{1, 1}}, {5, 2, []int{2, 1}}, {6, 2, []int{2, 2}}, {6, 3, []int{1, 1, 1}}, {7, 2, []int{3, 2}},
		{7, 3, []int{2, 1, 1}}, {8, 2, []int{3, 3}}, {8, 3, []int{2, 2, 1}}, {8, 4, []int{1, 1, 1, 1}}, {2, 2, []int{0, 0}},
	} {
		if m := market(t, c.leaders, c.agents-c.leaders); !slices.Equal(m.Capacity, c.want) {
			t.Errorf("%d agents, %d leaders: capacities %v, want %v", c.agents, c.leaders, m.Capacity, c.want)
		}
	}
}

var matchers = []Matcher{OOM(), SOM(), Random(), Fixed(), None()}

// TestT7Groups: whoever is there is in exactly one group, a leader in its own, and nobody else is in any. Agents who
// are absent, and leaders who are, stand anywhere.
func TestT7Groups(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0))
	for _, rule := range matchers {
		m := NewMarket(8)
		role, here, group := make([]uint8, 16), make([]bool, 16), make([]int32, 8)
		for range 3000 {
			leaders := 0
			for a := range role {
				role[a], here[a] = uint8(r.IntN(3)), r.IntN(4) > 0
				if a < 8 && role[a] == Leader && here[a] {
					leaders++
				}
			}
			if err := m.Seat(role, here); err != nil {
				t.Fatal(err)
			}
			m.draw(r, []string{"uniform", "ties"}[r.IntN(2)])
			rule.Match(m, r, group)
			number := int32(-1)
			for a, g := range group {
				if role[a] == Leader {
					number++
				}
				var want bool
				switch {
				case !here[a] || role[a] == 0 || leaders == 0 && rule.Name != "none":
					want = g == Alone
				case rule.Name == "none":
					want = g == 0
				case role[a] == Leader:
					want = g == number
				default:
					want = g >= 0 && here[m.Leaders[g]]
				}
				if !want {
					t.Fatalf("%s: agent %d is in group %d of %v; roles %v, there %v", rule.Name, a, g, group, role[:8], here[:8])
				}
			}
			if rule.Name == "none" || leaders == 0 {
				continue
			}
			for k, n := range sizes(m, group) {
				if n != max(m.Capacity[k], 0) {
					t.Fatalf("%s: teams of %v, want %v", rule.Name, sizes(m, group), m.Capacity)
				}
			}
		}
	}
}

// TestT8NoAllocations: matching again, asking for blocking pairs and seating allocate nothing.
func TestT8NoAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 0))
	for _, s := range shapes {
		m := market(t, s[0], s[1])
		group, pairs := make([]int32, m.Agents), make([][2]int, 0, 32)
		role, here := make([]uint8, m.Agents), make([]bool, m.Agents)
		for a := range role {
			role[a], here[a] = Follower, true
			if a < s[0] {
				role[a] = Leader
			}
		}
		for _, rule := range matchers {
			allocs := testing.AllocsPerRun(100, func() {
				m.draw(r, "uniform")
				if err := m.Seat(role, here); err != nil {
					t.Fatal(err)
				}
				rule.Match(m, r, group)
				pairs = BlockingPairs(pairs[:0], m, group)
			})
			if allocs != 0 {
				t.Errorf("%s of %v: %v allocations, want 0", rule.Name, s, allocs)
			}
		}
	}
}

// BenchmarkT8Match: 10,000 matchings are to take less than 20 ms, 2 µs each; scores are drawn beforehand.
func BenchmarkT8Match(b *testing.B) {
	for _, s := range [][2]int{{4, 4}, {2, 6}} {
		for _, rule := range matchers {
			b.Run(fmt.Sprintf("%s/%d,%d", rule.Name, s[0], s[1]), func(b *testing.B) {
				m, r := market(b, s[0], s[1]), rand.New(rand.NewPCG(9, 0))
				group, scores := make([]int32, m.Agents), make([][]float32, 1024)
				for i := range scores {
					m.draw(r, "uniform")
					scores[i] = slices.Clone(m.Scores)
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					m.Scores = scores[i%len(scores)]
					rule.Match(m, r, group)
				}
				b.ReportMetric(10_000*float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/10k")
			})
		}
	}
}

func TestErrors(t *testing.T) {
	m := NewMarket(4)
	for want, err := range map[string]error{
		"team: 3 roles and 4 marks of presence, want one for each of 4 agents": m.Seat(make([]uint8, 3), make([]bool, 4)),
		"team: 1 capacities for 2 leaders, want one each":                      m.Set([]int{0, 1}, []int{2}, []int{1}),
		"team: agent 4 leads or follows, want 0 to 3":                          m.Set([]int{0}, []int{4}, []int{1}),
		"team: agent 1 stands twice among leaders and followers":               m.Set([]int{0, 1}, []int{2, 1}, []int{1, 1}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
