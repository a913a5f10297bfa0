package run

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func entries(t *testing.T, folder string) []string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// A process can end between any two renames of a save; what it leaves is put in order.
func TestKilledWhileSaving(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(folder string) error // what is left of checkpoint 10
		want  string
	}{
		"before the first rename":  {func(f string) error { return os.CopyFS(f+".tmp", os.DirFS(f)) }, "first"},
		"between the two renames":  {func(f string) error { return os.Rename(f, f+".old") }, "first"},
		"before the old one goes":  {func(f string) error { return os.CopyFS(f+".old", os.DirFS(f)) }, "first"},
		"with both beside nothing": {func(f string) error { os.CopyFS(f+".tmp", os.DirFS(f)); return os.Rename(f, f+".old") }, "first"},
	} {
		dir := t.TempDir()
		d := create(t, dir, config(8))
		if err := d.Save(10, map[string]Checkpoint{"a": &blob{"first"}}); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if err := c.leave(filepath.Join(dir, d.checkpoint(10))); err != nil {
			t.Fatal(err)
		}
		d = create(t, dir, config(8))
		a := &blob{}
		if n, ok, err := d.Load(map[string]Checkpoint{"a": a}); n != 10 || !ok || err != nil || a.text != c.want {
			t.Errorf("%s: loaded %d %v %v %q, want 10 and %q", name, n, ok, err, a.text, c.want)
		}
		if left := entries(t, filepath.Join(dir, "checkpoint")); len(left) != 1 {
			t.Errorf("%s: %v is left, want the checkpoint alone", name, left)
		}
		d.Close()
	}
}

// Going on from an older checkpoint must not count the damaged one among the last two, nor lose records.
func TestRecordsAfterADamagedCheckpoint(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	r := &ring{}
	for n := int64(1); n <= 3; n++ {
		r.add(1)
		if err := d.Save(10*n, map[string]Checkpoint{"r": r}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	os.WriteFile(filepath.Join(dir, "replay", "r-000000000002-000000000003.safetensors"), []byte("damaged"), 0o644)
	d = create(t, dir, config(8))
	r = &ring{}
	if n, _, err := d.Load(map[string]Checkpoint{"r": r}); n != 20 || err != nil || !slices.Equal(r.loaded, []int64{0, 1}) {
		t.Fatalf("loaded %d (%v) with records %v, want 20 with 0 and 1", n, err, r.loaded)
	}
	r.next = 2
	for _, n := range []int64{25, 30} {
		r.add(1)
		if err := d.Save(n, map[string]Checkpoint{"r": r}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	if got := fmt.Sprint(entries(t, filepath.Join(dir, "checkpoint"))); got != "[000000000025 000000000030 000000000030.damaged]" {
		t.Errorf("checkpoints %v, want the last two, and the damaged one aside", got)
	}
	d = create(t, dir, config(8))
	again := &ring{}
	if n, _, err := d.Load(map[string]Checkpoint{"r": again}); n != 30 || err != nil || again.data != r.data {
		t.Errorf("loaded %d (%v) with %v, want 30 with %v", n, err, again.data, r.data)
	}
}

func TestFailedSaveLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	r := &ring{}
	r.add(2)
	err := d.Save(1, map[string]Checkpoint{"r": r, "a": &failing{}})
	wantError(t, err, "step 1", "no space")
	os.MkdirAll(filepath.Join(dir, "replay"), 0o755) // parts are saved in no order
	if left := append(entries(t, filepath.Join(dir, "replay")), entries(t, filepath.Join(dir, "checkpoint"))...); len(left) != 0 {
		t.Errorf("%v is left of a checkpoint that failed", left)
	}
}

// A folder of checkpoints that cannot be listed is no reason to start anew and cut the metrics.
func TestUnreadableCheckpointsDoNotRestartTheRun(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	if err := d.Metrics(1, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Load(nil); err == nil {
		t.Error("loaded, want an error")
	}
	if info, _ := d.metrics.Stat(); info.Size() == 0 {
		t.Error("the metrics are cut")
	}
}

func TestLongTornLine(t *testing.T) {
	dir := t.TempDir()
	for _, whole := range []string{"", "{\"steps\":1}\n"} {
		file := filepath.Join(dir, "eval.jsonl")
		if err := os.WriteFile(file, []byte(whole+strings.Repeat("x", 200_000)), 0o644); err != nil {
			t.Fatal(err)
		}
		create(t, dir, config(8)).Close()
		if data, err := os.ReadFile(file); err != nil || string(data) != whole {
			t.Errorf("%d bytes are left (%v), want %d", len(data), err, len(whole))
		}
	}
}

func TestLargeSeedsDiffer(t *testing.T) {
	dir := t.TempDir()
	c := Config{Identity: Describe(map[string]any{"Seed": uint64(1<<53 + 1)})}
	d := create(t, dir, c)
	d.Metrics(1, 1, 0, nil)
	d.Close()
	create(t, dir, c).Close()
	c.Identity = Describe(map[string]any{"Seed": uint64(1 << 53)})
	_, err := Create(dir, c)
	wantError(t, err, "Seed is 9007199254740993 there and 9007199254740992 here")
}

func TestBadPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Create(file, config(8))
	wantError(t, err, "cannot make the run directory", file)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lock"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Create(dir, config(8))
	wantError(t, err, "cannot lock", dir)
}

// What a newer program has written is refused by its number, though an older checkpoint could be read.
func TestNewerFormatsAreRefused(t *testing.T) {
	dir := t.TempDir()
	saving(t, dir, 10, 20).Close()
	parts := map[string]Checkpoint{"a": &blob{}}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint", "000000000020", "manifest.json"), []byte(`{"format": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	d := create(t, dir, config(8))
	_, _, err := d.Load(parts)
	wantError(t, err, "checkpoint 20 has format 99, this program knows up to 1", "newer version")
	d.Close()
	if left := entries(t, filepath.Join(dir, "checkpoint")); len(left) != 2 {
		t.Errorf("checkpoints %v, want both as they were", left)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Restore(parts)
	wantError(t, err, "format 99", "newer version")

	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"format": 98}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Create(dir, config(8))
	wantError(t, err, dir+" has format 98, this program knows up to 1", "newer version")
	_, err = Open(dir)
	wantError(t, err, "format 98")
}

// A link out of the directory could be moved without it: it is refused, before anything is lost.
func TestLinksOutOfTheDirectoryAreRefused(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	saving(t, dir, 10).Close()
	folder := filepath.Join(dir, "checkpoint")
	if err := os.Rename(folder, filepath.Join(elsewhere, "c")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(elsewhere, "c"), folder); err != nil {
		t.Skip("no links here:", err)
	}
	d, err := Create(dir, config(8))
	if err == nil {
		defer d.Close()
		_, _, err = d.Load(map[string]Checkpoint{"a": &blob{}})
	}
	wantError(t, err, "escapes")
	if got := strings.Count(text(t, dir, "metrics.jsonl"), "\n"); got != 1 {
		t.Errorf("%d lines of metrics are left, want the one", got)
	}
}
