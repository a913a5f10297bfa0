package nn

import (
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestPoolGroups: four agents with groups {0, 2}, {1} and nobody in the last slot; agent 3 belongs to none. Both
// members of the first group hold the maximum −2 of the second value.
func TestPoolGroups(t *testing.T) {
	e := array{Dims: []int{1, 4, 2}, X: []float32{-5, -2, 7, 8, -3, -2, 99, 99}}
	group := array{Dims: []int{1, 4, 3}, X: []float32{1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0}}
	up := array{Dims: []int{1, 3, 2}, X: []float32{1, 10, 2, 20, 3, 30}}
	each(t, func(t *testing.T, d *xla.Device) {
		got := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			s := PoolGroups(in[0], in[1])
			return append([]*Node{s}, Gradient(ReduceAllSum(Mul(s, in[2])), in[0])...)
		}, e, group, up)
		near(t, "s", got[0], []float64{-3, -2, 7, 8, 0, 0}, 0)
		near(t, "ds", got[1], []float64{0, 5, 2, 20, 1, 5, 0, 0}, 0)
	})
}

// TestPoolGroupsRandom compares with a loop; then swaps slots, and hands the groups' embeddings round.
func TestPoolGroupsRandom(t *testing.T) {
	const rows, agents, slots, k = 6, 8, 4, 5
	r := rng.New(4).Rand()
	e, group, turned := noise("e", rows, agents, k), array{Dims: []int{rows, agents, slots}, X: make([]float32, rows*agents*slots)}, array{Dims: []int{rows, agents, slots}, X: make([]float32, rows*agents*slots)}
	want, moved := make([]float64, rows*slots*k), make([]float64, rows*slots*k)
	for i := range want {
		want[i] = math.Inf(-1)
	}
	for i := range rows * agents {
		slot := r.IntN(slots + 1) // the last: none
		if slot == slots || slot == i/agents%slots {
			continue // so that each row has an empty slot
		}
		group.X[i*slots+slot], turned.X[i*slots+(slot+1)%slots] = 1, 1
		for j := range k {
			at := &want[(i/agents*slots+slot)*k+j]
			*at = max(*at, float64(e.X[i*k+j]))
		}
	}
	for i := range want {
		if math.IsInf(want[i], -1) {
			want[i] = 0
		}
		row, slot, j := i/(slots*k), i/k%slots, i%k
		moved[(row*slots+(slot+1)%slots)*k+j] = want[i]
	}
	up, slope := noise("up", rows, slots, k), make([]float64, len(e.X)) // random values: one member holds each maximum
	for i := range slope {
		for slot := range slots {
			at := (i/(agents*k)*slots+slot)*k + i%k
			if group.X[i/k*slots+slot] > 0 && float64(e.X[i]) == want[at] {
				slope[i] = float64(up.X[at])
			}
		}
	}
	each(t, func(t *testing.T, d *xla.Device) {
		got := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			s := PoolGroups(in[0], in[1])
			return append([]*Node{s, PoolGroups(in[0], in[2])}, Gradient(ReduceAllSum(Mul(s, in[3])), in[0])...)
		}, e, group, turned, up)
		near(t, "s", got[0], want, 0)
		near(t, "ds", got[2], slope, 0)
		near(t, "s with other slots", got[1], moved, 0)
		_, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node { return []*Node{PoolGroups(in[0], in[1])} }, noise("e", 2, 3, 4), noise("g", 2, 4, 4))
		if err == nil || !strings.Contains(err.Error(), "nn: PoolGroups takes e [row, agent, k] and group [row, agent, slot], got (Float32)[2, 3, 4] and (Float32)[2, 4, 4]") {
			t.Errorf("3 agents in e, 4 in group: %v", err)
		}
	})
}

// BenchmarkPoolGroups is forward and backward of 32 episodes of 60 steps with 8 agents in up to 4 groups.
func BenchmarkPoolGroups(b *testing.B) {
	const rows = 32 * 60
	d, err := xla.Open("", 2)
	if err != nil {
		b.Fatal(err)
	}
	p, err := xla.Compile(d, "pool", NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
		loss := ReduceAllSum(Square(PoolGroups(in[0], in[1])))
		return []*Node{loss, ReduceAllSum(Square(Gradient(loss, in[0])[0]))}
	}, xla.F32(rows, 8, 32), xla.F32(rows, 8, 4))
	if err != nil {
		b.Fatal(err)
	}
	e, group := noise("e", rows, 8, 32), make([]float32, rows*8*4)
	for i := range rows * 8 {
		group[i*4+i*7%4] = 1
	}
	for b.Loop() {
		if _, err := p.Call(e.X, group); err != nil {
			b.Fatal(err)
		}
	}
}
