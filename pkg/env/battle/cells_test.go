package battle

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestCells: sizes 6, 7 and 8 with every number of leaders that has as many followers are 7 cells (Moslemi and Lee, section 5),
// of the compositions that the family has of each size (REFIL's lists: 7, 8, 9 of SZ; 18, 13, 7 of CSZ and MMM).
func TestCells(t *testing.T) {
	seven := []string{"6-l2", "6-l3", "7-l2", "7-l3", "8-l2", "8-l3", "8-l4"}
	for _, c := range []struct {
		w            World
		compositions [3]int
	}{{SZ(3, 4, 5), [3]int{7, 8, 9}}, {CSZ(3, 4, 5), [3]int{18, 13, 7}}, {MMM(3, 4, 5), [3]int{18, 13, 7}}} {
		for leaders, want := range map[int][]string{0: {"6", "7", "8"}, 2: seven} {
			var names []string
			for _, cell := range c.w.WithLeaders(leaders).Cells(6, 7, 8) {
				names = append(names, cell.Name)
				size, led := int(cell.Name[0]-'0'), 0
				if leaders > 0 {
					led = int(cell.Name[3] - '0')
				}
				w := cell.World.(World)
				if w.Leaders != led || !slices.Equal(w.Sizes, []int{size}) || len(w.Compositions()) != c.compositions[size-6] {
					t.Errorf("%s, cell %s: %d leaders, sizes %v, %d compositions", c.w.Name, cell.Name, w.Leaders, w.Sizes, len(w.Compositions()))
				}
				if _, err := env.Probe(w); err != nil {
					t.Error(err)
				}
			}
			if !slices.Equal(names, want) {
				t.Errorf("%s with %d leaders has cells %v, want %v", c.w.Name, leaders, names, want)
			}
		}
	}
	var ten []string
	for _, cell := range OneDown().WithLeaders(2).Cells(10) { // 5 followers would do, but there are 4 groups
		ten = append(ten, cell.Name)
	}
	if !slices.Equal(ten, []string{"10-l2", "10-l3", "10-l4"}) {
		t.Errorf("10 allies have cells %v", ten)
	}
	for size, want := range map[int]string{9: "battle: sz: a size of 9 allies, want 3 to 8", 2: "battle: sz: a size of 2 allies"} {
		for _, cell := range SZ(3, 4, 5).WithLeaders(2).Cells(size) {
			if _, err := env.Probe(cell.World); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("cell %s: %v, want %s", cell.Name, err, want)
			}
		}
	}
}

// TestCellsPlayed: in every battle of a cell as many allies fight as its name says and as many lead, and the world alone
// counts outcomes.
func TestCellsPlayed(t *testing.T) {
	w := SZ(3, 4, 5).WithLeaders(2)
	spec, err := env.Probe(w)
	if err != nil {
		t.Fatal(err)
	}
	for i, cell := range w.Cells(6, 7, 8) {
		size, leaders := int(cell.Name[0]-'0'), int(cell.Name[3]-'0')
		script := w.Near()
		p := policy.Script(spec, func(s *env.Step, r *rand.Rand, act env.Actions) {
			here, led := 0, 0
			for slot := range spec.Agents {
				if s.Present[slot] {
					here++
				}
				if s.Role[slot] == Leader {
					led++
				}
			}
			if here != 0 && (here != size || led != leaders) { // an environment without an episode is empty
				t.Errorf("cell %s: %d allies, of whom %d lead", cell.Name, here, led)
			}
			script(s, r, act)
		})
		e, err := eval.Run(context.Background(), cell.World, p, rng.New(1), eval.Plan{Stream: "final", Cell: cell.Name, Number: int64(i + 1), Episodes: 8, Envs: 8, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, n := range e.Outcomes {
			counted += n
		}
		if counted != 8 || e.Cell != cell.Name || e.World != "battle/sz-"+cell.Name {
			t.Errorf("cell %s of %s: outcomes %v of 8 battles", e.Cell, e.World, e.Outcomes)
		}
	}
}
