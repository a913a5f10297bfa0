package traintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// Equal fails if two finished run directories differ in anything but times: in the newest checkpoint, the
// records of its replay, any line of metrics and evaluations, or a recorded episode.
func Equal(t testing.TB, got, want string) {
	t.Helper()
	for _, name := range append([]string{"metrics.jsonl", "eval.jsonl"}, recordings(t, got, want)...) {
		a, b := lines(t, got, name), lines(t, want, name)
		for i := range max(len(a), len(b)) {
			if i >= len(a) || i >= len(b) || a[i] != b[i] {
				t.Errorf("%s differs from line %d on (%d lines, want %d): %s\nwant %s", name, i+1, len(a), len(b), at(a, i), at(b, i))
				break
			}
		}
	}
	a, b := open(t, got), open(t, want)
	if filepath.Base(a.folder) != filepath.Base(b.folder) {
		t.Errorf("the newest checkpoint is of step %s, want %s", filepath.Base(a.folder), filepath.Base(b.folder))
	}
	if x, y := slices.Sorted(maps.Keys(a.Files)), slices.Sorted(maps.Keys(b.Files)); !slices.Equal(x, y) {
		t.Errorf("the newest checkpoint has parts %v, want %v", x, y)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		x, y := a.part(t, name), b.part(t, name)
		if !bytes.Equal(x, y) {
			t.Errorf("%s: %d bytes that differ from the %d of the other run", name, len(x), len(y))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.Records)) {
		x, y := a.records(t, got, name), b.records(t, want, name)
		if len(x) == 0 || len(x[len(x)-1]) == 0 || len(y) == 0 {
			t.Errorf("%s: no records", name)
			continue
		}
		// The oldest file may begin with records that are no longer held: only those of both are compared.
		for i := range min(len(x), len(y)) {
			if !bytes.Equal(x[len(x)-1-i], y[len(y)-1-i]) {
				t.Errorf("%s: the %d. record from the end differs", name, i+1)
				break
			}
		}
	}
}

// recordings names the files of recorded episodes in either directory.
func recordings(t testing.TB, dirs ...string) []string {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "episodes", "*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names[filepath.Join("episodes", filepath.Base(f))] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// lines reads a file of JSON objects without what they say about time.
func lines(t testing.TB, dir, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range bytes.Lines(data) {
		out = append(out, withoutTime(t, line))
	}
	return out
}

func withoutTime(t testing.TB, line []byte) string {
	t.Helper()
	row := map[string]any{}
	if err := json.Unmarshal(line, &row); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for k := range row {
		if k == "seconds" || k == "Seconds" {
			delete(row, k)
		}
	}
	data, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// checkpoint is the newest one of a run: what its manifest says.
type checkpoint struct {
	folder  string
	Files   map[string]struct{}
	Records map[string][]struct {
		File     string
		From, To int64
	}
}

func open(t testing.TB, dir string) checkpoint {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*[0-9]", "manifest.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no checkpoint (%v)", dir, err)
	}
	last := files[len(files)-1]
	data, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint{folder: filepath.Dir(last)}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// part reads one part; the experiment's own counters without the time.
func (c checkpoint) part(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.folder, name))
	if err != nil {
		t.Error(err)
		return nil
	}
	if name == "experiment" {
		return []byte(withoutTime(t, data))
	}
	return data
}

// records reads what the files of a replay hold, in order.
func (c checkpoint) records(t testing.TB, dir, name string) [][]byte {
	t.Helper()
	var out [][]byte
	for _, r := range c.Records[name] {
		err := func() error {
			f, err := os.Open(filepath.Join(dir, "replay", r.File))
			if err != nil {
				return err
			}
			defer f.Close()
			arrays, err := run.ReadArrays(f)
			if err != nil {
				return err
			}
			flat, _ := arrays["records"].Data.([]byte)
			if r.To <= r.From || len(flat)%int(r.To-r.From) != 0 {
				return fmt.Errorf("%d bytes for records %d to %d", len(flat), r.From, r.To)
			}
			out = slices.AppendSeq(out, slices.Chunk(flat, len(flat)/int(r.To-r.From)))
			return nil
		}()
		if err != nil {
			t.Errorf("%s: %s: %v", name, r.File, err)
		}
	}
	return out
}
