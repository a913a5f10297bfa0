package report

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// grouper fights like a script and thinks aloud: of n agents that are there, two lead, and who follows changes sides at
// each step. Agent i scores j with 10·i + j + step/1000.
type grouper struct {
	policy.Policy
	spec env.Spec
	here []int // agents of each environment
	t    []int // steps of each environment's episode
}

type thoughts struct {
	policy.None
	of *grouper
}

func (g *grouper) Memory(n int) policy.Memory {
	g.here, g.t = make([]int, n), make([]int, n)
	return thoughts{of: g}
}

func (m thoughts) Begin(i int) { m.of.t[i] = -1 }

func (g *grouper) Act(b *env.Batch, m policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	for i := range b.N {
		g.here[i] = 0
		for _, p := range b.At(i).Present[:g.spec.Agents] {
			if p {
				g.here[i]++
			}
		}
		g.t[i]++
	}
	return g.Policy.Act(b, m, mode, key, out)
}

func (m thoughts) Insight(i int) policy.Insight {
	n, here, t := m.of.spec.Agents, m.of.here[i], m.of.t[i]
	in := policy.Insight{Groups: make([]int32, n), Scores: make([]float32, n*n)}
	for a := range n {
		switch {
		case a >= here:
			in.Groups[a] = -1
		case a < 2:
			in.Groups[a] = int32(a)
		default:
			in.Groups[a] = int32((a + t) % 2)
		}
		for b := range n {
			in.Scores[a*n+b] = float32(math.NaN())
			if a != b && max(a, b) < here {
				in.Scores[a*n+b] = float32(10*a+b) + float32(t)/1000
			}
		}
	}
	return in
}

// thinking is an episode of a family's cell, fought by a grouper.
func thinking(t testing.TB, w battle.World) run.Episode {
	t.Helper()
	spec, err := env.Probe(w)
	if err != nil {
		t.Fatal(err)
	}
	g := &grouper{Policy: policy.Script(spec, w.Near()), spec: spec}
	e, err := eval.Run(context.Background(), w, g, rng.New(1), eval.Plan{Stream: "final", Episodes: 3, Envs: 2, Record: 2})
	if err != nil {
		t.Fatal(err)
	}
	return e.Recorded[1]
}

// TestReplayWithGroups records what a policy thought, keeps it in a run directory, and finds it again in the picture: allies
// in the hues of their groups, leaders ringed, and the scores beside them.
func TestReplayWithGroups(t *testing.T) {
	w := battle.SZ(3, 4, 5).WithLeaders(2)
	six := w.Cells(6)[0].World.(battle.World)
	e := thinking(t, six)
	if len(e.Groups) != e.Length() || len(e.Scores) != e.Length() || e.Groups[7][2] != 1 || e.Groups[8][2] != 0 || e.Groups[8][6] != -1 || e.Scores[8][8*5+3] != 53.008 {
		t.Fatalf("%d steps, groups %v, scores %v", e.Length(), e.Groups[7:9], e.Scores[8])
	}
	dir := filepath.Join(t.TempDir(), "1")
	d, err := run.Create(dir, run.Config{Method: "fake", World: "battle/sz-3-5-l2", Seed: 1, Goal: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain := recorded(t, w, must(env.Probe(w)))
	if err := d.Record([]run.Episode{plain, e, plain}); err != nil {
		t.Fatal(err)
	}
	stored, err := must(run.Open(dir)).Episodes()
	if err != nil || !slices.EqualFunc(stored[1].Groups, e.Groups, slices.Equal) || stored[1].Scores[8][8*5+3] != 53.008 || stored[1].Scores[8][0] == stored[1].Scores[8][0] {
		t.Fatalf("stored: %v, %v", stored[1].Groups, err)
	}
	m := Replay(six, run.All(dir)).Scores()
	text := render(t, m, "text")
	last := e.Groups[len(e.Groups)-1]
	wants(t, text, "an episode of", "on battle/sz-6-l2", "; groups at the end: "+groupsInWords(last))
	if words := groupsInWords([]int32{0, 1, 1, 0, -1}); words != "0: 0 3, 1: 1 2" {
		t.Errorf("groups in words: %s", words)
	}
	moments, err := m.moments()
	if err != nil {
		t.Fatal(err)
	}
	for step, scene := range moments[0] {
		discs, rings := map[env.Paint]int{}, 0
		for _, s := range scene.Shapes {
			if s.Form == env.Disc && s.R > 0.3 {
				discs[s.Paint]++
			} else if s.Form == env.Ring && s.Paint == env.Ink {
				rings++
			}
		}
		if step == 0 && (discs[env.GroupHue(0)] != 3 || discs[env.GroupHue(1)] != 3 || discs[env.Hue(1)] != 6 || rings != 2) {
			t.Errorf("at first %v discs and %d rings, want 3 of each group, 6 enemies, 2 leaders", discs, rings)
		}
		if discs[env.Grey] > 0 {
			t.Errorf("step %d: an ally in no group", step)
		}
	}
	svg := render(t, m.Frame(8), "svg")
	wants(t, svg, "53.01", "what rows think of columns")
	if strings.Contains(svg, "60.01") || strings.Contains(svg, "6.01") {
		t.Error("scores of agents that are not there")
	}
	if data := render(t, m, "png"); len(data) > 60_000 || len(frames(t, data)) < 8 {
		t.Errorf("%d frames in %d bytes, want some in at most 60,000", len(frames(t, data)), len(data))
	}
	render(t, Together(Replay(w, run.All(dir)), m), "png") // without groups beside one with
	wants(t, render(t, Replay(w, run.All(dir)), "text"), "on battle/sz-3-5-l2")
	refuses(t, Replay(w, run.All(dir)).Scores(), "png", "the episode on battle/sz-3-5-l2 has no scores")
	refuses(t, Replay(battle.SZ(7), run.All(dir)), "png", "was played on battle/sz-3-5-l2, not on battle/sz-7")
	refuses(t, Replay(w, run.All("nobody/*")).Scores(), "png", "no runs match")
	e.Groups[0] = e.Groups[0][:3]
	refuses(t, Play(six, e), "png", "groups of 3 agents, battle/sz-6-l2 has 8")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
