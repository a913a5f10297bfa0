package value

import (
	"math"
	"slices"

	"github.com/muster-marl/muster/pkg/policy"
)

// Insight is the groups and scores of the last matching, for recorded episodes.
func (m *memory) Insight(i int) policy.Insight {
	if m.slots == nil {
		return policy.Insight{}
	}
	n := m.agents
	slots, places := m.slots[i*n:(i+1)*n], m.places[i*Slots:(i+1)*Slots]
	in := policy.Insight{Groups: make([]int32, n), Scores: slices.Clone(m.scores[i*n*n : (i+1)*n*n])}
	for a, s := range slots {
		in.Groups[a] = int32(slices.Index(places, s)) // −1 is no place
	}
	for p := range in.Scores {
		if a, b := p/n, p%n; a == b || slots[a] < 0 || slots[b] < 0 {
			in.Scores[p] = float32(math.NaN())
		}
	}
	return in
}

var _ policy.Insightful = (*memory)(nil)
