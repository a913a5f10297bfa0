package team

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shapes are the numbers of leaders and followers that the paper's compositions of 4 to 8 agents have.
var shapes = [][2]int{{2, 2}, {2, 3}, {2, 4}, {3, 3}, {2, 5}, {3, 4}, {2, 6}, {3, 5}, {4, 4}}

// market seats the first agents as leaders, the others as followers, capacities balanced.
func market(t testing.TB, leaders, followers int) *Market {
	t.Helper()
	n := leaders + followers
	m, role, here := NewMarket(n), make([]uint8, n), make([]bool, n)
	for a := range n {
		role[a], here[a] = Follower, true
		if a < leaders {
			role[a] = Leader
		}
	}
	if err := m.Seat(role, here); err != nil {
		t.Fatal(err)
	}
	return m
}

// draws are the distributions of random scores; the last has many ties.
var draws = map[string]func(r *rand.Rand) float32{
	"uniform":  func(r *rand.Rand) float32 { return r.Float32() },
	"gaussian": func(r *rand.Rand) float32 { return float32(r.NormFloat64()) },
	"ties":     func(r *rand.Rand) float32 { return float32(r.IntN(4)) },
}

func (m *Market) draw(r *rand.Rand, from string) {
	for i := range m.Scores {
		m.Scores[i] = draws[from](r)
	}
}

// example has the scores of leaders for followers and of followers for leaders, in their order.
type example struct {
	name      string
	leaders   [][]float32
	followers [][]float32
	capacity  []int
	oom       []int32 // [follower]
	proposals int
	som       []int32
	blocking  [][2]int // of som
}

var examples = []example{
	{
		"E1", [][]float32{{.9, .2}, {.6, .1}}, [][]float32{{.3, .4}, {.8, .5}}, []int{1, 1},
		[]int32{1, 0}, 3, []int32{0, 1}, [][2]int{{1, 2}},
	},
	{
		"E2", [][]float32{{.8, .5, .7}, {.8, .1, .5}}, [][]float32{{.4, .1}, {.2, .4}, {.8, .3}}, []int{2, 1},
		[]int32{0, 1, 0}, 5, []int32{0, 0, 1}, [][2]int{{0, 4}},
	},
	{
		"E3", [][]float32{{.2, .7, .9, .4, .8}, {.2, .8, .1, .5, .6}, {.2, .3, .8, .7, .6}},
		[][]float32{{.4, .5, .2}, {.9, .3, .7}, {.7, .1, .5}, {.8, .6, .2}, {.2, .3, .1}}, []int{2, 2, 1},
		[]int32{2, 0, 0, 1, 1}, 11, []int32{1, 0, 0, 1, 2}, [][2]int{{0, 7}, {1, 7}},
	},
}

// TestT1Examples: three markets solved by hand.
func TestT1Examples(t *testing.T) {
	for _, e := range examples {
		m := market(t, len(e.leaders), len(e.followers))
		nl := len(e.leaders)
		for l, row := range e.leaders {
			copy(m.Scores[l*m.Agents+nl:], row)
		}
		for f, row := range e.followers {
			copy(m.Scores[(nl+f)*m.Agents:], row)
		}
		if !slices.Equal(m.Capacity, e.capacity) {
			t.Errorf("%s: capacities %v, want %v", e.name, m.Capacity, e.capacity)
		}
		group := make([]int32, m.Agents)
		if n := Deferred(m, group); n != e.proposals || !slices.Equal(group[nl:], e.oom) {
			t.Errorf("%s: OOM %v after %d proposals, want %v after %d", e.name, group[nl:], n, e.oom, e.proposals)
		}
		if pairs := BlockingPairs(nil, m, group); len(pairs) > 0 {
			t.Errorf("%s: OOM is blocked by %v", e.name, pairs)
		}
		Greedy(m, group)
		if pairs := BlockingPairs(nil, m, group); !slices.Equal(group[nl:], e.som) || !slices.Equal(pairs, e.blocking) {
			t.Errorf("%s: SOM %v blocked by %v, want %v by %v", e.name, group[nl:], pairs, e.som, e.blocking)
		}
		for l := range nl {
			if group[l] != int32(l) {
				t.Errorf("%s: leader %d is in group %d", e.name, l, group[l])
			}
		}
	}
}

// TestT2Stability: OOM leaves no blocking pair, nobody alone, teams as large as the capacities.
func TestT2Stability(t *testing.T) {
	for i, s := range shapes {
		for _, from := range []string{"uniform", "gaussian", "ties"} {
			m, r := market(t, s[0], s[1]), rand.New(rand.NewPCG(2, uint64(i)))
			group, pairs := make([]int32, m.Agents), make([][2]int, 0, 16)
			for range 20_000 {
				m.draw(r, from)
				n := Deferred(m, group)
				pairs = BlockingPairs(pairs[:0], m, group)
				if len(pairs) > 0 || n > s[0]*s[1] || !slices.Equal(sizes(m, group), m.Capacity) {
					t.Fatalf("%v %s: groups %v after %d proposals, blocked by %v, capacities %v, scores %v", s, from, group, n, pairs, m.Capacity, m.Scores)
				}
			}
		}
	}
}

// sizes counts the followers in each group.
func sizes(m *Market, group []int32) []int {
	n := make([]int, len(m.Leaders))
	for _, f := range m.Followers {
		if group[f] >= 0 {
			n[group[f]]++
		}
	}
	return n
}

// blocked is the definition of stability written down once more, over sets and for unequal scores.
func blocked(m *Market, group []int32) bool {
	n := len(m.Leaders)
	team := make([][]int, n)
	for _, f := range m.Followers {
		team[group[f]] = append(team[group[f]], f)
	}
	at := func(i, j int) float32 { return m.Scores[i*m.Agents+j] }
	for k, l := range m.Leaders {
		for _, f := range m.Followers {
			wants := at(f, l) > at(f, m.Leaders[group[f]])
			if wants && (len(team[k]) < m.Capacity[k] || slices.ContainsFunc(team[k], func(g int) bool { return at(l, f) > at(l, g) })) {
				return true
			}
		}
	}
	return false
}

// TestT3LeaderOptimality: among all assignments that keep the capacities, enumerated, no stable one gives any leader
// a better team than OOM, place by place of the sorted scores; and BlockingPairs agrees with the definition on each.
func TestT3LeaderOptimality(t *testing.T) {
	for i, s := range shapes {
		m, r := market(t, s[0], s[1]), rand.New(rand.NewPCG(3, uint64(i)))
		oom, other := make([]int32, m.Agents), make([]int32, m.Agents)
		for range 300 {
			m.draw(r, "uniform")
			Deferred(m, oom)
			best, stable := teams(m, oom), 0
			copy(other, oom)
			for code := range int(math.Pow(float64(s[0]), float64(s[1]))) {
				for _, f := range m.Followers {
					other[f], code = int32(code%s[0]), code/s[0]
				}
				if !slices.Equal(sizes(m, other), m.Capacity) {
					continue
				}
				bad := blocked(m, other)
				if pairs := BlockingPairs(nil, m, other); bad != (len(pairs) > 0) {
					t.Fatalf("%v: %v is blocked by %v, by definition %v; scores %v", s, other, pairs, bad, m.Scores)
				}
				if bad {
					continue
				}
				stable++
				for l, scores := range teams(m, other) {
					for p := range scores {
						if scores[p] > best[l][p] {
							t.Fatalf("%v: leader %d has %v with OOM and %v in the stable %v; scores %v", s, l, best[l], scores, other, m.Scores)
						}
					}
				}
			}
			if stable == 0 {
				t.Fatalf("%v: no stable assignment among all, want at least OOM's %v", s, oom)
			}
		}
	}
}

// teams are each leader's scores of its followers, best first.
func teams(m *Market, group []int32) [][]float32 {
	out := make([][]float32, len(m.Leaders))
	for _, f := range m.Followers {
		l := m.Leaders[group[f]]
		out[group[f]] = append(out[group[f]], m.Scores[l*m.Agents+f])
	}
	for _, scores := range out {
		slices.SortFunc(scores, func(a, b float32) int { return map[bool]int{true: -1, false: 1}[a > b] })
	}
	return out
}

// TestT4OrderIndependence: whichever leader asks next, the result is the same.
func TestT4OrderIndependence(t *testing.T) {
	for i, s := range shapes {
		m, r := market(t, s[0], s[1]), rand.New(rand.NewPCG(4, uint64(i)))
		want, got := make([]int32, m.Agents), make([]int32, m.Agents)
		for range 2000 {
			m.draw(r, "gaussian")
			Deferred(m, want)
			anyOrder(m, r, got)
			if !slices.Equal(got, want) {
				t.Fatalf("%v: %v, and %v with leaders in random order; scores %v", s, want, got, m.Scores)
			}
		}
	}
}

// anyOrder is deferred acceptance in which a random leader with a free place asks, its best not yet asked found anew.
func anyOrder(m *Market, r *rand.Rand, group []int32) {
	asked, size := map[[2]int]bool{}, make([]int, len(m.Leaders))
	for a := range group {
		group[a] = Alone
	}
	for k, l := range m.Leaders {
		group[l] = int32(k)
	}
	for {
		var free []int
		for k := range m.Leaders {
			if size[k] < m.Capacity[k] {
				free = append(free, k)
			}
		}
		if len(free) == 0 {
			return
		}
		k := free[r.IntN(len(free))]
		l, best := m.Leaders[k], -1
		for _, f := range m.Followers {
			if !asked[[2]int{k, f}] && (best < 0 || m.Scores[l*m.Agents+f] > m.Scores[l*m.Agents+best]) {
				best = f
			}
		}
		asked[[2]int{k, best}] = true
		q := group[best]
		if q != Alone && m.Scores[best*m.Agents+m.Leaders[q]] > m.Scores[best*m.Agents+l] {
			continue
		}
		if q != Alone {
			size[q]--
		}
		group[best] = int32(k)
		size[k]++
	}
}

// algorithm2 is Algorithm 2 of the paper over maps, line by line.
func algorithm2(m *Market) map[int]int {
	of, team := map[int]int{}, map[int][]int{}
	for _, f := range m.Followers {
		best, choice := math.Inf(-1), -1
		for k, l := range m.Leaders {
			if len(team[k]) < m.Capacity[k] {
				if s := float64(m.Scores[f*m.Agents+l]) + float64(m.Scores[l*m.Agents+f]); s > best {
					best, choice = s, k
				}
			}
		}
		if choice >= 0 {
			of[f], team[choice] = choice, append(team[choice], f)
		}
	}
	return of
}

// TestT5Greedy: SOM is Algorithm 2, and on uniform scores it is blocked, and differs from OOM, as often as measured
// beforehand by another program (20,000 instances each); so does the number of OOM's proposals.
func TestT5Greedy(t *testing.T) {
	type rates struct{ blocked, differs, proposals float64 }
	measured := []rates{
		{24.8, 30.9, 2.49}, {37.6, 43.8, 3.83}, {49.7, 57.1, 5.46}, {49.2, 57.4, 4.39}, {59.4, 65.6, 6.93},
		{61.6, 68.8, 5.99}, {66.7, 72.5, 8.60}, {70.7, 77.3, 7.84}, {67.4, 75.2, 6.55},
	}
	const draws = 20_000
	for i, s := range shapes {
		for _, from := range []string{"uniform", "ties"} {
			m, r := market(t, s[0], s[1]), rand.New(rand.NewPCG(5, uint64(i)))
			som, oom, pairs := make([]int32, m.Agents), make([]int32, m.Agents), make([][2]int, 0, 16)
			var got rates
			for range draws {
				m.draw(r, from)
				Greedy(m, som)
				want := algorithm2(m)
				for _, f := range m.Followers {
					if som[f] != int32(want[f]) {
						t.Fatalf("%v %s: %v, want %v; scores %v", s, from, som, want, m.Scores)
					}
				}
				if pairs = BlockingPairs(pairs[:0], m, som); len(pairs) > 0 {
					got.blocked += 100. / draws
				}
				got.proposals += float64(Deferred(m, oom)) / draws
				if !slices.Equal(som, oom) {
					got.differs += 100. / draws
				}
			}
			if from != "uniform" {
				continue
			}
			want := measured[i]
			if math.Abs(got.blocked-want.blocked) > 1.5 || math.Abs(got.differs-want.differs) > 1.5 || math.Abs(got.proposals-want.proposals) > 0.1 {
				t.Errorf("%v: %.2f, want %.2f (share of blocked SOM, of SOM that is not OOM, proposals)", s, got, want)
			}
		}
	}
}

// TestT6OrderOnly: OOM is the same for any increasing function of each row; SOM is not.
func TestT6OrderOnly(t *testing.T) {
	changed := 0
	for i, s := range shapes {
		m, r := market(t, s[0], s[1]), rand.New(rand.NewPCG(6, uint64(i)))
		n := m.Agents
		before, after := make([]int32, n), make([]int32, n)
		som, again := make([]int32, n), make([]int32, n)
		for range 2000 {
			m.draw(r, "ties")
			Deferred(m, before)
			Greedy(m, som)
			for a := range n {
				scale, shift := float32(r.Float64())+.1, float32(r.NormFloat64())
				for j := range n {
					x := &m.Scores[a*n+j] // 0 to 3: cubes and exponentials stay apart
					if a%2 == 0 {
						*x = scale**x**x**x + shift
					} else {
						*x = float32(math.Exp(float64(*x))) - shift
					}
				}
			}
			Deferred(m, after)
			if Greedy(m, again); !slices.Equal(som, again) {
				changed++
			}
			if !slices.Equal(before, after) {
				t.Fatalf("%v: OOM is %v, and %v after increasing functions of the rows", s, before, after)
			}
		}
	}
	if changed == 0 {
		t.Error("SOM never changed with the rows' scales")
	}
	m := market(t, 2, 2) // one case by hand: follower 2's row × 10 makes it choose leader 1
	copy(m.Scores, []float32{0, 0, .9, .5, 0, 0, .1, .5, .1, .4, 0, 0, .5, .5, 0, 0})
	group := make([]int32, 4)
	Greedy(m, group)
	first := group[2]
	m.Scores[8], m.Scores[9] = 1, 4
	if Greedy(m, group); first != 0 || group[2] != 1 {
		t.Errorf("follower 2 goes to %d, and with ten times its scores to %d, want 0 and 1", first, group[2])
	}
}
