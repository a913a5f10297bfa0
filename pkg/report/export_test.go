package report

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// What is exported and imported again gives the same figures and tables, to the last digit.
func TestExportAndBack(t *testing.T) {
	list, err := made(t).List()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(list, func(a, b *run.Run) int { // imported runs come in the order of their names
		return cmp.Or(cmp.Compare(a.World, b.World), cmp.Compare(a.Method, b.Method))
	})
	runs := run.Of(list...)
	var b bytes.Buffer
	if err := Export(&b, runs); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "all.json")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	back := Import(file)
	list, err = back.List()
	if err != nil || len(list) != 45 {
		t.Fatalf("%d runs (%v), want 45", len(list), err)
	}
	for _, f := range []func(run.Runs) Report{
		func(r run.Runs) Report { return Curves(r, "return", "win_rate") },
		func(r run.Runs) Report { return Aggregates(Scores(r, "win_rate")) },
		func(r run.Runs) Report { return WinRates(r, nil) },
		func(r run.Runs) Report { return TimeTo(r, "return", 10) },
	} {
		want, got := render(t, f(runs), "json"), render(t, f(back), "json") // with the caption
		if got != want {
			t.Errorf("an export read back gives other numbers:\n%.300s\nwant\n%.300s", got, want)
		}
	}
	both := run.Join(runs, back)
	if err := Export(&bytes.Buffer{}, both); err == nil || !strings.Contains(err.Error(), "two runs of iql on toy/easy have seed 0") {
		t.Errorf("error %v, want one about two runs of one seed", err)
	}
}

// A file as the page of marl-eval documents it, of another library.
const other = `{"smax": {"3s5z": {"mappo": {
	"run_10": {"absolute_metrics": {"return": [9, 11], "win_rate": [0.5]},
		"step_1": {"step_count": 1e5, "return": [4, 6], "win_rate": [0.25]}, "step_0": {"step_count": 0, "return": 1, "win_rate": [0]}},
	"run_2": {"step_0": {"step_count": 0, "return": [2, 2], "win_rate": [0]}, "step_1": {"step_count": 100000, "return": [7, 7], "win_rate": [1]},
		"absolute_metrics": {"return": [20, 20], "win_rate": [1]}}}}}}`

func importText(t *testing.T, text string) run.Runs {
	t.Helper()
	file := filepath.Join(t.TempDir(), "results.json")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Import(file)
}

func TestImportOfAnotherLibrary(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	runs := importText(t, other)
	list, err := runs.List()
	if err != nil || len(list) != 2 || list[0].Seed != 2 || list[1].Seed != 10 || list[0].World != "smax/3s5z" || list[1].Goal != 100_000 {
		t.Fatalf("%+v (%v), want runs 2 and 10 of smax/3s5z", list, err)
	}
	wants(t, render(t, Curves(runs, "return"), "csv"), "return,mappo,0,1.5,1,2,2\n", "return,mappo,100000,6,5,7,2\n")
	wants(t, render(t, Bars(Scores(runs, "return")), "csv"), "smax/3s5z,mappo,15,10,20,2\n")
	final(t, "ours", "smax/3s5z", 12, 14)
	wants(t, render(t, Improvements(Scores(run.Join(run.All("ours/*/*/*"), runs), "return"), "mappo"), "text"), "P(ours > mappo): 0.5")
	refuses(t, WinRates(runs, nil), "md", "a win_rate of mappo/smax/3s5z/10 is 0.5, want 1 or 0 for each episode")
}

func TestImportRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":`:                          "is not JSON of marl-eval",
		`[1]`:                            "is not JSON of marl-eval",
		`{"a": {"b": {"c": {"d": {}}}}}`: "c: d: run: a given run",
		`{}`:                             "holds no runs",
		`{"a": {"b": {"c": {"d": {"step_0": {"return": [1]}}}}}}`:                        "step_0 has no step_count",
		`{"a": {"b": {"c": {"d": {"step_0": {"step_count": 1, "return": ["x"]}}}}}}`:     "return is [\"x\"], want a list of numbers",
		`{"a": {"b": {"c": {"d": {"step_0": {"step_count": "x", "return": [1]}}}}}}`:     `step_count is "x", want a number`,
		`{"a": {"b": {"c": {"d": {"step_0": {"step_count": 1, "return": null}}}}}}`:      "return is null",
		`{"a": {"b": {"c": {"d": {"step_0": {"step_count": 1, "return": [1, null]}}}}}}`: "",
	} {
		_, err := importText(t, text).List()
		if want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", text, err, want)
		}
	}
	if _, err := Import(filepath.Join(t.TempDir(), "none.json")).List(); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("error %v, want one that names the file", err)
	}
	t.Setenv("MUSTER_RUNS", t.TempDir())
	final(t, "a", "toy/x", 1)
	if err := Export(&bytes.Buffer{}, run.All("a/*/*/*"), "wins"); err == nil || !strings.Contains(err.Error(), `no "wins"; it has return`) {
		t.Errorf("error %v, want one that lists metrics", err)
	}
	store(t, "b", "toy/x", 0, lines("loss", 1))
	if err := Export(&bytes.Buffer{}, run.All("b/*/*/*")); err == nil || !strings.Contains(err.Error(), "no evaluations to export") {
		t.Errorf("error %v, want one about evaluations", err)
	}
}
