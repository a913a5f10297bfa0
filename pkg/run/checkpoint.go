package run

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Checkpoint is fulfilled by everything with state. What Load reads is what Save wrote, and a run that goes
// on from it equals one that was never interrupted, bit for bit.
type Checkpoint interface {
	Save(w io.Writer) error
	Load(r io.Reader) error
}

// Growing is a Checkpoint with a bulk of numbered records that never change once added, such as a replay
// buffer: they go to disk once, and a checkpoint names the files it needs. Save and Load carry the rest.
type Growing interface {
	Checkpoint
	Records() (first, next int64) // held now: first ≤ number < next
	Width() int                   // bytes of one
	Record(n int64) []byte        // a view
	SetRecord(n int64, b []byte)  // called in order, before Load
}

const checkpointFormat = 1

type manifest struct {
	Format  int                 `json:"format"`
	Files   map[string]fileSum  `json:"files"`   // in the checkpoint's folder
	Records map[string][]recSum `json:"records"` // in replay/, by name of the Growing part
	Lines   map[string]int64    `json:"lines"`   // bytes of metrics.jsonl and eval.jsonl that belong to it
}

type fileSum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

type recSum struct {
	File     string `json:"file"`
	From, To int64
	fileSum
}

// Save writes checkpoint number n (joint steps) of all parts and keeps the one before. It is whole or not
// there: files are synced, then the folder is renamed into place.
func (d *Dir) Save(n int64, parts map[string]Checkpoint) error {
	err := d.save(n, parts)
	if err != nil {
		os.RemoveAll(d.checkpoint(n) + ".tmp")
		return fmt.Errorf("run: checkpoint at step %d failed, the one before stands: %w", n, err)
	}
	return d.prune()
}

func (d *Dir) checkpoint(n int64) string {
	return filepath.Join(d.Path, "checkpoint", fmt.Sprintf("%012d", n))
}

func (d *Dir) save(n int64, parts map[string]Checkpoint) error {
	folder := d.checkpoint(n)
	if err := os.RemoveAll(folder + ".tmp"); err != nil {
		return err
	}
	if err := os.MkdirAll(folder+".tmp", 0o755); err != nil {
		return err
	}
	m := manifest{Format: checkpointFormat, Files: map[string]fileSum{}, Records: map[string][]recSum{}, Lines: map[string]int64{}}
	for name, p := range parts {
		sum, err := writeSummed(filepath.Join(folder+".tmp", name), p.Save)
		if err != nil {
			return err
		}
		m.Files[name] = sum
		if g, ok := p.(Growing); ok {
			if m.Records[name], err = d.saveRecords(name, g); err != nil {
				return err
			}
		}
	}
	for _, f := range []*os.File{d.metrics, d.eval} {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		m.Lines[filepath.Base(f.Name())] = info.Size()
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeAtomic(filepath.Join(folder+".tmp", "manifest.json"), append(text, '\n')); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil { // an earlier one of the same step, found unreadable
		return err
	}
	if err := os.Rename(folder+".tmp", folder); err != nil {
		return err
	}
	d.last = &m
	return nil
}

// saveRecords writes the records that the newest checkpoint does not name yet and returns all files needed.
func (d *Dir) saveRecords(name string, g Growing) ([]recSum, error) {
	first, next := g.Records()
	var list []recSum
	from := first
	if d.last != nil {
		for _, r := range d.last.Records[name] {
			if r.To > first && r.To <= next {
				list, from = append(list, r), r.To
			}
		}
	}
	if from == next {
		return list, nil
	}
	if err := os.MkdirAll(filepath.Join(d.Path, "replay"), 0o755); err != nil {
		return nil, err
	}
	file := fmt.Sprintf("%s-%012d-%012d.safetensors", name, from, next)
	sum, err := writeSummed(filepath.Join(d.Path, "replay", file), func(w io.Writer) error { return writeRecords(w, g, from, next) })
	return append(list, recSum{file, from, next, sum}), err
}

func writeRecords(w io.Writer, g Growing, from, to int64) error {
	flat := make([]byte, 0, int(to-from)*g.Width())
	for n := from; n < to; n++ {
		flat = append(flat, g.Record(n)...)
	}
	return WriteArrays(w, map[string]Array{"records": {[]int{int(to - from), g.Width()}, flat}})
}

func readRecords(r io.Reader, g Growing, from, to int64) error {
	arrays, err := ReadArrays(r)
	if err != nil {
		return err
	}
	flat, _ := arrays["records"].Data.([]byte)
	if len(flat) != int(to-from)*g.Width() {
		return fmt.Errorf("records %d to %d have %d bytes, want %d each", from, to, len(flat), g.Width())
	}
	for n := from; n < to; n++ {
		g.SetRecord(n, flat[:g.Width()])
		flat = flat[g.Width():]
	}
	return nil
}

// Load reads the newest checkpoint that is whole into the parts, after cutting lines of metrics and
// evaluations that came later (they will be made again, equal). It returns its number, and false if there is
// none. A damaged checkpoint is passed over for the one before, which the log says.
func (d *Dir) Load(parts map[string]Checkpoint) (n int64, ok bool, err error) {
	list := d.numbers()
	for i := len(list) - 1; i >= 0; i-- {
		n := list[i]
		m, err := d.verify(n)
		if errors.Is(err, errNewer) {
			return 0, false, err
		}
		if err != nil {
			d.Logf("checkpoint %d is damaged and left out: %v", n, err)
			continue
		}
		if err := d.load(n, m, parts); err != nil {
			return 0, false, fmt.Errorf("run: %s checkpoint %d: %w", d.Path, n, err)
		}
		d.last = m
		return n, true, d.cutLines(m)
	}
	if len(list) > 0 {
		return 0, false, fmt.Errorf("run: %s: none of the %d checkpoints is whole (see log.txt); remove the folder to start again", d.Path, len(list))
	}
	return 0, false, d.cutLines(&manifest{Lines: map[string]int64{}})
}

// Restore reads parts of the newest whole checkpoint of a run that is open for reading.
func (r *Run) Restore(parts map[string]Checkpoint) (n int64, err error) {
	d := &Dir{Path: r.Dir}
	list := d.numbers()
	for i := len(list) - 1; i >= 0; i-- {
		m, err := d.verify(list[i])
		if errors.Is(err, errNewer) {
			return 0, err
		}
		if err == nil {
			return list[i], d.load(list[i], m, parts)
		}
	}
	return 0, fmt.Errorf("run: %s has no whole checkpoint to take the policy from", r.Dir)
}

func (d *Dir) numbers() []int64 {
	entries, _ := os.ReadDir(filepath.Join(d.Path, "checkpoint"))
	var list []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

var errNewer = errors.New("written by a newer version of Muster")

// verify reads a manifest and compares size and hash of every file it names.
func (d *Dir) verify(n int64) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(d.checkpoint(n), "manifest.json"))
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if m.Format > checkpointFormat {
		return nil, fmt.Errorf("run: %s checkpoint %d has format %d, this program knows up to %d: %w", d.Path, n, m.Format, checkpointFormat, errNewer)
	}
	for name, want := range m.Files {
		if err := want.check(filepath.Join(d.checkpoint(n), name)); err != nil {
			return nil, err
		}
	}
	for _, list := range m.Records {
		for _, r := range list {
			if err := r.check(filepath.Join(d.Path, "replay", r.File)); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func (d *Dir) load(n int64, m *manifest, parts map[string]Checkpoint) error {
	for name, p := range parts {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("has no part %q", name)
		}
		if g, ok := p.(Growing); ok {
			for _, r := range m.Records[name] {
				if err := readFile(filepath.Join(d.Path, "replay", r.File), func(in io.Reader) error { return readRecords(in, g, r.From, r.To) }); err != nil {
					return err
				}
			}
		}
		if err := readFile(filepath.Join(d.checkpoint(n), name), p.Load); err != nil {
			return err
		}
	}
	return nil
}

// cutLines shortens the line files to what belongs to a checkpoint, by rename, so that a kill in between
// loses nothing.
func (d *Dir) cutLines(m *manifest) error {
	for _, f := range []**os.File{&d.metrics, &d.eval} {
		name := (*f).Name()
		keep := m.Lines[filepath.Base(name)]
		info, err := (*f).Stat()
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if info.Size() <= keep {
			continue
		}
		data := make([]byte, keep)
		if _, err := (*f).ReadAt(data, 0); err != nil && keep > 0 {
			return fmt.Errorf("run: %w", err)
		}
		if err := writeAtomic(name, data); err != nil {
			return err
		}
		(*f).Close()
		if *f, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o644); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	return nil
}

// prune removes all but the last two checkpoints, and records that neither of them names.
func (d *Dir) prune() error {
	list, needed := d.numbers(), map[string]bool{}
	for i, n := range list {
		if i < len(list)-2 {
			if err := os.RemoveAll(d.checkpoint(n)); err != nil {
				return fmt.Errorf("run: %w", err)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(d.checkpoint(n), "manifest.json"))
		var m manifest
		if err != nil || json.Unmarshal(text, &m) != nil {
			continue
		}
		for _, recs := range m.Records {
			for _, r := range recs {
				needed[r.File] = true
			}
		}
	}
	entries, _ := os.ReadDir(filepath.Join(d.Path, "replay"))
	for _, e := range entries {
		if !needed[e.Name()] && strings.HasSuffix(e.Name(), ".safetensors") {
			os.Remove(filepath.Join(d.Path, "replay", e.Name()))
		}
	}
	return nil
}

func writeSummed(file string, write func(io.Writer) error) (fileSum, error) {
	h, n := sha256.New(), new(counter)
	err := writeSynced(file, func(f io.Writer) error {
		buf := bufio.NewWriterSize(io.MultiWriter(f, h, n), 1<<18)
		if err := write(buf); err != nil {
			return err
		}
		return buf.Flush()
	})
	return fileSum{int64(*n), hex.EncodeToString(h.Sum(nil))}, err
}

func (s fileSum) check(file string) error {
	h := sha256.New()
	var n int64
	err := readFile(file, func(r io.Reader) (err error) { n, err = io.Copy(h, r); return err })
	if err != nil {
		return err
	}
	if n != s.Bytes || hex.EncodeToString(h.Sum(nil)) != s.SHA256 {
		return fmt.Errorf("%s has %d bytes with another hash than its manifest says (%d bytes)", filepath.Base(file), n, s.Bytes)
	}
	return nil
}

func readFile(file string, read func(io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(bufio.NewReaderSize(f, 1<<18))
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
