package battle

import (
	"fmt"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
)

const (
	leastLeaders = 2 // of a team with leaders; the papers train battles of 3 with 2, one of whom leads nobody
	mostGroups   = 4 // that their networks tell apart
)

// mostLeaders is how many of n allies may lead: half of them, so that each has somebody to lead, but 2 always.
func mostLeaders(n int) int { return max(leastLeaders, n/2) }

// fewestAllies is the least number of allies that an episode can have.
func (w World) fewestAllies() int {
	n, _ := w.slots()
	switch {
	case w.Composition != nil:
		n = total(w.Composition) - w.Family.Fewer
	case w.Sizes != nil:
		n = slices.Min(w.Sizes)
	case w.Family.types() != nil:
		n = w.Family.Least - w.Family.Fewer
	}
	return n
}

// Cells returns what a family's method is judged on beside the world it was trained on, with the sizes of the
// environment unchanged: for each number of allies battles of that size alone, all compositions alike. Where w has no
// leaders there is one cell for each size, "6"; otherwise one for each number of leaders from 2 to half of the allies,
// at most 4: "6-l2", "6-l3" (S. Moslemi and H. Lee, "Learning Bilateral Team Formation in Cooperative Multi-Agent
// Reinforcement Learning", arXiv 2506.20039, section 5: trained on 3 to 5, judged on 6, 7, 8, which makes 7 cells).
// Sizes that the family does not have are errors of the cells' worlds.
func (w World) Cells(sizes ...int) []env.Cell {
	var cells []env.Cell
	for _, n := range sizes {
		one := w.WithSizes(n)
		if w.Leaders == 0 {
			cells = append(cells, env.Cell{Name: fmt.Sprint(n), World: one})
			continue
		}
		for leaders := leastLeaders; leaders <= min(mostLeaders(n), mostGroups); leaders++ {
			cells = append(cells, env.Cell{Name: fmt.Sprintf("%d-l%d", n, leaders), World: one.WithLeaders(leaders)})
		}
	}
	return cells
}
