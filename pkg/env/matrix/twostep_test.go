package matrix

import (
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
)

// TestTwoStep plays all 16 episodes against the tables of the QMIX paper.
func TestTwoStep(t *testing.T) {
	e, err := TwoStep{}.New()
	if err != nil {
		t.Fatal(err)
	}
	out := env.NewBatch(e.Spec(), 1).At(0)
	see := func(state int) {
		t.Helper()
		want := make([]float32, 3)
		want[state] = 1
		if !slices.Equal(out.State, want) || !slices.Equal(out.Obs, append(slices.Clone(want), want...)) {
			t.Errorf("state %v, observations %v, want state %d", out.State, out.Obs, state)
		}
	}
	for i := range int32(16) {
		first, second := []int32{i >> 3, i >> 2 & 1}, []int32{i >> 1 & 1, i & 1}
		*out = *env.NewBatch(e.Spec(), 1).At(0)
		e.Reset(env.Episode{}, out)
		see(0)
		e.Step(env.Actions{Discrete: first}, out)
		see(1 + int(first[0])) // agent 1's choice changes nothing
		if out.Reward[0] != 0 || out.Reward[1] != 0 || out.Over() {
			t.Errorf("the first step pays %v, over %v; want nothing, and a second step", out.Reward, out.Over())
		}
		e.Step(env.Actions{Discrete: second}, out)
		want := float32(7)
		if first[0] == 1 {
			want = [][]float32{{0, 1}, {1, 8}}[second[0]][second[1]]
		}
		if out.Reward[0] != want || out.Reward[1] != want || !out.Terminated || out.Truncated || (out.Outcome == env.Win) != (want == 8) {
			t.Errorf("%v, %v pays %v and ends as %v, want %v", first, second, out.Reward, out.Outcome, want)
		}
	}
	envtest.Check(t, TwoStep{})
}
