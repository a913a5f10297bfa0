package replay_test

import (
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
)

// sizes has the sizes of a battle.
type sizes struct {
	tape
	spec env.Spec
}

func (s sizes) Spec() env.Spec { return s.spec }

// battles are 2s3z for a recurrent mixer and the family SZ for attention over entities.
var battles = []struct {
	spec env.Spec
	keep replay.Keeps
}{
	{env.Spec{Name: "2s3z", Agents: 5, Entities: 10, EntityDim: 29, Roles: 3, Actions: []int{11}, ObsDim: 80, StateDim: 120, MaxSteps: 120}, replay.Keeps{Obs: true, State: true}},
	{env.Spec{Name: "sz", Agents: 8, Entities: 16, EntityDim: 38, Roles: 3, Actions: []int{14}, ObsDim: 128, StateDim: 216, MaxSteps: 150}, replay.Keeps{Entities: true}},
}

const benchSteps = 60

// stored are 500 episodes of 60 steps in 8 slots.
func stored(b *testing.B, spec env.Spec, keep replay.Keeps) (*replay.Episodes, func()) {
	r := episodes(b, sizes{spec: spec}, keep, 8, 500, 32)
	before, after, act := env.NewBatch(spec, 8), env.NewBatch(spec, 8), env.NewActions(spec, 8)
	for j := range before.Obs {
		before.Obs[j] = float32(j%7) / 7
	}
	k, plays := 0, func(int) bool { return true }
	add := func() {
		k++
		for i := range 8 {
			after.At(i).Terminated = (k+i)%benchSteps == 0
		}
		r.Add(before, act, after, plays)
	}
	for range 2 * 500 * benchSteps / 8 {
		add()
	}
	return r, add
}

func eachBattle(b *testing.B, f func(b *testing.B, spec env.Spec, keep replay.Keeps)) {
	for _, c := range battles {
		for _, half := range []string{"", "/half"} {
			c.keep.Half = half != ""
			b.Run(c.spec.Name+half, func(b *testing.B) {
				b.ReportAllocs()
				f(b, c.spec, c.keep)
			})
		}
	}
}

// BenchmarkEpisodesSample draws batches of 32 episodes of 60 steps; two of SZ fit into one row, of 2s3z none.
func BenchmarkEpisodesSample(b *testing.B) {
	eachBattle(b, func(b *testing.B, spec env.Spec, keep replay.Keeps) {
		r, _ := stored(b, spec, keep)
		key, n := rng.New(1), 0
		r.Sample(key)
		for b.Loop() {
			s := r.Sample(key.Split("replay", int64(n)))
			n += len(s.Episodes)
			if s.Filled[(benchSteps-1)*s.Batch] != 1 || s.Terminated[(benchSteps-1)*s.Batch] != 1 {
				b.Fatal("an episode of another length")
			}
		}
		if n != 32*b.N {
			b.Fatalf("%d episodes in %d batches", n, b.N)
		}
		b.ReportMetric(float64(n)*benchSteps/b.Elapsed().Seconds(), "steps/s")
		b.ReportMetric(float64(r.Width()), "B/record")
	})
}

// BenchmarkEpisodesAdd adds one step of 8 environments.
func BenchmarkEpisodesAdd(b *testing.B) {
	eachBattle(b, func(b *testing.B, spec env.Spec, keep replay.Keeps) {
		r, add := stored(b, spec, keep)
		_, first := r.Records()
		for b.Loop() {
			add()
		}
		if _, next := r.Records(); next-first < 8*int64(b.N) {
			b.Fatalf("%d records of %d steps", next-first, b.N)
		}
		b.ReportMetric(8*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
	})
}
