package value

import (
	"fmt"
	"runtime"
	"sync"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/team"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// Slots is the most groups that there can be (Moslemi & Lee, arXiv 2506.20039, §5).
const Slots = 4

// Group says who belongs together at each moment, by a rule over what the agents think of each other (Agent.Scores).
// Groups are formed anew while learning, so that what is remembered does not depend on the method.
type Group struct {
	Matcher team.Matcher
	Every   int // steps between matchings; 0 = 1
}

func (g Group) on() bool { return g.Matcher.Match != nil }

// needsLeaders reports whether the rule tells leaders from followers.
func (g Group) needsLeaders() bool { return g.on() && g.Matcher.Name != team.None().Name }

// form writes the number of each agent's group, −1 for none. scores are [agent][agent].
func (g Group) form(m *team.Market, role []uint8, here []bool, scores []float32, key rng.Key, group []int32) error {
	if err := g.seat(m, role, here); err != nil {
		return err
	}
	copy(m.Scores, scores)
	g.Matcher.Match(m, key.Rand(), group)
	return nil
}

// seat is Market.Seat with at most Slots leaders, and some where the rule needs them.
func (g Group) seat(m *team.Market, role []uint8, here []bool) error {
	if err := m.Seat(role, here); err != nil {
		return err
	}
	switch n := len(m.Leaders); {
	case n > Slots:
		return fmt.Errorf("value: %d leaders, want at most %d", n, Slots)
	case n == 0 && len(m.Followers) > 0 && g.needsLeaders():
		return fmt.Errorf("value: %s matches %d followers with leaders, of whom there are none, want some, as in battle.SZ().WithLeaders(2); value.REFIL and AQMIX need none",
			g.Matcher.Name, len(m.Followers))
	}
	return nil
}

// roles is a view of those of environment i; of a world without roles nobody has one.
func roles(role []uint8, i, entities int) []uint8 {
	if role == nil {
		return make([]uint8, entities)
	}
	return role[i*entities : (i+1)*entities]
}

// shuffle draws which slot each group takes, so that training with two groups trains all slots.
func shuffle(places []int32, key rng.Key) {
	for k := range places {
		places[k] = int32(k)
	}
	key.Rand().Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
}

// place writes the slot of each agent's group, −1 for none.
func place(group, places, slots []int32) {
	for a, g := range group {
		if slots[a] = -1; g >= 0 {
			slots[a] = places[g]
		}
	}
}

// grouper forms the groups of a sample: those that the online networks would form, and those of the target networks,
// in the same slots.
type grouper struct {
	sys      System
	spec     env.Spec
	dev      *xla.Device
	store    *model.Store
	programs map[[2]int]*xla.Program // by steps and rows
	slots    [2][]int32              // online, target: [time+1, batch, agent]
	workers  []matching
}

// matching is what one goroutine needs, and what it counts of the online groups.
type matching struct {
	market                              *team.Market
	group, before                       []int32
	pairs                               [][2]int
	switched, followers, unstable, made int
	err                                 error
}

func newGrouper(s System, spec env.Spec, dev *xla.Device, store *model.Store) *grouper {
	g := &grouper{sys: s, spec: spec, dev: dev, store: store, programs: map[[2]int]*xla.Program{}}
	for range runtime.NumCPU() {
		g.workers = append(g.workers, matching{market: team.NewMarket(spec.Agents), group: make([]int32, spec.Agents), before: make([]int32, spec.Agents)})
	}
	return g
}

// scoreGraph is what the agents of both networks think of each other at all moments.
func (g *grouper) scoreGraph(root *model.Scope, in []*Node) []*Node {
	x := Inputs{Spec: g.spec, made: map[string]any{}}
	rest := x.take(g.sys, in)
	x.State = nil // as in Forward.agents
	if g.sys.Sees.Last {
		x.Last = lastOf(OneHot(rest[0], g.spec.Choices(), floatType))
	}
	score := func(weights string) *Node { return g.sys.Agent.Scores(root.In("%s", weights).In("agent"), x) }
	return []*Node{score("online"), score("target")}
}

// match returns the slots of all agents at all moments for the online and the target networks, from what they see.
func (g *grouper) match(s *replay.Sample, seen []any) (online, target []int32, err error) {
	size := [2]int{s.Time, s.Batch}
	p, ok := g.programs[size]
	if !ok {
		in := append(seenInputs(g.sys, g.spec, s.Time+1, s.Batch), xla.I32(s.Time, s.Batch, g.spec.Agents))
		if p, err = xla.Compile(g.dev, fmt.Sprintf("scores of %d × %d steps", s.Batch, s.Time), g.store, g.scoreGraph, in...); err != nil {
			return nil, nil, err
		}
		g.programs[size] = p
	}
	args := append([]any{}, seen...)
	out, err := p.Call(append(args, s.Actions)...)
	if err != nil {
		return nil, nil, err
	}
	for k := range g.slots {
		g.slots[k] = resized(g.slots[k], (s.Time+1)*s.Batch*g.spec.Agents, -1)
	}
	var wait sync.WaitGroup
	for w := range g.workers {
		wait.Go(func() {
			m := &g.workers[w]
			m.switched, m.followers, m.unstable, m.made, m.err = 0, 0, 0, 0, nil
			for i := w; i < len(s.Episodes) && m.err == nil; i += len(g.workers) {
				m.err = g.episode(m, s, i, [2][]float32{out[0].([]float32), out[1].([]float32)})
			}
		})
	}
	wait.Wait()
	for _, m := range g.workers {
		if m.err != nil {
			return nil, nil, m.err
		}
	}
	return g.slots[0], g.slots[1], nil
}

// episode forms the groups of episode i of a sample.
func (g *grouper) episode(m *matching, s *replay.Sample, i int, scores [2][]float32) error {
	n, e, where := g.spec.Agents, g.spec.Entities, s.Episodes[i]
	first := s.Moment(where, 0)
	if err := g.sys.Group.seat(m.market, roles(s.Role, first, e), s.Present[first*e:(first+1)*e]); err != nil {
		return err
	}
	var places [Slots]int32
	shuffle(places[:], s.Key.Split("slots", int64(i)))
	for net := range g.slots {
		r := s.Key.Split("match", int64(i), int64(net)).Rand()
		for t := range where.Steps + 1 {
			row := s.Moment(where, t)
			if t%max(1, g.sys.Group.Every) == 0 {
				copy(m.before, m.group)
				copy(m.market.Scores, scores[net][row*n*n:(row+1)*n*n])
				g.sys.Group.Matcher.Match(m.market, r, m.group)
				if net == 0 {
					m.count(t > 0)
				}
			}
			place(m.group, places[:], g.slots[net][row*n:(row+1)*n])
		}
	}
	return nil
}

// count notes how many followers have another leader than at the last matching, and whether a pair blocks this one.
func (m *matching) count(compare bool) {
	if compare {
		m.switched += team.Switched(m.market, m.before, m.group)
		m.followers += len(m.market.Followers)
	}
	m.pairs = team.BlockingPairs(m.pairs[:0], m.market, m.group)
	if m.made++; len(m.pairs) > 0 {
		m.unstable++
	}
}

// metrics are those of the last match: "switching_rate", the share of followers whose leader differs from that of the
// last matching, and "instability", the share of matchings that some pair blocks.
func (g *grouper) metrics(to train.Metrics) {
	var all matching
	for _, m := range g.workers {
		all.switched, all.followers = all.switched+m.switched, all.followers+m.followers
		all.unstable, all.made = all.unstable+m.unstable, all.made+m.made
	}
	to["switching_rate"] = float64(all.switched) / float64(max(1, all.followers))
	to["instability"] = float64(all.unstable) / float64(max(1, all.made))
}
