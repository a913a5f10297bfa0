package team

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNotFinite: scores that are not finite rank last, where they stand, and leave nobody alone.
func TestNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	m, clean := market(t, 2, 4), market(t, 2, 4)
	got, want := make([]int32, 6), make([]int32, 6)
	r := rand.New(rand.NewPCG(1, 0))
	for range 2000 {
		clean.draw(r, "gaussian")
		copy(m.Scores, clean.Scores)
		for i := range m.Scores {
			if r.IntN(3) == 0 {
				m.Scores[i] = []float32{nan, inf, -inf}[r.IntN(3)]
				clean.Scores[i] = -inf
			}
		}
		for _, match := range []func(*Market, []int32){func(m *Market, g []int32) { Deferred(m, g) }, Greedy} {
			match(m, got)
			match(clean, want)
			if !slices.Equal(got, want) || !slices.Equal(sizes(m, got), m.Capacity) {
				t.Fatalf("%v, and %v with −∞ in their place; scores %v", got, want, m.Scores)
			}
		}
	}
}

// TestSet: leaders and followers in any order and with free places; too few places leave somebody alone.
func TestSet(t *testing.T) {
	m, group := NewMarket(5), make([]int32, 5)
	copy(m.Scores[2*5:], []float32{.1, .2, 0, .3, .4}) // agent 2 leads and likes 4, 3, 1, 0
	for _, c := range []struct {
		capacity int
		want     []int32
		blocking int // none: who is alone is wanted by nobody with a free place
	}{
		{0, []int32{-1, -1, 0, -1, -1}, 0},
		{2, []int32{-1, -1, 0, 0, 0}, 0},
		{9, []int32{0, 0, 0, 0, 0}, 0},
	} {
		if err := m.Set([]int{2}, []int{4, 0, 1, 3}, []int{c.capacity}); err != nil {
			t.Fatal(err)
		}
		if Deferred(m, group); !slices.Equal(group, c.want) {
			t.Errorf("capacity %d: groups %v, want %v", c.capacity, group, c.want)
		}
		if pairs := BlockingPairs(nil, m, group); len(pairs) != c.blocking {
			t.Errorf("capacity %d: blocked by %v", c.capacity, pairs)
		}
	}
	group = []int32{Alone, Alone, 0, Alone, 0} // one place free, three would take it
	if err := m.Set([]int{2}, []int{4, 0, 1, 3}, []int{2}); err != nil {
		t.Fatal(err)
	}
	if pairs := BlockingPairs(nil, m, group); !slices.Equal(pairs, [][2]int{{2, 0}, {2, 1}, {2, 3}}) {
		t.Errorf("a free place is wanted by %v, want 0, 1 and 3", pairs)
	}
}

// TestRandomIsUniform: the 6 divisions of 4 followers into two pairs come equally often. Each has p = 1/6 of 12,000;
// five standard deviations are 204.
func TestRandomIsUniform(t *testing.T) {
	m, group, seen := market(t, 2, 4), make([]int32, 6), map[[6]int32]int{}
	r := rand.New(rand.NewPCG(3, 0))
	for range 12_000 {
		Random().Match(m, r, group)
		seen[[6]int32(group)]++
	}
	for g, n := range seen {
		if math.Abs(float64(n-2000)) > 204 {
			t.Errorf("division %v came %d times of 12,000, want 2,000 ± 204", g, n)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d divisions, want 6", len(seen))
	}
}

// TestFixed: follower f goes to leader f mod leaders.
func TestFixed(t *testing.T) {
	for _, s := range shapes {
		m := market(t, s[0], s[1])
		group := make([]int32, m.Agents)
		Fixed().Match(m, nil, group)
		for i, f := range m.Followers {
			if group[f] != int32(i%s[0]) {
				t.Errorf("%v: follower %d is in group %d, want %d", s, i, group[f], i%s[0])
			}
		}
	}
}

// TestSwitched counts followers only.
func TestSwitched(t *testing.T) {
	m := market(t, 2, 3)
	if n := Switched(m, []int32{0, 1, 0, 1, 0}, []int32{1, 0, 0, 0, 1}); n != 2 {
		t.Errorf("%d followers switched, want 2", n)
	}
}

// TestTies: with equal scores everywhere whoever stands first is asked first, stays where it is, and is kept.
func TestTies(t *testing.T) {
	m, group := market(t, 2, 3), make([]int32, 5)
	if n := Deferred(m, group); n != 5 || !slices.Equal(group, []int32{0, 1, 0, 0, 1}) {
		t.Errorf("OOM %v after %d proposals, want followers 2 and 3 with leader 0 after 5", group, n) // 0 asks 2, 3; 1 asks 2, 3, 4
	}
	if Greedy(m, group); !slices.Equal(group, []int32{0, 1, 0, 0, 1}) {
		t.Errorf("SOM %v, want followers 2 and 3 with leader 0", group)
	}
	if pairs := BlockingPairs(nil, m, []int32{0, 1, 1, 0, 0}); !slices.Equal(pairs, [][2]int{{0, 2}}) {
		t.Errorf("followers 3 and 4 with leader 0 is blocked by %v, want leader 0 and follower 2", pairs)
	}
}
