package team

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Matcher is a rule that forms groups. Match writes group [agent]: the number of the agent's leader, Alone for agents
// in no group. r is read by random rules only and may be nil for others.
type Matcher struct {
	Name  string
	Match func(m *Market, r *rand.Rand, group []int32)
}

// OOM is order-oriented matching (the paper, §4.3, Algorithm 1): Deferred.
func OOM() Matcher {
	return Matcher{"oom", func(m *Market, _ *rand.Rand, group []int32) { Deferred(m, group) }}
}

// SOM is score-oriented matching (the paper, §4.3, Algorithm 2): Greedy.
func SOM() Matcher {
	return Matcher{"som", func(m *Market, _ *rand.Rand, group []int32) { Greedy(m, group) }}
}

// Random fills the teams by chance, every division of that size alike; scores are not read.
func Random() Matcher {
	return Matcher{"random", func(m *Market, r *rand.Rand, group []int32) {
		m.open(group)
		if len(m.Leaders) == 0 {
			return
		}
		order := m.list[:len(m.Followers)]
		copy(order, m.Followers)
		for i := len(order) - 1; i > 0; i-- { // Fisher and Yates; rand.Shuffle would allocate its closure
			j := r.IntN(i + 1)
			order[i], order[j] = order[j], order[i]
		}
		for k, c := range m.Capacity {
			for ; c > 0 && len(order) > 0; c-- {
				group[order[0]], order = int32(k), order[1:]
			}
		}
	}}
}

// Fixed deals the followers out in turn, leader after leader: with balanced capacities, follower f goes to leader
// f mod leaders. Scores are not read.
func Fixed() Matcher {
	return Matcher{"fixed", func(m *Market, _ *rand.Rand, group []int32) {
		m.open(group)
		k, n := 0, len(m.Leaders)
		for _, f := range m.Followers {
			for tried := 0; tried < n; tried++ {
				l := k % n
				k++
				if m.size[l] < m.Capacity[l] {
					m.size[l]++
					group[f] = int32(l)
					break
				}
			}
		}
	}}
}

// None forms no teams: all who are there are one group, 0.
func None() Matcher {
	return Matcher{"none", func(m *Market, _ *rand.Rand, group []int32) {
		m.open(group)
		for k, l := range m.Leaders {
			if m.Capacity[k] >= 0 {
				group[l] = 0
			}
		}
		for _, f := range m.Followers {
			group[f] = 0
		}
	}}
}

// Deferred is deferred acceptance, leaders proposing (Gale and Shapley, "College Admissions and the Stability of
// Marriage", 1962; the paper, §4.3, Algorithm 1), and returns the number of proposals, at most leaders × followers:
// while a leader has a free place and somebody left to ask, the first such leader asks the follower it likes best
// among those it has not asked; a follower leaves its leader for one it prefers. The result has no blocking pair, is
// the best stable one for every leader, and depends on the order of scores alone.
//
// Equal scores go to who stands first, on both sides, where Algorithm 1 as printed lets a tied newcomer win.
func Deferred(m *Market, group []int32) (proposals int) {
	m.open(group)
	n := len(m.Followers)
	for k, l := range m.Leaders {
		list := m.list[k*n : (k+1)*n]
		for i := range list {
			list[i] = i
		}
		slices.SortFunc(list, func(a, b int) int {
			if c := cmp.Compare(m.score(l, m.Followers[b]), m.score(l, m.Followers[a])); c != 0 {
				return c
			}
			return a - b
		})
	}
	for k := 0; k < len(m.Leaders); {
		if m.size[k] >= m.Capacity[k] || m.next[k] == n {
			k++
			continue
		}
		f := m.Followers[m.list[k*n+m.next[k]]]
		m.next[k]++
		proposals++
		switch q := int(group[f]); {
		case q == int(Alone):
			group[f] = int32(k)
			m.size[k]++
		case m.prefers(f, m.Leaders[k], k, m.Leaders[q], q):
			group[f] = int32(k)
			m.size[k]++
			m.size[q]--
			k = min(k, q) // q may ask again, and comes first if it stands first
		}
	}
	return proposals
}

// Greedy gives the followers one after another to the leader with a free place where the sum of both scores is
// largest, the first of equal ones (the paper, §4.3, Algorithm 2). It depends on the followers' order and may leave
// blocking pairs.
//
// Where no sum is finite Algorithm 2 leaves the follower alone; here the first leader with a free place takes it, so
// that balanced teams leave nobody.
func Greedy(m *Market, group []int32) {
	m.open(group)
	for _, f := range m.Followers {
		best, choice := math.Inf(-1), -1
		for k, l := range m.Leaders {
			if m.size[k] >= m.Capacity[k] {
				continue
			}
			if sum := m.score(f, l) + m.score(l, f); choice < 0 || sum > best {
				best, choice = sum, k
			}
		}
		if choice >= 0 {
			group[f] = int32(choice)
			m.size[choice]++
		}
	}
}

// BlockingPairs appends the pairs (leader, follower) of agents that would rather have each other than what group
// gives them: the follower prefers the leader to its own or has none, and the leader has a free place or prefers the
// follower to its least liked one. A matching is stable if there is none.
func BlockingPairs(pairs [][2]int, m *Market, group []int32) [][2]int {
	for k, l := range m.Leaders {
		size, worst := 0, -1 // worst is a place among the followers
		for p, f := range m.Followers {
			if group[f] != int32(k) {
				continue
			}
			size++
			if worst < 0 || m.prefers(l, m.Followers[worst], worst, f, p) {
				worst = p
			}
		}
		for p, f := range m.Followers {
			own := int(group[f])
			if own == k || own >= 0 && !m.prefers(f, l, k, m.Leaders[own], own) {
				continue
			}
			if size < m.Capacity[k] || size > 0 && m.Capacity[k] > 0 && m.prefers(l, f, p, m.Followers[worst], worst) {
				pairs = append(pairs, [2]int{l, f})
			}
		}
	}
	return pairs
}

// Switched counts the followers whose group is another one than before. Divided by the number of followers it is the
// switching rate of a step.
func Switched(m *Market, before, after []int32) int {
	n := 0
	for _, f := range m.Followers {
		if before[f] != after[f] {
			n++
		}
	}
	return n
}
