package report

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kettek/apng"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// recorded is an episode of random couriers.
func recorded(t testing.TB, w env.World, spec env.Spec) run.Episode {
	t.Helper()
	e, err := eval.Run(context.Background(), w, policy.Random(spec), rng.New(1), eval.Plan{Stream: "final", Episodes: 1, Envs: 1, Record: 1})
	if err != nil {
		t.Fatal(err)
	}
	return e.Recorded[0]
}

// frames decodes an animation into what a viewer shows.
func frames(t *testing.T, data string) []*image.RGBA {
	t.Helper()
	a, err := apng.DecodeAll(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var list []*image.RGBA
	shown := image.NewRGBA(a.Frames[0].Image.Bounds())
	for _, f := range a.Frames {
		b := f.Image.Bounds()
		draw.Draw(shown, b.Sub(b.Min).Add(image.Pt(f.XOffset, f.YOffset)), f.Image, b.Min, draw.Over)
		list = append(list, &image.RGBA{Pix: bytes.Clone(shown.Pix), Stride: shown.Stride, Rect: shown.Rect})
	}
	return list
}

// TestMovie compares frames of an animation, of which each holds only what has changed, with pictures of the same steps.
func TestMovie(t *testing.T) {
	w := takeout.Mini()
	m := Play(w, recorded(t, w, w.Spec()))
	data := render(t, m, "png")
	if len(data) > 60_000 {
		t.Errorf("an animation of %d bytes, want at most 60,000", len(data))
	}
	list := frames(t, data)
	if len(list) != 35 { // 68 are too large, every second of them is kept
		t.Fatalf("%d frames, want one at every sixth step and one at the end", len(list))
	}
	ends := frames(t, render(t, m.Every(1000).Rate(1), "png"))
	for i, k := range []int{0, 34} {
		if far := difference(list[k], ends[i]); len(ends) != 2 || far > 0.02 {
			t.Errorf("frame %d differs from the picture of its step in %.1f %% of its pixels", k, 100*far)
		}
	}
	if few := frames(t, render(t, m.Until(20).Every(3), "png")); len(few) != 8 { // 0, 3, …, 18 and 20
		t.Errorf("%d frames of the first 20 steps at every third, want 8", len(few))
	}
	if far := difference(list[0], list[17]); far < 0.005 {
		t.Errorf("frames 0 and 17 differ in %.2f %% of their pixels: nothing moves", 100*far)
	}
	if text := render(t, m, "text"); !strings.Contains(text, "an episode of 200 steps on takeout/mini-v4, return ") || !strings.Contains(text, "step 200 of 200") {
		t.Errorf("in words: %s", text)
	}
}

// difference is the share of pixels that differ clearly.
func difference(a, b *image.RGBA) float64 {
	n, all := 0, 0
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			p, q := a.RGBAAt(x, y), b.RGBAAt(x, y)
			d := max(int(p.R)-int(q.R), int(q.R)-int(p.R)) + max(int(p.G)-int(q.G), int(q.G)-int(p.G)) + max(int(p.B)-int(q.B), int(q.B)-int(p.B))
			if d > 150 {
				n++
			}
			all++
		}
	}
	return float64(n) / float64(all)
}

func TestFrame(t *testing.T) {
	w := takeout.Mini()
	m := Together(Play(w, recorded(t, w, w.Spec())), Play(w, recorded(t, w, w.Spec())).Matrix(func(step int) [][]float64 {
		return [][]float64{{0, float64(step)}, {-1}}
	}))
	for format, head := range map[string]string{"png": "\x89PNG", "pdf": "%PDF", "svg": "<?xml"} {
		one, two := render(t, m.Frame(30), format), render(t, m.Frame(30), format)
		if !strings.HasPrefix(one, head) {
			t.Errorf("%s begins with %q", format, one[:5])
		}
		if one != two {
			t.Errorf("%s: two renderings differ", format)
		}
	}
	if svg := render(t, m.Frame(30), "svg"); !strings.Contains(svg, "30.00") || !strings.Contains(svg, "step 30 of 200") {
		t.Error("neither matrix nor note in the picture")
	}
	for _, step := range []int{-1, 201} {
		refuses(t, m.Frame(step), "png", fmt.Sprintf("no frame of step %d, want 0 to 200", step))
	}
}

func TestReplayErrors(t *testing.T) {
	w := takeout.Mini()
	e := recorded(t, w, w.Spec())
	other := w
	other.View = 2
	small := matrix.Climb{}.Spec()
	wrong := e
	wrong.Actions = append(wrong.Actions[:len(wrong.Actions):len(wrong.Actions)], wrong.Actions[0])
	for _, c := range []struct {
		movie Movie
		want  string
	}{
		{Play(other, e), "was played on takeout/mini-v4, not on takeout/mini-v2"},
		{Play(matrix.Climb{}, recorded(t, matrix.Climb{}, small)), "matrix/climb cannot be drawn"},
		{Play(w, wrong), "over after 200 steps"},
		{Together(), "no episode"},
		{Replay(w, run.All("nobody/*")), "no runs match"},
	} {
		refuses(t, c.movie, "png", c.want)
		refuses(t, c.movie.Frame(0), "svg", c.want)
	}
	refuses(t, Play(w, e), "mp4", `unknown format "mp4"`)
}

// TestReplay finds recorded episodes of a run.
func TestReplay(t *testing.T) {
	w := takeout.Mini()
	dir := filepath.Join(t.TempDir(), "1")
	d, err := run.Create(dir, run.Config{Method: "random", World: w.Spec().Name, Seed: 1, Goal: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	refuses(t, Replay(w, run.All(dir)), "text", "has no recorded episode")
	e := recorded(t, w, w.Spec())
	first := e
	first.Stream, first.Actions = "eval", first.Actions[:20]
	e.Steps = 1000
	for _, list := range [][]run.Episode{{first}, {e}} {
		if err := d.Record(list); err != nil {
			t.Fatal(err)
		}
	}
	for want, m := range map[string]Movie{
		"random after 1,000 steps: an episode of 200 steps": Replay(w, run.All(dir)),
		"random after 0 steps: an episode of 20 steps":      ReplayWhere(w, run.All(dir), func(e run.Episode) bool { return e.Steps == 0 }),
	} {
		if text := render(t, m, "text"); !strings.HasPrefix(text, want) {
			t.Errorf("%s, want %s", text, want)
		}
	}
	none := ReplayWhere(w, run.All(dir), func(run.Episode) bool { return false })
	refuses(t, none, "text", "none of the 2 recorded episodes")
}

func BenchmarkMovie(b *testing.B) {
	w := takeout.Mini()
	m := Play(w, recorded(b, w, w.Spec()))
	for b.Loop() {
		if err := m.Render(&bytes.Buffer{}, "png"); err != nil {
			b.Fatal(err)
		}
	}
}
