package value

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/team"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestInsight: a recorded battle holds the groups that OOM formed and the scores that it formed them from: matched again they
// give the same groups, which a replay shows without the policy.
func TestInsight(t *testing.T) {
	w := battle.SZ(3, 4, 5).WithLeaders(2)
	w.Limit = 12
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := OOM(TinyWidth(), Tiny()).Build(train.Setup{Env: e, Key: rng.New(1), Backend: xla.Go})
	if err != nil {
		t.Fatal(err)
	}
	cell := w.Cells(7)[1] // three leaders
	got, err := eval.Run(context.Background(), cell.World, l.Policy(), rng.New(1), eval.Plan{Stream: "final", Cell: cell.Name, Episodes: 3, Envs: 2, Record: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Recorded {
		m, group := team.NewMarket(8), make([]int32, 8)
		if err := m.Set([]int{0, 1, 2}, []int{3, 4, 5, 6}, []int{2, 1, 1}); err != nil {
			t.Fatal(err)
		}
		if len(r.Scores) != r.Length() || len(r.Groups) != r.Length() || r.Length() == 0 {
			t.Fatalf("%d steps, scores of %d, groups of %d", r.Length(), len(r.Scores), len(r.Groups))
		}
		for k, scores := range r.Scores {
			copy(m.Scores, scores)
			if team.Deferred(m, group); !slices.Equal(group, r.Groups[k]) {
				t.Errorf("step %d: groups %v, from the scores %v", k, r.Groups[k], group)
			}
			for p, x := range scores {
				if none := p/8 == p%8 || p/8 == 7 || p%8 == 7; none != (x != x) {
					t.Errorf("step %d: %d thinks %v of %d", k, p/8, x, p%8)
				}
			}
		}
		if err := report.Play(cell.World, r).Scores().Frame(3).Render(new(bytes.Buffer), "svg"); err != nil {
			t.Error(err)
		}
	}
}
