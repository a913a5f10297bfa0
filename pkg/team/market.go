// Package team matches followers with leaders by what both think of each other: many-to-one matching with
// capacities, as bilateral team formation needs it (Moslemi and Lee, "Learning Bilateral Team Formation in Cooperative
// Multi-Agent Reinforcement Learning", arXiv 2506.20039; "the paper" below), and what stability means for it.
//
// A Market says who leads, who follows, how many each leader takes and what everybody's scores are. A Matcher writes
// of each agent the number of its group: leader 0 and its team are group 0, and so on. Matching a market again
// allocates nothing. All is plain Go; nothing here carries a gradient.
package team

import (
	"fmt"
	"math"
	"slices"
)

// Roles of agents as Seat reads them; other values neither lead nor follow.
const (
	Leader   = 1
	Follower = 2
)

// Alone is the group of an agent that belongs to none: one that is not there, or a follower without a leader.
const Alone int32 = -1

// Market is one matching to be made. Scores may be replaced from matching to matching; the rest is set by Seat or Set,
// whose slices stay its own. It also holds what a Matcher needs while it works: one goroutine at a time.
type Market struct {
	// Scores [agent][agent] are what agents think of each other: row i holds agent i's scores, more is better. Values
	// that are not finite count as −∞. The order within a row is all that Deferred reads; Greedy adds scores.
	Scores    []float32
	Agents    int
	Leaders   []int // agents who lead; the number of a group is the place of its leader here
	Followers []int // agents who follow; who stands first wins ties
	Capacity  []int // [leader] followers that it takes; below 0: this leader is not there, and its group neither

	list []int // [leader][follower] a leader's followers, dearest first
	next []int // [leader] how many of them it has asked
	size []int // [leader] followers that it has
}

// NewMarket returns a market of so many agents in which nobody leads or follows yet. Scores are zero.
func NewMarket(agents int) *Market {
	return &Market{Scores: make([]float32, agents*agents), Agents: agents}
}

// Seat reads roles [agent, …] and who is there [agent, …], and balances the capacities of the leaders that are there
// over the followers that are there. A leader that is not there keeps its number, so that the groups of the others
// keep theirs. It is an error if there are fewer roles than agents.
func (m *Market) Seat(role []uint8, here []bool) error {
	if len(role) < m.Agents || len(here) < m.Agents {
		return fmt.Errorf("team: %d roles and %d marks of presence, want one for each of %d agents", len(role), len(here), m.Agents)
	}
	m.Leaders, m.Followers, m.Capacity = m.Leaders[:0], m.Followers[:0], m.Capacity[:0]
	for a := range m.Agents {
		switch {
		case role[a] == Leader:
			m.Leaders, m.Capacity = append(m.Leaders, a), append(m.Capacity, -1)
			if here[a] {
				m.Capacity[len(m.Capacity)-1] = 0
			}
		case role[a] == Follower && here[a]:
			m.Followers = append(m.Followers, a)
		}
	}
	Balance(len(m.Followers), m.Capacity)
	m.grow()
	return nil
}

// Set copies leaders, followers and capacities of each leader. The error names an agent that is not one of the
// market's or stands twice, or capacities that are not one per leader.
func (m *Market) Set(leaders, followers, capacity []int) error {
	if len(capacity) != len(leaders) {
		return fmt.Errorf("team: %d capacities for %d leaders, want one each", len(capacity), len(leaders))
	}
	for i, all := 0, append(slices.Clone(leaders), followers...); i < len(all); i++ {
		switch a := all[i]; {
		case a < 0 || a >= m.Agents:
			return fmt.Errorf("team: agent %d leads or follows, want 0 to %d", a, m.Agents-1)
		case slices.Contains(all[:i], a):
			return fmt.Errorf("team: agent %d stands twice among leaders and followers", a)
		}
	}
	m.Leaders = append(m.Leaders[:0], leaders...)
	m.Followers = append(m.Followers[:0], followers...)
	m.Capacity = append(m.Capacity[:0], capacity...)
	m.grow()
	return nil
}

// Balance fills the capacities of leaders so that they differ by at most one and sum to the followers: with n
// leaders the first (followers mod n) get ⌊followers/n⌋ + 1, the others ⌊followers/n⌋ (the paper, §4.1; which
// leaders get more it leaves open). Negative entries are leaders who are not there and stay as they are.
func Balance(followers int, capacity []int) {
	leaders := 0
	for _, c := range capacity {
		if c >= 0 {
			leaders++
		}
	}
	k := 0
	for l, c := range capacity {
		if c < 0 {
			continue
		}
		capacity[l] = followers / leaders
		if k < followers%leaders {
			capacity[l]++
		}
		k++
	}
}

// grow makes room for what matchers note.
func (m *Market) grow() {
	l, f := len(m.Leaders), len(m.Followers)
	if cap(m.list) < l*f {
		m.list = make([]int, l*f)
	}
	if cap(m.next) < l {
		m.next, m.size = make([]int, l), make([]int, l)
	}
	m.list, m.next, m.size = m.list[:l*f], m.next[:l], m.size[:l]
}

// score is what agent i thinks of agent j.
func (m *Market) score(i, j int) float64 {
	x := float64(m.Scores[i*m.Agents+j])
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.Inf(-1)
	}
	return x
}

// prefers reports whether agent i would rather have a than b: by score, and where both are equal, the one that
// stands first among its kind. a and b are agents, pa and pb their places.
func (m *Market) prefers(i, a, pa, b, pb int) bool {
	x, y := m.score(i, a), m.score(i, b)
	return x > y || x == y && pa < pb
}

// open puts every leader that is there into its own group and all others into none, and counts no followers.
func (m *Market) open(group []int32) {
	for a := range group {
		group[a] = Alone
	}
	for k, l := range m.Leaders {
		m.next[k], m.size[k] = 0, 0
		if m.Capacity[k] >= 0 {
			group[l] = int32(k)
		}
	}
}
