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
	} {
		if err := os.WriteFile(file, []byte(c.line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := r.Episodes()
		wantError(t, err, c.want, file+" line 1")
	}
}
