package run

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNullIsNotZero(t *testing.T) {
	dir := t.TempDir()
	create(t, dir, config(8)).Close()
	os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte("{\"steps\":1,\"loss\":null}\n{\"steps\":2,\"loss\":5}\n"), 0o644)
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Metrics("loss"); err != nil || len(p) != 1 || p[0].Value != 5 || p[0].Steps != 2 {
		t.Errorf("%v, %v, want 5 at step 2 alone", p, err)
	}
}

func TestNoNumberIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	if err := d.Metrics(1, 1, 0, map[string]float64{"a": math.NaN(), "b": math.Inf(1), "c": 2}); err != nil {
		t.Fatal(err)
	}
	r, _ := Open(dir)
	if curves, err := r.Curves("c", "c"); err != nil || len(curves["c"]) != 1 {
		t.Errorf("%v, %v, want one point of c", curves, err)
	}
	_, err := r.Curves("c", "a")
	wantError(t, err, `no metric "a"; it has c, seconds, steps, updates`)
}

func TestSummary(t *testing.T) {
	dir, dst := t.TempDir(), filepath.Join(t.TempDir(), "results", "a")
	c := config(8)
	c.Identity = Describe(map[string]any{"World": "w", "Table": "/somebody/data/table.csv"})
	d := create(t, dir, c)
	if err := d.Provenance(map[string]string{"host": "my-machine", "plugin": "/somebody/lib/plugin.so", "flags": "a=/somebody/b:1", "platform": "linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	const lines = 1234
	for i := range int64(lines) {
		values := map[string]float64{"loss": float64(i)}
		if i%100 == 7 {
			values["rare"] = float64(-i)
		}
		if err := d.Metrics(i, i, 0, values); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			d.Evaluation(Evaluation{Stream: "eval", Steps: i, Episodes: 1, Returns: []float64{float64(i)}})
		}
	}
	d.Evaluation(Evaluation{Stream: "final", Steps: lines, Episodes: 1, Returns: []float64{7}})
	for _, e := range []Episode{{Stream: "eval"}, {Stream: "eval", Steps: 100}, {Stream: "final", Steps: lines}} {
		if err := d.Record([]Episode{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Save(lines, map[string]Checkpoint{"a": &blob{"x"}}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // over an older one, too
		if err := r.Summary(dst); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(entries(t, dst)); got != "[config.json episodes eval.jsonl metrics.jsonl]" {
		t.Errorf("the summary holds %v", got)
	}
	if got := fmt.Sprint(entries(t, filepath.Join(dst, "episodes"))); got != "[eval-000000000000.jsonl final-000000001234.jsonl]" {
		t.Errorf("the summary holds the recordings %v", got)
	}
	list, err := All(filepath.Join(filepath.Dir(dst), "*")).List()
	if err != nil || len(list) != 1 {
		t.Fatalf("found %d summaries (%v), want 1", len(list), err)
	}
	s := list[0]
	if s.Method != r.Method || s.World != r.World || s.Seed != r.Seed {
		t.Errorf("the summary is of %s on %s, seed %d", s.Method, s.World, s.Seed)
	}
	curves, err := s.Curves("loss", "rare", "return")
	if err != nil {
		t.Fatal(err)
	}
	// Of the 617 evaluations, one every other step, those after step 4/5·1234 = 987.2 are all kept: 123, beside 240 of 300.
	for name, want := range map[string]struct {
		points int
		last   float64
		late   int64 // gap of points in the last fifth, 0 = as before
	}{"loss": {300, lines - 1, 0}, "return": {363, lines - 2, 2}} {
		p := curves[name]
		if len(p) != want.points || p[0].Value != 0 || p[len(p)-1].Value != want.last {
			t.Errorf("%s: %d points from %v to %v, want %d from 0 to %v", name, len(p), p[0].Value, p[len(p)-1].Value, want.points, want.last)
		}
		for i := 1; i < len(p); i++ {
			gap, late := p[i].Steps-p[i-1].Steps, want.late > 0 && 5*p[i-1].Steps > 4*lines
			if late && gap != want.late {
				t.Errorf("%s: a gap of %d steps in the last fifth, want %d", name, gap, want.late)
			}
			if before := want.late == 0 || 5*p[i].Steps <= 4*lines; before && (gap < 4 || gap > 6) {
				t.Errorf("%s: a gap of %d steps, want about %d", name, gap, lines/300)
			}
		}
	}
	if want, _ := r.Metrics("rare"); !slices.Equal(curves["rare"], want) {
		t.Errorf("a rare metric has %d points, want all %d", len(curves["rare"]), len(want))
	}
	if e, err := s.Final(""); err != nil || e.Returns[0] != 7 {
		t.Errorf("final evaluation %v, %v", e, err)
	}
	config, _ := os.ReadFile(filepath.Join(dst, "config.json"))
	for _, secret := range []string{"my-machine", "somebody"} {
		if strings.Contains(string(config), secret) {
			t.Errorf("the summary names %q:\n%s", secret, config)
		}
	}
	for _, kept := range []string{"plugin.so", "linux/amd64", "a=b:1", "table.csv"} {
		if !strings.Contains(string(config), kept) {
			t.Errorf("the summary has lost %q:\n%s", kept, config)
		}
	}
	if err := r.Thinned(dst, 11); err != nil {
		t.Fatal(err)
	}
	thin, err := Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := thin.Metrics("loss"); err != nil || len(p) != 11 || p[0].Value != 0 || p[10].Value != lines-1 {
		t.Errorf("thinned to %v (%v), want 11 points from 0 to %d", p, err, lines-1)
	}
	wantError(t, r.Thinned(dst, 1), "1 points")
	_, err = Create(dst, c)
	wantError(t, err, "summary", "cannot go on")
	wantError(t, r.Summary(dir), "holds a run")
}
