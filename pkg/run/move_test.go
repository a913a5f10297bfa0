package run

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// saving makes a run with a line of metrics and a checkpoint for each number.
func saving(t *testing.T, dir string, numbers ...int64) *Dir {
	t.Helper()
	d := create(t, dir, config(8))
	for _, n := range numbers {
		d.Metrics(n, n, 0, map[string]float64{"loss": float64(n)})
		if err := d.Save(n, map[string]Checkpoint{"a": &blob{"state"}}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func text(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A run goes on in a directory that is moved, and leaves alone what takes its name meanwhile.
func TestMovedDirectoryIsFollowed(t *testing.T) {
	folder := t.TempDir()
	before, after := filepath.Join(folder, "before"), filepath.Join(folder, "deep", "after")
	d := saving(t, before, 10)
	for _, err := range []error{os.Mkdir(filepath.Dir(after), 0o755), os.Rename(before, after)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Metrics(15, 15, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(before); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is at the old place: %v", err)
	}
	other := create(t, before, config(9))
	if err := d.Save(20, map[string]Checkpoint{"a": &blob{"moved"}}); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, before); len(left) != 5 {
		t.Errorf("the other run has %v, want its own five files", left)
	}
	if got := other.Config.Identity; difference(got, config(9).Identity) != "" {
		t.Errorf("the other run is %v", got)
	}
	_, err := Create(after, config(8))
	wantError(t, err, after+" is in use by")
	d.Close()
	if log := text(t, after, "log.txt"); strings.Count(log, "no longer at "+before) != 1 {
		t.Errorf("the log does not say once that the run was moved: %s", log)
	}
	d = create(t, after, config(8))
	a := &blob{}
	if n, ok, err := d.Load(map[string]Checkpoint{"a": a}); n != 20 || !ok || err != nil || a.text != "moved" {
		t.Errorf("loaded %d %v %v %q, want 20 and \"moved\"", n, ok, err, a.text)
	}
	if got := strings.Count(text(t, after, "metrics.jsonl"), "\n"); got != 2 {
		t.Errorf("%d lines of metrics, want 2", got)
	}
}

// What was removed or replaced below a run stops it: nothing is written beside it or into another run.
func TestRemovedWhileAtWork(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(dir string) error
		want string
	}{
		"the directory": {os.RemoveAll, "was removed or replaced"},
		"its lock":      {func(dir string) error { return os.Remove(filepath.Join(dir, "lock")) }, "lock of"},
		"another lock": {func(dir string) error {
			file := filepath.Join(dir, "lock")
			return errors.Join(os.Remove(file), os.WriteFile(file, nil, 0o644))
		}, "lock of"},
		"metrics": {func(dir string) error {
			file := filepath.Join(dir, "metrics.jsonl")
			return errors.Join(os.Rename(file, file+"~"), os.WriteFile(file, nil, 0o644))
		}, "metrics.jsonl of"},
		"evaluations": {func(dir string) error { return os.Remove(filepath.Join(dir, "eval.jsonl")) }, "eval.jsonl of"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		d := saving(t, dir, 10)
		if err := c.do(dir); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			d.Metrics(15, 15, 0, nil), d.Evaluation(Evaluation{}), d.Save(20, map[string]Checkpoint{"a": &blob{"x"}}),
		} {
			wantError(t, err, c.want, dir, "while the run was at work")
		}
		if _, err := os.Stat(filepath.Join(dir, "checkpoint", "000000000010")); (err == nil) != (name != "the directory") {
			t.Errorf("%s: the checkpoint before: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "checkpoint", "000000000020")); err == nil {
			t.Errorf("%s: saved", name)
		}
		if _, err := os.Stat(dir); (err == nil) != (name != "the directory") {
			t.Errorf("%s: the directory: %v", name, err)
		}
	}
}

// Checkpoints whose run is unknown are not taken for those of the run that begins.
func TestCheckpointsWithoutConfig(t *testing.T) {
	dir := t.TempDir()
	saving(t, dir, 10).Close()
	if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	_, err := Create(dir, config(8))
	wantError(t, err, dir, "no config.json")
}

// A copy may hold a checkpoint that is newer than its lines. The one before has all of its own, and the run makes the
// others again; where none has them, going on with a gap is better than not going on.
func TestLinesOfACheckpointAreLost(t *testing.T) {
	dir := t.TempDir()
	saving(t, dir, 10, 20).Close()
	lines := strings.SplitAfter(text(t, dir, "metrics.jsonl"), "\n")
	for _, c := range []struct {
		left string
		want int64
		log  string
	}{
		{lines[0] + lines[1][:9], 10, "checkpoint 20: metrics.jsonl has lost "},
		{"", 20, "going on from checkpoint 20, with a gap in the lines"},
	} {
		one := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(one, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(one, "metrics.jsonl"), []byte(c.left), 0o644); err != nil {
			t.Fatal(err)
		}
		d := create(t, one, config(8))
		if n, ok, err := d.Load(map[string]Checkpoint{"a": &blob{}}); n != c.want || !ok || err != nil {
			t.Errorf("loaded %d %v %v, want %d", n, ok, err, c.want)
		}
		if log := text(t, one, "log.txt"); !strings.Contains(log, c.log) {
			t.Errorf("the log does not say %q: %s", c.log, log)
		}
		if got, want := text(t, one, "metrics.jsonl"), strings.Repeat(lines[0], int(20-c.want)/10); got != want {
			t.Errorf("metrics are %q, want %q", got, want)
		}
	}
}
