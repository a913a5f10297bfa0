package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// blob is a part with some bytes of state.
type blob struct{ text string }

func (b *blob) Save(w io.Writer) error { _, err := io.WriteString(w, b.text); return err }
func (b *blob) Load(r io.Reader) error {
	data, err := io.ReadAll(r)
	b.text = string(data)
	return err
}

// ring is a growing part: records of two bytes, the last four are held.
type ring struct {
	blob
	next   int64
	data   [4][2]byte
	loaded []int64
}

func (r *ring) Records() (int64, int64)     { return max(0, r.next-4), r.next }
func (r *ring) Width() int                  { return 2 }
func (r *ring) Record(n int64) []byte       { return r.data[n%4][:] }
func (r *ring) SetRecord(n int64, b []byte) { copy(r.data[n%4][:], b); r.loaded = append(r.loaded, n) }
func (r *ring) add(k int) {
	for range k {
		r.data[r.next%4] = [2]byte{byte(r.next), byte(r.next >> 8)}
		r.next++
	}
}

type world struct{ Size int }

func config(size int) Config {
	return Config{Method: "m", World: "w", Seed: 3, Goal: 10, Settings: map[string]int64{"threads": 2},
		Identity: Describe(map[string]any{"World": any(world{size}), "Seed": 3})}
}

func create(t *testing.T, dir string, c Config) *Dir {
	t.Helper()
	d, err := Create(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %q", err)
	}
}

func TestAnotherIdentityIsRefused(t *testing.T) {
	dir := t.TempDir()
	create(t, dir, config(7)).Close()
	d := create(t, dir, config(8)) // nothing was lost: the run of size 7 never began
	if err := d.Metrics(1, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	d.Close()
	_, err := Create(dir, config(9))
	wantError(t, err, "another run", "World.Size is 8 there and 9 here")
	c := config(8)
	c.Goal, c.Settings = 99, map[string]int64{"threads": 7, "new": 1}
	d = create(t, dir, c)
	if d.Config.Settings["threads"] != 2 || d.Config.Settings["new"] != 1 || d.Config.Goal != 99 {
		t.Errorf("settings %v, goal %d: want the stored threads (2), the new setting and the larger goal (99)", d.Config.Settings, d.Config.Goal)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	create(t, dir, config(8))
	_, err := Create(dir, config(8))
	wantError(t, err, "in use by", fmt.Sprint(os.Getpid()))
}

func TestChangedProgramIsRefused(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	if err := d.Programs("lib 1", map[string]string{"update": "aa"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, d.Programs("lib 1", map[string]string{"update": "bb"}), "update program differs")
	if err := d.Programs("lib 2", map[string]string{"update": "bb"}); err != nil {
		t.Errorf("another library traces other programs: %v", err)
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	for i := range int64(3) {
		if err := d.Metrics(i, i, 0, map[string]float64{"loss": float64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	f, _ := os.OpenFile(filepath.Join(dir, "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"steps":3,"lo`)
	f.Close()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Metrics("loss"); err != nil || len(p) != 3 {
		t.Errorf("a reader sees %d points (%v), want the 3 whole ones", len(p), err)
	}
	d = create(t, dir, config(8))
	d.Metrics(3, 3, 0, map[string]float64{"loss": 3})
	if p, err := r.Metrics("loss"); err != nil || len(p) != 4 || p[3].Value != 3 {
		t.Errorf("after going on: %v, %v, want 4 points", p, err)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log.txt"))
	if !strings.Contains(string(log), "dropped an unfinished last line of 14 bytes") {
		t.Errorf("the log does not mention the torn line: %s", log)
	}
}

func TestUnknownMetricNamesTheKnown(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	d.Metrics(1, 1, 0, map[string]float64{"loss": 1})
	d.Evaluation(Evaluation{Stream: "eval", Episodes: 2, Returns: []float64{1, 3}, Metrics: map[string][]float64{"crashes": {0, 1}}})
	r, _ := Open(dir)
	_, err := r.Metrics("los")
	wantError(t, err, `no metric "los"`, "crashes", "loss", "return")
	if p, err := r.Metrics("return"); err != nil || p[0].Value != 2 {
		t.Errorf("evaluated return %v, %v, want the mean 2", p, err)
	}
}

func TestCheckpointGoesOnFromTheNewestWholeOne(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	a, r := &blob{"one"}, &ring{}
	parts := map[string]Checkpoint{"a": a, "r": r}
	save := func(n int64, text string, records int) {
		t.Helper()
		a.text = text
		r.add(records)
		d.Metrics(n, n, 0, nil)
		if err := d.Save(n, parts); err != nil {
			t.Fatal(err)
		}
	}
	save(10, "one", 2)
	save(20, "two", 4)
	save(30, "three", 3)
	d.Metrics(31, 31, 0, nil) // after the checkpoint: will be made again
	d.Close()

	files, _ := filepath.Glob(filepath.Join(dir, "replay", "*"))
	if len(files) != 2 { // 2..6 and 6..9: records 0 and 1 are held by none of the two checkpoints
		t.Errorf("replay files %v, want two", files)
	}
	load := func() (int64, *blob, *ring, *Dir) {
		d := create(t, dir, config(8))
		a, r := &blob{}, &ring{}
		n, ok, err := d.Load(map[string]Checkpoint{"a": a, "r": r})
		if err != nil || !ok {
			t.Fatalf("load: %v %v", ok, err)
		}
		return n, a, r, d
	}
	n, a2, r2, d := load()
	if n != 30 || a2.text != "three" || r2.data != r.data {
		t.Errorf("loaded %d %q %v, want 30 \"three\" %v", n, a2.text, r2.data, r.data)
	}
	run, _ := Open(dir)
	if p, _ := run.Metrics("steps"); len(p) != 3 {
		t.Errorf("%d lines of metrics, want the 3 that belong to the checkpoint", len(p))
	}
	d.Close()

	os.WriteFile(filepath.Join(dir, "checkpoint", "000000000030", "a"), []byte("thrEe"), 0o644)
	n, a2, _, d = load()
	if n != 20 || a2.text != "two" {
		t.Errorf("with the newest damaged, loaded %d %q, want 20 \"two\"", n, a2.text)
	}
	d.Close()

	os.WriteFile(filepath.Join(dir, "checkpoint", "000000000020", "a"), nil, 0o644)
	d = create(t, dir, config(8))
	_, _, err := d.Load(map[string]Checkpoint{"a": a2})
	wantError(t, err, "none of its checkpoints is whole")
	d.Close()

	newer := filepath.Join(dir, "checkpoint", "000000000020", "manifest.json")
	os.WriteFile(newer, []byte(`{"format": 99}`), 0o644)
	d = create(t, dir, config(8))
	_, _, err = d.Load(map[string]Checkpoint{"a": a2})
	wantError(t, err, "format 99", "newer version")
}

func TestFailedSaveKeepsTheCheckpointBefore(t *testing.T) {
	dir := t.TempDir()
	d := create(t, dir, config(8))
	if err := d.Save(1, map[string]Checkpoint{"a": &blob{"x"}}); err != nil {
		t.Fatal(err)
	}
	err := d.Save(2, map[string]Checkpoint{"a": &failing{}})
	wantError(t, err, "step 2", "the one before stands", "no space")
	a := &blob{}
	if n, ok, err := d.Load(map[string]Checkpoint{"a": a}); n != 1 || !ok || err != nil || a.text != "x" {
		t.Errorf("loaded %d %v %v %q, want 1 \"x\"", n, ok, err, a.text)
	}
}

type failing struct{ blob }

func (*failing) Save(io.Writer) error { return fmt.Errorf("no space left on device") }

func TestArraysSurviveAndTruncationIsAnError(t *testing.T) {
	in := map[string]Array{
		"f": {[]int{2, 2}, []float32{1, -2, 3.5, 0}}, "i": {[]int{3}, []int32{-1, 0, 7}}, "l": {[]int{}, []int64{1 << 40}},
		"u": {[]int{1}, []uint64{1 << 63}}, "b": {[]int{3}, []byte{1, 2, 3}}, "none": {[]int{0, 4}, []float32{}},
	}
	var buf bytes.Buffer
	if err := WriteArrays(&buf, in); err != nil {
		t.Fatal(err)
	}
	out, err := ReadArrays(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(in) != fmt.Sprint(out) {
		t.Errorf("read %v, want %v", out, in)
	}
	for n := range buf.Len() {
		if _, err := ReadArrays(bytes.NewReader(buf.Bytes()[:n])); err == nil {
			t.Errorf("%d of %d bytes were read without an error", n, buf.Len())
		}
	}
	if err := WriteArrays(io.Discard, map[string]Array{"x": {[]int{3}, []float32{1}}}); err == nil {
		t.Error("a shape that does not fit was written")
	}
}

func FuzzReadArrays(f *testing.F) {
	var buf bytes.Buffer
	WriteArrays(&buf, map[string]Array{"f": {[]int{2}, []float32{1, 2}}})
	f.Add(buf.Bytes())
	f.Add([]byte("\x40\x00\x00\x00\x00\x00\x00\x00" + `{"f":{"dtype":"F32","shape":[1125899906842624],"data_offsets":[0,9]}}`))
	f.Fuzz(func(t *testing.T, data []byte) { ReadArrays(bytes.NewReader(data)) })
}

func TestAllSaysWhatIsMissing(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	_, err := All("*/w/*").List()
	wantError(t, err, "no runs match */w/*", "run the training cell first")
	create(t, Path("m", "w/x", 3), config(8))
	list, err := All("m/w/x/*").List()
	if err != nil || len(list) != 1 || list[0].Seed != 3 {
		t.Errorf("found %v, %v, want the run of seed 3", list, err)
	}
	_, err = Open(t.TempDir())
	wantError(t, err, "no run under")
}
