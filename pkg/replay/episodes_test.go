package replay_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

var _ run.Growing = (*replay.Episodes)(nil)

// TestEpisodes: what comes out is what went in, of the last finished episodes alone, each at most once.
func TestEpisodes(t *testing.T) {
	for _, c := range []struct {
		e     env.Env
		keep  replay.Keeps
		slots int
	}{
		{reel{}, all, 1}, {reel{}, all, 2}, {reel{}, all, 5}, {drawnReel{}, all, 3},
		{reel{}, replay.Keeps{State: true}, 2}, {reel{}, replay.Keeps{State: true, Entities: true}, 2}, {reel{}, replay.Keeps{State: true, Obs: true}, 2},
	} {
		spec := c.e.Spec()
		t.Run(fmt.Sprintf("%s %+v %d", spec.Name, c.keep, c.slots), func(t *testing.T) {
			const capacity, batch = 7, 4
			r, p := episodes(t, c.e, c.keep, c.slots, capacity, batch), newPlayer(c.slots, mixed)
			for k := range 200 {
				if r.Ready() != (len(p.finished) >= batch) || r.Len() != min(capacity, len(p.finished)) {
					t.Fatalf("%d episodes of %d finished ones, ready: %v", r.Len(), len(p.finished), r.Ready())
				}
				if r.Ready() && k%7 == 0 {
					held, seen := p.finished[len(p.finished)-r.Len():], map[int]bool{}
					for u := range int64(12) {
						list := wantSample(t, r.Sample(rng.New(1).Split("replay", u)), spec, c.keep, batch, mixed)
						slices.Sort(list)
						if len(slices.Compact(list)) != batch {
							t.Fatalf("a batch of %v, want %d distinct episodes", list, batch)
						}
						for _, e := range list {
							seen[e] = true
						}
					}
					for e := range seen {
						if !slices.Contains(held, e) {
							t.Fatalf("episode %d is sampled, held are %v", e, held)
						}
					}
					if len(seen) != len(held) { // 12 draws miss one of 7 with probability at most 7·(3/7)¹²: 0.0003
						t.Fatalf("sampled are %v, held %v", seen, held)
					}
				}
				p.step(r, spec)
			}
		})
	}
}

// TestEpisodesAreDrawnUniformly: 20,000 draws of 5 of 10 episodes; each is in half of them, each pair in 2/9. Bounds
// are five standard deviations.
func TestEpisodesAreDrawnUniformly(t *testing.T) {
	const draws = 20_000
	r, p := episodes(t, reel{}, replay.Keeps{State: true}, 2, 10, 5), newPlayer(2, func(int) int { return 2 })
	for range 30 {
		p.step(r, reel{}.Spec())
	}
	oldest := p.finished[len(p.finished)-10]
	var singles [10]float64
	var pairs [10][10]float64
	for u := range int64(draws) {
		s := r.Sample(rng.New(3).Split("replay", u))
		number := func(i int) int { return -int(s.State[s.Episodes[i].From*s.Batch+s.Episodes[i].Row])/100 - oldest }
		for i := range s.Episodes {
			a := number(i)
			singles[a]++
			for j := range i {
				b := number(j)
				pairs[min(a, b)][max(a, b)]++
			}
		}
	}
	near := func(n, p float64) bool { return math.Abs(n-draws*p) < 5*math.Sqrt(draws*p*(1-p)) }
	for a := range singles {
		if !near(singles[a], 0.5) {
			t.Errorf("episode %d is in %v of %d draws", a, singles[a], draws)
		}
		for b := a + 1; b < 10; b++ {
			if !near(pairs[a][b], 2.0/9) {
				t.Errorf("episodes %d and %d are in %v of %d draws", a, b, pairs[a][b], draws)
			}
		}
	}
}

// TestEpisodesBeforeReady: a sample holds what there is, and padding.
func TestEpisodesBeforeReady(t *testing.T) {
	r, p := episodes(t, reel{}, all, 1, 7, 3), newPlayer(1, func(int) int { return reelSteps })
	for want := range 2 {
		s := r.Sample(rng.New(1))
		var filled, present float32
		for _, x := range s.Filled {
			filled += x
		}
		for i, ok := range s.Present {
			present += one(ok) + float32(s.Role[i])
		}
		if len(s.Episodes) != want || filled != float32(want*reelSteps) || want == 0 && present != 0 || s.Batch != 1 || len(s.Filled) != reelSteps {
			t.Errorf("%v: %v steps of %d are filled, want %d episodes; %v entities", s.Episodes, filled, len(s.Filled), want, present)
		}
		for range reelSteps {
			p.step(r, reel{}.Spec())
		}
	}
}

// TestEpisodesShareRows: 16 episodes of 5 steps, two of which fit into 12 steps, take 8 rows; with one of 12 steps it is 9,
// which is rounded up to 10.
func TestEpisodesShareRows(t *testing.T) {
	for _, c := range []struct{ batch, short, rows int }{{16, 16, 8}, {16, 15, 10}, {2, 0, 2}, {4, 4, 2}, {3, 2, 2}} {
		r := episodes(t, reel{}, all, 1, c.batch, c.batch)
		p := newPlayer(1, func(e int) int {
			if e < c.short {
				return 5
			}
			return reelSteps
		})
		for len(p.finished) < c.batch {
			p.step(r, reel{}.Spec())
		}
		if s := r.Sample(rng.New(1)); s.Batch != c.rows || len(s.Episodes) != c.batch {
			t.Errorf("%d episodes, %d of them short, are in %d rows, want %d: %v", c.batch, c.short, s.Batch, c.rows, s.Episodes)
		}
	}
}

// TestLongEpisodes: one that goes on beyond MaxSteps is kept as several.
func TestLongEpisodes(t *testing.T) {
	r, p := episodes(t, reel{}, all, 1, 7, 3), newPlayer(1, func(int) int { return 30 })
	for range 30 {
		p.step(r, reel{}.Spec())
	}
	s := r.Sample(rng.New(1))
	var firsts []int
	for _, e := range s.Episodes {
		first, last := e.From*s.Batch+e.Row, (e.From+e.Steps-1)*s.Batch+e.Row
		m := -int(s.State[first])
		firsts = append(firsts, m)
		if end := s.State[last+s.Batch]; end != -float32(m+e.Steps) || s.Truncated[last] != one(m < 24) || s.Terminated[last] != one(m == 24) {
			t.Errorf("%d steps from moment %d end at %v: terminated %v, truncated %v", e.Steps, m, end, s.Terminated[last], s.Truncated[last])
		}
	}
	if slices.Sort(firsts); !slices.Equal(firsts, []int{0, 12, 24}) {
		t.Errorf("sequences begin at %v", firsts)
	}
}

// TestEpisodesHalf: float16 has 11 bits, and below 2^-14 a step of 2^-24.
func TestEpisodesHalf(t *testing.T) {
	keep := all
	keep.Half = true
	r, h := episodes(t, reel{}, all, 2, 7, 4), episodes(t, reel{}, keep, 2, 7, 4)
	p, q := newPlayer(2, mixed), newPlayer(2, mixed)
	for range 150 { // numbers of up to 5,000, of which whole ones from 2048 on do not all fit
		p.step(r, reel{}.Spec())
		q.step(h, reel{}.Spec())
	}
	a, b := r.Sample(rng.New(1)), h.Sample(rng.New(1))
	changed := 0
	for _, x := range [][2][]float32{{a.Obs, b.Obs}, {a.State, b.State}, {a.Entities, b.Entities}} {
		for j, v := range x[0] {
			if d := math.Abs(float64(v - x[1][j])); d > math.Abs(float64(v))/2048 {
				t.Fatalf("%v becomes %v", v, x[1][j])
			} else if d > 0 {
				changed++
			}
		}
	}
	if changed == 0 {
		t.Error("nothing was rounded: the comparison shows nothing")
	}
	b.Obs, b.State, b.Entities = a.Obs, a.State, a.Entities
	if !reflect.DeepEqual(a, b) {
		t.Error("something else differs")
	}
	if floats := 4 * (2*2 + 1 + 3*2); r.Width()-h.Width() != floats/2 {
		t.Errorf("records of %d and %d bytes, want %d fewer", r.Width(), h.Width(), floats/2)
	}
}

// TestWidth: the figures in the documentation of Episodes.
func TestWidth(t *testing.T) {
	want := [][2]int{{2125, 1085}, {2533, 1317}}
	for k, c := range battles {
		for half := range 2 {
			c.keep.Half = half == 1
			if got := episodes(t, sizes{spec: c.spec}, c.keep, 8, 5000, 32).Width(); got != want[k][half] {
				t.Errorf("%s: records of %d bytes, want %d", c.spec.Name, got, want[k][half])
			}
		}
	}
}

func TestRows(t *testing.T) {
	for batch, want := range map[int][]int{
		1: {1}, 2: {1, 2}, 3: {1, 2, 3}, 8: {2, 4, 5, 8}, 16: {4, 8, 10, 16}, 32: {8, 16, 20, 32}, 128: {32, 64, 80, 128},
	} {
		if got := replay.Rows(batch); !slices.Equal(got, want) {
			t.Errorf("Rows(%d) = %v, want %v", batch, got, want)
		}
	}
	for n := 1; n < 2000; n++ {
		got := replay.Rows(n)
		if len(got) > 4 || !slices.IsSorted(got) || got[len(got)-1] != n || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("Rows(%d) = %v", n, got)
		}
	}
}

func TestNewEpisodesRefuses(t *testing.T) {
	spec := tape{}.Spec()
	spec.MaxSteps = 12
	endless, drift, wide := spec, spec, spec
	endless.MaxSteps, drift.ActDim, wide.Actions = 0, 2, []int{300}
	for _, c := range []struct {
		spec                  env.Spec
		keep                  replay.Keeps
		envs, capacity, batch int
		want                  string
	}{
		{spec, replay.Keeps{Obs: true}, 0, 10, 4, "replay: episodes of 0 environments, want at least 1"},
		{spec, replay.Keeps{Obs: true}, 1, 10, 0, "replay: batches of 0 episodes, want at least 1"},
		{spec, replay.Keeps{Obs: true}, 1, 31, 32, "replay: a batch larger than the buffer: 32 of 31 episodes"},
		{spec, replay.Keeps{Obs: true}, 1, 1 << 40, 1 << 40, "replay: batches of 1099511627776 episodes of up to 12 steps, want at most"},
		{spec, replay.Keeps{State: true}, 1, 10, 4, "replay: tape has no global state, but State is to be kept"},
		{spec, replay.Keeps{Entities: true}, 1, 10, 4, "replay: tape has no entities, but Entities are to be kept"},
		{endless, replay.Keeps{Obs: true}, 1, 10, 4, "replay: tape has episodes without a bound (MaxSteps 0), want one, for they are kept whole"},
		{drift, replay.Keeps{Obs: true}, 1, 10, 4, "replay: tape has continuous actions of size 2, want discrete ones only"},
		{wide, replay.Keeps{Obs: true}, 1, 10, 4, "replay: tape has a head of 300 choices, want at most 256"},
		{env.Spec{}, replay.Keeps{Obs: true}, 1, 10, 4, "env: the spec has no name"},
	} {
		if _, err := replay.NewEpisodes(broken{spec: c.spec}, c.keep, c.envs, c.capacity, c.batch); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
