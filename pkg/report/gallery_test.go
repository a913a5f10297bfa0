package report

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// made are runs of three methods on three worlds with five seeds each. Their numbers are made up: a learning curve that
// saturates, noise between seeds and between evaluations.
func made(t testing.TB) run.Runs {
	t.Helper()
	var list []*run.Run
	for m, method := range []string{"iql", "vdn", "qmix"} {
		for w, world := range []string{"toy/easy", "toy/middle", "toy/hard"} {
			for seed := range uint64(5) {
				r := rand.New(rand.NewPCG(seed, uint64(10*m+w)))
				best := 0.95 - 0.25*float64(w) + 0.08*float64(m) - 0.06*float64(m*(2-w)) + 0.05*r.NormFloat64()
				speed := 4 + float64(m) + r.Float64()
				var evals []run.Evaluation
				for i := range 41 {
					p := min(1, max(0, best*(1-math.Exp(-speed*float64(i)/40))))
					evals = append(evals, evaluation("eval", int64(5000*i), 20, p, r))
				}
				evals = append(evals, evaluation("final", 200_000, 100, min(1, best), r))
				one, err := run.Given(method, world, seed, evals)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, one)
			}
		}
	}
	return run.Of(list...)
}

// evaluation has episodes that are won with probability p and then return about 20.
func evaluation(stream string, steps int64, episodes int, p float64, r *rand.Rand) run.Evaluation {
	e := run.Evaluation{Stream: stream, Steps: steps, Updates: steps / 50, Seconds: float64(steps) / 900, Episodes: episodes, Outcomes: map[string]int{}}
	for range episodes {
		outcome, value := "loss", 8*r.Float64()
		if r.Float64() < p {
			outcome, value = "win", 18+2*r.Float64()
		}
		e.Outcomes[outcome]++
		e.Returns, e.Lengths = append(e.Returns, value), append(e.Lengths, 20+r.IntN(40))
	}
	return e
}

// gallery is what docs/gallery.md shows, by the name of its picture.
func gallery(runs run.Runs) map[string]Report {
	board := Scores(runs, "return").Between(map[string][2]float64{"toy/easy": {0, 20}, "toy/middle": {0, 20}, "toy/hard": {0, 20}})
	panel := func(world string) Chart {
		return Curves(only(runs, func(r *run.Run) bool { return r.World == world }), "win_rate").Title(strings.TrimPrefix(world, "toy/"))
	}
	hard := func(r *run.Run) bool { return r.World == "toy/hard" }
	return map[string]Report{
		"curves":         Curves(only(runs, hard), "win_rate"),
		"curves_column":  Curves(only(runs, hard), "win_rate").Width(OneColumn),
		"curves_panels":  Curves(only(runs, hard), "win_rate", "return").Over(Updates).Width(FullWidth),
		"grid":           Grid(3, panel("toy/easy"), panel("toy/middle"), panel("toy/hard")).Width(FullWidth),
		"profiles":       Profiles(board),
		"aggregates":     Aggregates(board).Width(FullWidth),
		"aggregates_col": Aggregates(board).Width(OneColumn),
		"improvements":   Improvements(board, "").Width(OneColumn),
		"long_names":     Improvements(board.By(func(r *run.Run) string { return "a long name of " + r.Method }), "a long name of vdn").Width(OneColumn),
		"bars":           Bars(Scores(runs, "win_rate")),
		"boxes":          Boxes(board).Width(OneColumn),
	}
}

func only(runs run.Runs, keep func(*run.Run) bool) run.Runs {
	list, _ := runs.List()
	var kept []*run.Run
	for _, r := range list {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return run.Of(kept...)
}

// The tables of docs/gallery.md are those that its code makes.
func TestGalleryTables(t *testing.T) {
	page, err := os.ReadFile("../../docs/gallery.md")
	if err != nil {
		t.Fatal(err)
	}
	runs := made(t)
	for _, r := range []Report{WinRates(runs, nil), Ablation(Scores(runs, "return").MinMax(), "vdn"), TimeTo(runs, "win_rate", 0.5)} {
		if table := render(t, r, "md"); !strings.Contains(string(page), table) {
			t.Errorf("docs/gallery.md lacks\n%s", table)
		}
	}
}

// TestGallery draws every figure. MUSTER_GALLERY=folder keeps the pictures there; MUSTER_GALLERY=../../docs/gallery are those
// of docs/gallery.md.
func TestGallery(t *testing.T) {
	dir := os.Getenv("MUSTER_GALLERY")
	for name, r := range gallery(made(t)) {
		data := render(t, r, "png")
		if len(data) > 60_000 {
			t.Errorf("%s: %d bytes, at most 60,000", name, len(data))
		}
		img, err := png.Decode(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if n := atEdge(img); n > 0 {
			t.Errorf("%s: %d dark pixels at the edge, so something is clipped", name, n)
		}
		wants(t, render(t, r, "pdf")[:5], "%PDF-")
		wants(t, render(t, r, "svg"), "font-family:'Liberation Sans',Arial,", "</svg>")
		wants(t, render(t, r, "json"), `{"caption":"`)
		if dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name+".png"), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
			grey := image.NewGray(img.Bounds())
			for y := range img.Bounds().Dy() {
				for x := range img.Bounds().Dx() {
					grey.Set(x, y, img.At(x, y))
				}
			}
			if os.Getenv("MUSTER_GREY") != "" {
				var b bytes.Buffer
				png.Encode(&b, grey)
				os.WriteFile(filepath.Join(dir, name+"_grey.png"), b.Bytes(), 0o644)
			}
			fmt.Println(name, len(data), render(t, r, "text"))
		}
	}
}

// atEdge counts dark pixels on the border of a picture.
func atEdge(img image.Image) (n int) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if x > b.Min.X && y > b.Min.Y && x < b.Max.X-1 && y < b.Max.Y-1 {
				continue
			}
			if r, _, _, _ := img.At(x, y).RGBA(); r < 0x8000 {
				n++
			}
		}
	}
	return n
}
