package train_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// choices are the greedy actions of p in many moments.
func choices(t *testing.T, p policy.Policy) []int32 {
	t.Helper()
	w, err := small().New()
	must(t, err)
	b := env.NewBatch(w.Spec(), 25)
	for i := range b.N {
		s := b.At(i)
		s.Obs[0], s.Obs[2] = float32(i%5), float32(i/5)
	}
	out := env.Actions{Discrete: make([]int32, b.N*2)}
	must(t, p.Act(b, p.Memory(b.N), policy.Mode{}, rng.New(1), out))
	return out.Discrete
}

func TestOpen(t *testing.T) {
	e := experiment(t.TempDir())
	m := tabular()
	var trained policy.Policy
	e.Method = spied{m, &trained}
	must(t, e.Run(context.Background()))
	p, err := train.Open(e.Dir, small(), m)
	must(t, err)
	want := choices(t, trained)
	if got := choices(t, p); !slices.Equal(got, want) {
		t.Errorf("the opened policy chooses %v, the trained one %v", got, want)
	}
	fresh := experiment(t.TempDir())
	fresh.Method = spied{m, &trained}
	stopAt(fresh, 8+8+8+8+20) // in its first evaluation
	if slices.Equal(choices(t, trained), want) {
		t.Error("training has changed no choice: the comparison shows nothing")
	}

	other, larger := m, small()
	other.Name, larger.Agents = "chair", 3
	empty := t.TempDir()
	must(t, os.WriteFile(filepath.Join(empty, "config.json"), []byte(read(t, e.Dir, "config.json")), 0o644))
	for _, c := range []struct {
		dir    string
		world  env.World
		method train.Method
		want   string
	}{
		{e.Dir, small(), other, "holds a run of table, want chair"},
		{e.Dir, small(), nil, "no method given"},
		{e.Dir, nil, m, "no world given for " + e.Dir + ", want that of the run, test/corridor"},
		{e.Dir, larger, m, "48 values were saved, want 72"},
		{empty, small(), m, "has no whole checkpoint"},
		{t.TempDir(), small(), m, "no run under"},
		{e.Dir, mine{}, m, "panic: no world"},
	} {
		_, err := train.Open(c.dir, c.world, c.method)
		wantLine(t, err, c.want)
	}
}

// spied tells which policy it has made last.
type spied struct {
	table
	last *policy.Policy
}

func (s spied) Build(x train.Setup) (train.Learner, replay.Replay, error) {
	l, r, err := s.table.Build(x)
	if err == nil {
		*s.last = l.Policy()
	}
	return l, r, err
}

func TestEstimateCountsUpdates(t *testing.T) {
	for _, c := range []struct {
		envs, every, warmup int
		steps               int64
	}{{3, 4, 40, 300}, {3, 4, 40, 5000}, {1, 1, 8, 777}, {5, 7, 93, 4001}, {7, 2, 100, 2000}, {4, 100, 99, 3000}, {3, 4, 40, 30}} {
		e := experiment(t.TempDir())
		m := tabular()
		m.Envs, m.Every, m.Warmup = c.envs, c.every, c.warmup
		e.Method, e.Steps, e.Eval = m, c.steps, train.Eval{}
		guess, err := e.Estimate()
		must(t, err)
		must(t, e.Run(context.Background()))
		if got := e.Progress().Updates; guess.Updates != got {
			t.Errorf("%+v: estimated %d updates, made %d", c, guess.Updates, got)
		}
		if guess.Steps != c.steps || guess.Time < 0 || guess.Memory < 1<<20 || guess.PerStep <= 0 || guess.Backend != "plain Go" {
			t.Errorf("%+v: %+v", c, guess)
		}
		if line := guess.String(); strings.Contains(line, "\n") || !strings.Contains(line, " updates") || !strings.Contains(line, "plain Go") {
			t.Errorf("says %q", line)
		}
	}
	long := experiment(t.TempDir())
	long.Steps = 1 << 62
	if guess, err := long.Estimate(); err != nil || guess.Time <= 0 || guess.Updates <= 0 {
		t.Errorf("an endless run takes %v and %d updates (%v)", guess.Time, guess.Updates, err)
	}
	if list, _ := os.ReadDir(long.Dir); len(list) > 0 {
		t.Error("an estimate has left files")
	}
	if line := (train.Estimate{Steps: 10, Updates: 2}).String(); !strings.Contains(line, "at most 2 updates") {
		t.Errorf("says %q where no update was seen", line)
	}
}

// Episodes are counted as they come: an estimate knows only how many there were per step of the probe.
func TestEstimateCountsEpisodes(t *testing.T) {
	for _, per := range []int{1, 2, 30} {
		e := experiment(t.TempDir())
		m := episodic()
		m.Episodes = per
		e.Method, e.Steps, e.Eval = m, 20_000, train.Eval{}
		guess, err := e.Estimate()
		must(t, err)
		must(t, e.Run(context.Background()))
		if got := e.Progress().Updates; got < 20 || math.Abs(float64(guess.Updates)/float64(got)-1) > 0.15 {
			t.Errorf("an update every %d episodes: estimated %d updates, made %d", per, guess.Updates, got)
		}
	}
	e := experiment(t.TempDir())
	e.Method, e.Steps, e.Eval = episodic(), 6, train.Eval{} // no episode ends
	guess, err := e.Estimate()
	must(t, err)
	if guess.Seen != 0 || guess.Updates > 3 {
		t.Errorf("%+v after two steps of three environments", guess)
	}
}

// Updates are made for each so many finished episodes, from the one on that makes the replay ready.
func TestUpdatesByEpisodes(t *testing.T) {
	w := small()
	m := episodic()
	m.Envs, m.Episodes = 1, 3
	var episodes, made int
	w.bad.step = func(out *env.Step) {
		if out.Over() {
			episodes++
		}
	}
	m.update = func(int64) error {
		if made++; episodes != 7+3*made { // the 8th makes it ready and is the first that counts
			t.Errorf("update %d after %d episodes", made, episodes)
		}
		return nil
	}
	l, err := train.NewLoop(w, m, train.Setup{Key: rng.New(1)}, 1)
	must(t, err)
	defer l.Close()
	for episodes = 0; made < 5; { // the world has been probed
		must(t, l.Iterate())
	}
}
