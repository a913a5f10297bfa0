package battle

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// shapes are those of a form and a paint, in the order in which they were drawn.
func shapes(c *env.Canvas, f env.Form, p env.Paint) (list []env.Shape) {
	for _, s := range c.Shapes {
		if s.Form == f && s.Paint == p {
			list = append(list, s)
		}
	}
	return list
}

// TestView places what a picture must show: one of two stalkers is a leader and wounded, an enemy is dead, another is shot at.
func TestView(t *testing.T) {
	w := Map("2s3z").WithLeaders(1)
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	b := e.(*battle)
	b.Reset(env.Episode{Rand: rng.New(1).Rand()}, env.NewBatch(b.spec, 1).At(0))
	b.x[0], b.y[0], b.hp[0], b.shield[0] = 10, 12, 20, 0 // of 80 and 80
	b.x[5], b.y[5] = 15, 12
	b.shots = append(b.shots, shot{0, 5, 1}, shot{0, 1, 2})
	b.die(6)
	b.bury()
	c := new(env.Canvas)
	b.View(c)
	if n, m := len(shapes(c, env.Disc, armyPaint[0])), len(shapes(c, env.Disc, armyPaint[1])); n != 5 || m != 4 {
		t.Errorf("%d allies and %d enemies, want 5 and 4", n, m)
	}
	if dead := shapes(c, env.Disc, env.Grey); len(dead) != 1 || dead[0].X != float64(b.x[6]) {
		t.Errorf("the dead: %+v", dead)
	}
	if rings := shapes(c, env.Ring, env.Ink); len(rings) != 1 || rings[0].X != 10 || rings[0].R <= 0.625 {
		t.Errorf("rings around leaders: %+v, want one around a stalker", rings)
	}
	if shots := shapes(c, env.Line, env.Hue(4)); len(shots) != 1 || shots[0].X != 10 || shots[0].X2 != 15 {
		t.Errorf("shots: %+v, want one from 10 to 15", shots)
	}
	if heals := shapes(c, env.Line, env.Hue(2)); len(heals) != 1 || heals[0].X2 != float64(b.x[1]) {
		t.Errorf("healing: %+v, want one of ally 1", heals)
	}
	for _, k := range []struct {
		name  string
		paint env.Paint
		want  float64
	}{{"hit points", env.Hue(2), 0.25}, {"shields", env.Hue(5), 0}} {
		bar := shapes(c, env.Box, k.paint)[0] // of the first living unit
		if share := (bar.X2 - bar.X) / (2 * 0.625); share != k.want || bar.Y <= 12.625 {
			t.Errorf("a bar of %s shows %v of them, want %v, above the unit: %+v", k.name, share, k.want, bar)
		}
	}
	c.Groups = []int32{3, 0, 1, 1, -1}
	b.View(c)
	discs := map[env.Paint]int{}
	for _, s := range c.Shapes {
		if s.Form == env.Disc {
			discs[s.Paint]++
		}
	}
	numbers := shapes(c, env.Label, env.White)
	if discs[env.GroupHue(0)] != 1 || discs[env.GroupHue(1)] != 2 || discs[env.GroupHue(3)] != 1 || discs[env.Grey] != 2 || discs[armyPaint[1]] < 4 {
		t.Errorf("discs in groups %v: %v, want 1, 2 and 1 of groups 0, 1 and 3, one of none, one of the dead, and 4 enemies", c.Groups, discs)
	}
	if len(numbers) != 5 || numbers[0].Text != "0" || numbers[0].X != 10 {
		t.Errorf("numbers of allies: %+v", numbers)
	}
	if !strings.Contains(c.Note, "5 of 5 allies, 4 of 5 enemies") {
		t.Errorf("the note says %q", c.Note)
	}
	if f := c.Focus; f[0] > 10-viewEdge || f[2] < 15+viewEdge {
		t.Errorf("in focus is %v, want all units", f)
	}
}

// recorded is an episode of a script of about 60 steps.
func recorded(t testing.TB, w World) run.Episode {
	t.Helper()
	spec, err := env.Probe(w)
	if err != nil {
		t.Fatal(err)
	}
	played, err := eval.Run(context.Background(), w, policy.Script(spec, w.Near()), rng.New(1), eval.Plan{Stream: "eval", Episodes: 1, Envs: 1, Record: 1})
	if err != nil {
		t.Fatal(err)
	}
	return played.Recorded[0]
}

// TestB24Replay: an episode is an animation that a notebook can keep, alone and beside another, and each step a picture.
// BenchmarkB24Replay has its time.
func TestB24Replay(t *testing.T) {
	for _, w := range []World{Map("2s3z"), SZ(8).WithLeaders(2)} {
		e := recorded(t, w)
		movie := report.Play(w, e)
		for _, m := range []report.Movie{movie, report.Together(movie, movie.Title("again"))} {
			var b bytes.Buffer
			if err := m.Render(&b, "png"); err != nil {
				t.Fatal(err)
			}
			if b.Len() > 60_000 || !bytes.Contains(b.Bytes()[:200], []byte("acTL")) { // the chunk that makes it an animation
				t.Errorf("%s: %d steps make a PNG of %d bytes, want an animation of at most 60,000", w.Name, len(e.Actions), b.Len())
			}
		}
		for format, head := range map[string]string{"svg": "<?xml", "pdf": "%PDF"} {
			var b bytes.Buffer
			if err := movie.Frame(len(e.Actions)/2).Render(&b, format); err != nil || !strings.HasPrefix(b.String(), head) {
				t.Errorf("%s: a step as %s: %v, %.20q", w.Name, format, err, b.String())
			}
		}
	}
}

func BenchmarkB24Replay(b *testing.B) {
	w := Map("2s3z")
	movie := report.Play(w, recorded(b, w)).Until(60)
	for b.Loop() {
		if err := movie.Render(new(bytes.Buffer), "png"); err != nil {
			b.Fatal(err)
		}
	}
}
