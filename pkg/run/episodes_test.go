package run

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestEpisodes(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.Episodes(); err != nil || len(list) != 0 {
		t.Errorf("a new run has %d episodes (%v), want none and no error", len(list), err)
	}
	first := Episode{Stream: "eval", World: "w", Key: [2]uint64{1<<64 - 1, 7}, Actions: [][]int32{{0, 300}, {1<<31 - 1, 4}}, Return: -1.5, Outcome: "loss"}
	second := first
	second.Cell, second.Number, second.Actions = "large", 1, nil // of no steps
	third := first                                               // with continuous actions alone, whose bits are kept
	third.Number, third.Actions, third.Continuous = 2, nil, [][]float32{{0.1, -0}, {math.MaxFloat32, -math.SmallestNonzeroFloat32}}
	third.Continuous[0][1] = float32(math.Copysign(0, -1))
	both := third
	both.Number, both.Actions = 3, first.Actions
	later, end := first, first
	later.Steps, end.Steps, end.Stream = 1_000_000, 999, "final"
	for _, list := range [][]Episode{{end}, {later}, {first}, {first, second, third, both}, nil} { // the third was interrupted
		if err := d.Record(list); err != nil {
			t.Fatal(err)
		}
	}
	list, err := r.Episodes()
	if want := []Episode{first, second, third, both, later, end}; err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("%+v (%v), want\n%+v", list, err, want)
	}

	if math.Float32bits(list[2].Continuous[0][1]) != 1<<31 || first.Length() != 2 || second.Length() != 0 || third.Length() != 2 {
		t.Errorf("−0 became %v, lengths are %d, %d and %d", list[2].Continuous[0][1], first.Length(), second.Length(), third.Length())
	}
	testInsight(t, d, r, first)
	file := filepath.Join(dir, "episodes", "eval-000000000000.jsonl")
	for _, c := range []struct{ line, want string }{
		{`{"length":2,"actions":"AQID"}`, "3 recorded actions in 2 steps"},
		{`{"length":-1,"actions":"AQID"}`, "3 recorded actions in -1 steps"},
		{`{"length":0,"actions":"AQID"}`, "3 recorded actions in 0 steps"},
		{`{"length":2}`, "0 recorded actions in 2 steps"},
		{`{"length":1,"continuous":"AQID"}`, "continuous actions are 3 bytes, want a multiple of 4"},
		{`{"length":2,"continuous":"AQIDBA=="}`, "1 recorded actions in 2 steps"},
		{`{"length":1,"actions":"AYA="}`, "damaged after 1"},
		{`{"length":1,"actions":"/////w8="}`, "damaged after 0"},
		{`{"length":1,"actions":"?"}`, "illegal base64"},
		{`{"length":2,"actions":"AQI=","groups":"AQID"}`, "3 recorded groups in 2 steps"},
		{`{"length":1,"actions":"AQ==","groups":"AYA="}`, "recorded groups are damaged after 1"},
		{`{"length":1,"actions":"AQ==","scores":{"width":4,"pairs":[0],"numbers":"AQID"}}`, "3 bytes of recorded scores in 1 steps of 1 pairs"},
		{`{"length":1,"actions":"AQ==","scores":{"width":4,"pairs":[4],"numbers":"AQIDBA=="}}`, "scores of pair 4, want 0 to 3"},
		{`{"length":1,"actions":"AQ==","scores":{"width":4,"pairs":[-1],"numbers":"AQIDBA=="}}`, "scores of pair -1, want 0 to 3"},
		{`{"length":1,"actions":"AQ==","scores":{"width":0,"pairs":[],"numbers":""}}`, "0 pairs out of 0"},
		{`{"length":1,"actions":"AQ==","scores":{"width":1000000000,"pairs":[],"numbers":""}}`, "out of 1000000000"},
	} {
		if err := os.WriteFile(file, []byte(c.line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := r.Episodes()
		wantError(t, err, c.want, file+" line 1")
	}
}

// testInsight keeps groups and scores to the bit, and of the scores only what there is: two agents of three.
func testInsight(t *testing.T, d *Dir, r *Run, e Episode) {
	t.Helper()
	nan := float32(math.NaN())
	e.Stream, e.Steps = "final", 5_000_000
	e.Groups = [][]int32{{0, 300, -1}, {1<<31 - 2, 0, -1}}
	e.Scores = [][]float32{{nan, 0.1, nan, -7e30, nan, nan, nan, nan, nan}, {nan, nan, nan, float32(math.Inf(-1)), nan, nan, nan, nan, nan}}
	if err := d.Record([]Episode{e}); err != nil {
		t.Fatal(err)
	}
	list, err := r.Episodes()
	if err != nil {
		t.Fatal(err)
	}
	got := list[len(list)-1]
	if !reflect.DeepEqual(got.Groups, e.Groups) || len(got.Scores) != 2 {
		t.Fatalf("groups %v, %d steps of scores", got.Groups, len(got.Scores))
	}
	for i, row := range e.Scores {
		for p, x := range row {
			if y := got.Scores[i][p]; y != x && (x == x || y == y) {
				t.Errorf("score %d of step %d is %v, want %v", p, i, y, x)
			}
		}
	}
	if s := packScores(e.Scores); len(s.Pairs) != 2 || len(s.Numbers) != 16 {
		t.Errorf("pairs %v in %d bytes, want 2 in 16", s.Pairs, len(s.Numbers))
	}
}
