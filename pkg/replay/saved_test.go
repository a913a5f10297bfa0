package replay_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// TestEpisodesResume saves into a run directory at many moments, with episodes in progress and after many were
// forgotten, loads into a new replay each time, and compares with one that was never saved.
func TestEpisodesResume(t *testing.T) {
	t.Run("single", func(t *testing.T) { resumeEpisodes(t, reel{}, all) })
	t.Run("half", func(t *testing.T) {
		resumeEpisodes(t, drawnReel{}, replay.Keeps{Obs: true, State: true, Entities: true, Half: true})
	})
}

func resumeEpisodes(t *testing.T, e env.Env, keep replay.Keeps) {
	const slots, capacity, batch = 3, 6, 4
	path := filepath.Join(t.TempDir(), "run")
	make := func() *replay.Episodes { return episodes(t, e, keep, slots, capacity, batch) }
	whole, parts := make(), make()
	p, q := newPlayer(slots, mixed), newPlayer(slots, mixed)
	for n := int64(0); n < 15; n++ {
		d, err := run.Create(path, run.Config{Method: "m", World: "w"})
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			parts = make()
			for range 2 { // the second takes the place of the first
				if _, ok, err := d.Load(map[string]run.Checkpoint{"replay": parts}); err != nil || !ok {
					t.Fatalf("loading: %v, %v", ok, err)
				}
			}
		}
		wantSame(t, parts, whole)
		for range n * 7 % 16 {
			p.step(whole, e.Spec())
			q.step(parts, e.Spec())
		}
		if err := d.Save(n, map[string]run.Checkpoint{"replay": parts}); err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
}

// wantSame compares what two replays hold, save and sample.
func wantSame(t *testing.T, got, want *replay.Episodes) {
	t.Helper()
	var a, b strings.Builder
	if err := want.Save(&b); err != nil {
		t.Fatal(err)
	}
	if err := got.Save(&a); err != nil || a.String() != b.String() {
		t.Fatalf("saves %s, want %s (%v)", &a, &b, err)
	}
	first, next := want.Records()
	for n := first; n < next; n++ {
		if !slices.Equal(got.Record(n), want.Record(n)) {
			t.Fatalf("record %d of %d to %d differs", n, first, next)
		}
	}
	if got.Len() != want.Len() || got.Ready() != want.Ready() {
		t.Fatalf("%d episodes, ready: %v; want %d, %v", got.Len(), got.Ready(), want.Len(), want.Ready())
	}
	for u := range int64(3) {
		key := rng.New(4).Split("replay", u)
		if !reflect.DeepEqual(got.Sample(key), want.Sample(key)) {
			t.Fatalf("sample %d differs", u)
		}
	}
}

// TestRoomIsUsedAgain: records that are no longer needed are given up, and what is held stays as it is when many
// times as many have come after: the same as in a replay that is saved and loaded into a new one now and then.
// Records of 72 kB make blocks of 14; while one slot plays twelve steps, the others play many episodes of one.
func TestRoomIsUsedAgain(t *testing.T) {
	length := func(e int) int {
		if e%10 == 0 {
			return reelSteps
		}
		return 1
	}
	e := broad{}
	make := func() *replay.Episodes { return episodes(t, e, replay.Keeps{State: true}, 3, 5, 4) }
	r, twin := make(), make()
	p, q := newPlayer(3, length), newPlayer(3, length)
	for k := range 200 {
		p.step(r, e.Spec())
		q.step(twin, e.Spec())
		first, next := r.Records()
		if next-first > 2*reelSteps*6+14 { // since the oldest began: two a step for each slot, and a block
			t.Fatalf("records %d to %d are held for 5 episodes of at most 12 steps and 3 that run", first, next)
		}
		if k%40 == 39 {
			var saved strings.Builder
			if err := twin.Save(&saved); err != nil {
				t.Fatal(err)
			}
			old := twin
			twin = make()
			for n := first; n < next; n++ {
				twin.SetRecord(n, old.Record(n))
			}
			if err := twin.Load(strings.NewReader(saved.String())); err != nil {
				t.Fatal(err)
			}
		}
		if k%20 != 19 {
			continue
		}
		wantSame(t, twin, r)
		s := r.Sample(rng.New(1).Split("replay", int64(k)))
		for i := range s.Batch {
			at := func(m int) float32 { return s.State[(m*s.Batch+i)*18_000] }
			episode := -int(at(0)) / 100
			for m := range length(episode) + 1 {
				if x := s.State[(m*s.Batch+i)*18_000+17_999]; at(m) != -float32(100*episode+m) || x != at(m)+8_999.5 {
					t.Fatalf("step %d: moment %d of episode %d is %v to %v", k, m, episode, at(m), x)
				}
			}
		}
	}
}

// broad is a reel with a state of 18,000 values.
type broad struct{ reel }

func (broad) Spec() env.Spec {
	s := reel{}.Spec()
	s.StateDim = 18_000
	return s
}

func TestEpisodesLoadRefuses(t *testing.T) {
	make := func() *replay.Episodes { return episodes(t, reel{}, all, 2, 6, 4) }
	full, p := make(), newPlayer(2, mixed)
	for range 40 {
		p.step(full, reel{}.Spec())
	}
	var saved strings.Builder
	if err := full.Save(&saved); err != nil {
		t.Fatal(err)
	}
	first, next := full.Records()
	width := fmt.Sprint(full.Width())
	load := func(text string, spoil func(n int64, b []byte)) error {
		r := make()
		for n := first; n < next; n++ {
			b := slices.Clone(full.Record(n))
			spoil(n, b)
			r.SetRecord(n, b)
		}
		return r.Load(strings.NewReader(text))
	}
	as := func(int64, []byte) {}
	if err := load(saved.String(), as); err != nil {
		t.Fatal(err)
	}
	replace := func(from, to string) string { return strings.Replace(saved.String(), from, to, 1) }
	last := fmt.Sprintf(`"next":%d`, next)
	for _, c := range []struct{ text, want string }{
		{replace(`:6`, `:7`), "replay: a buffer of 7 episodes in records of " + width + " bytes was saved, want 6 in records of " + width},
		{replace(":"+width, ":9"), "replay: a buffer of 6 episodes in records of 9 bytes was saved, want 6 in records of " + width},
		{replace(last, `"next":-1`), "replay: records 0 to -1 were saved, want 0 or more, rising"},
		{replace(last, `"next":1000`), fmt.Sprintf("replay: records 0 to 1000 were saved, but 0 to %d are there", next)},
		{saved.String()[:5], "replay: unexpected EOF"},
		{"", "replay: EOF"},
	} {
		if err := load(c.text, as); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	for field, at := range map[string]int{"slot": 0, "step": 4, "back": 8, "flags": 12} {
		for n := first; n < next; n += 3 {
			for _, x := range []byte{1, 2, 4, 0x80} {
				err := load(saved.String(), func(k int64, b []byte) {
					if k == n {
						b[at] ^= x
					}
				})
				if field == "back" && full.Record(n)[4] == 0 || field == "flags" && x < 4 && err == nil {
					continue // the first of an episode has no back; whether task or clock ended one is data
				}
				if err == nil || !strings.HasPrefix(err.Error(), "replay: record ") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s of record %d changed by %d: %v", field, n, x, err)
				}
			}
		}
	}
}

// TestEpisodesAllocations: once there is room, nothing for Add and Sample.
func TestEpisodesAllocations(t *testing.T) {
	for _, e := range []env.Env{reel{}, drawnReel{}} {
		r, p := episodes(t, e, all, 4, 6, 4), newPlayer(4, mixed)
		for range 200 {
			p.step(r, e.Spec())
		}
		for u := range int64(50) { // of all lengths
			r.Sample(rng.New(1).Split("replay", u))
		}
		spec := e.Spec()
		before, after, act := env.NewBatch(spec, 4), env.NewBatch(spec, 4), env.NewActions(spec, 4)
		after.At(1).Terminated, after.At(3).Truncated = true, true
		plays := func(i int) bool { return i != 2 }
		if n := testing.AllocsPerRun(50, func() { r.Add(before, act, after, plays) }); n != 0 {
			t.Errorf("Add allocates %v times", n)
		}
		key := rng.New(1)
		if n := testing.AllocsPerRun(50, func() { r.Sample(key) }); n != 0 {
			t.Errorf("Sample allocates %v times", n)
		}
	}
}
