package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
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
// there: files and folders are synced, then the folder is renamed into place.
func (d *Dir) Save(n int64, parts map[string]Checkpoint) error {
	if err := d.intact(); err != nil {
		return err
	}
	err := d.save(n, parts)
	if err != nil {
		d.root.RemoveAll(d.checkpoint(n) + ".tmp")
		d.prune() // the records written for it would keep a full disk full
		return fmt.Errorf("run: checkpoint at step %d failed, the one before stands: %w", n, err)
	}
	d.prune()
	return nil
}

// checkpoint is the folder of checkpoint n in the directory.
func (d *Dir) checkpoint(n int64) string { return fmt.Sprintf("checkpoint/%012d", n) }

func (d *Dir) save(n int64, parts map[string]Checkpoint) error {
	folder := d.checkpoint(n)
	if err := d.root.RemoveAll(folder + ".tmp"); err != nil {
		return err
	}
	if err := d.root.MkdirAll(folder+".tmp", 0o755); err != nil {
		return err
	}
	m := manifest{Format: checkpointFormat, Files: map[string]fileSum{}, Records: map[string][]recSum{}, Lines: map[string]int64{}}
	for name, p := range parts {
		sum, err := writeSummed(d.root, folder+".tmp/"+name, p.Save)
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
	for name, f := range d.lines() {
		info, err := (*f).Stat()
		if err == nil {
			err = (*f).Sync() // lines that the manifest counts must not be lost with the power
		}
		if err != nil {
			return err
		}
		m.Lines[name] = info.Size()
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeAtomic(d.root, folder+".tmp/manifest.json", append(text, '\n')); err != nil {
		return err
	}
	if len(m.Records) > 0 {
		if err := syncFolder(d.root, "replay"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.swap(folder); err != nil {
		return err
	}
	d.last = &m
	return nil
}

// swap puts folder.tmp into the place of folder. An earlier one of the same step stands aside until that is
// done; tidy puts it back if the process ends in between.
func (d *Dir) swap(folder string) error {
	if err := d.root.RemoveAll(folder + ".old"); err != nil {
		return err
	}
	if err := d.root.Rename(folder, folder+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.root.Rename(folder+".tmp", folder); err != nil {
		d.root.Rename(folder+".old", folder)
		return err
	}
	if err := syncFolder(d.root, path.Dir(folder)); err != nil {
		return err
	}
	return d.root.RemoveAll(folder + ".old")
}

// tidy undoes what a killed process has left half done.
func (d *Dir) tidy() error {
	entries, err := fs.ReadDir(d.root.FS(), "checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		file := "checkpoint/" + e.Name()
		folder, old := strings.CutSuffix(file, ".old")
		if _, missing := d.root.Stat(folder); old && errors.Is(missing, fs.ErrNotExist) {
			err = d.root.Rename(file, folder)
		} else if old || strings.HasSuffix(file, ".tmp") {
			err = d.root.RemoveAll(file)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("run: cannot tidy up the checkpoints: %w", err)
	}
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
	if err := d.root.MkdirAll("replay", 0o755); err != nil {
		return nil, err
	}
	file := fmt.Sprintf("%s-%012d-%012d.safetensors", name, from, next)
	sum, err := writeSummed(d.root, "replay/"+file, func(w io.Writer) error { return writeRecords(w, g, from, next) })
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
// none. A damaged checkpoint is passed over for the one before, which the log says, and set aside; so is one
// whose lines are not all there, unless no checkpoint has all of its lines.
func (d *Dir) Load(parts map[string]Checkpoint) (n int64, ok bool, err error) {
	list, err := d.numbers()
	if err != nil {
		return 0, false, err
	}
	gap := -1 // in list: the newest that lacks but lines
	for i := len(list) - 1; i >= 0; i-- {
		m, err := d.verify(list[i], parts)
		if errors.Is(err, errNewer) || errors.Is(err, fs.ErrPermission) {
			return 0, false, err
		}
		if err != nil {
			d.Logf("checkpoint %d is damaged and left out: %v", list[i], err)
			continue
		}
		if err := d.lost(m); err != nil {
			d.Logf("checkpoint %d: %v", list[i], err)
			gap = max(gap, i)
			continue
		}
		return d.resume(list, i, m, parts)
	}
	if gap >= 0 {
		m, err := d.verify(list[gap], parts)
		if err != nil {
			return 0, false, err
		}
		d.Logf("going on from checkpoint %d, with a gap in the lines", list[gap])
		return d.resume(list, gap, m, parts)
	}
	if len(list) > 0 {
		return 0, false, fmt.Errorf("run: %s: none of its checkpoints is whole (see log.txt); remove the folder to start again", d.Path)
	}
	return 0, false, d.cutLines(&manifest{Lines: map[string]int64{}})
}

// resume loads list[i], whose manifest is m, and sets those behind it aside.
func (d *Dir) resume(list []int64, i int, m *manifest, parts map[string]Checkpoint) (n int64, ok bool, err error) {
	if err := d.load(list[i], m, parts); err != nil {
		return 0, false, fmt.Errorf("run: %s checkpoint %d: %w", d.Path, list[i], err)
	}
	d.last = m
	if err := d.setAside(list[i+1:]); err != nil {
		return 0, false, err
	}
	return list[i], true, d.cutLines(m)
}

// lost says which lines of a checkpoint are no longer there.
func (d *Dir) lost(m *manifest) error {
	for name, f := range d.lines() {
		info, err := (*f).Stat()
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if n := m.Lines[name] - info.Size(); n > 0 {
			return fmt.Errorf("%s has lost %d bytes that belong to it", name, n)
		}
	}
	return nil
}

// setAside renames damaged checkpoints, so that they do not count among the last two.
func (d *Dir) setAside(numbers []int64) error {
	for _, n := range numbers {
		folder := d.checkpoint(n)
		if err := d.root.RemoveAll(folder + ".damaged"); err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if err := d.root.Rename(folder, folder+".damaged"); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	return nil
}

// Restore reads parts of the newest whole checkpoint of a run that is open for reading, and returns its number.
func (r *Run) Restore(parts map[string]Checkpoint) (n int64, err error) {
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return 0, fmt.Errorf("run: %w", err)
	}
	defer root.Close()
	d := &Dir{Path: r.Dir, root: root}
	for try := 0; ; try++ {
		list, err := d.numbers()
		if err != nil {
			return 0, err
		}
		for i := len(list) - 1; i >= 0; i-- {
			var m *manifest
			if m, err = d.verify(list[i], parts); errors.Is(err, errNewer) {
				return 0, err
			} else if err != nil {
				continue
			}
			if err = d.load(list[i], m, parts); err == nil {
				return list[i], nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				return 0, fmt.Errorf("run: %s checkpoint %d: %w", r.Dir, list[i], err)
			}
		}
		if try == 3 || !errors.Is(err, fs.ErrNotExist) { // missing files: its process has saved and pruned meanwhile
			return 0, fmt.Errorf("run: %s has no whole checkpoint", r.Dir)
		}
	}
}

func (d *Dir) numbers() ([]int64, error) {
	entries, err := fs.ReadDir(d.root.FS(), "checkpoint")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // no run may start anew because its folder cannot be read
		return nil, fmt.Errorf("run: %w", err)
	}
	var list []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

var errNewer = errors.New("written by a newer version of Muster")

// verify reads a manifest and compares size and hash of every file it names, of records only those of parts.
func (d *Dir) verify(n int64, parts map[string]Checkpoint) (*manifest, error) {
	text, err := d.root.ReadFile(d.checkpoint(n) + "/manifest.json")
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
		if err := want.check(d.root, d.checkpoint(n)+"/"+name); err != nil {
			return nil, err
		}
	}
	for name, list := range m.Records {
		if _, asked := parts[name]; !asked {
			continue
		}
		for _, r := range list {
			if err := r.check(d.root, "replay/"+r.File); err != nil {
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
				if err := readFile(d.root, "replay/"+r.File, func(in io.Reader) error { return readRecords(in, g, r.From, r.To) }); err != nil {
					return err
				}
			}
		}
		if err := readFile(d.root, d.checkpoint(n)+"/"+name, p.Load); err != nil {
			return err
		}
	}
	return nil
}

// cutLines shortens the line files to what belongs to a checkpoint, by rename, so that a kill in between
// loses nothing.
func (d *Dir) cutLines(m *manifest) error {
	for name, f := range d.lines() {
		keep := m.Lines[name]
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
		if err := writeAtomic(d.root, name, data); err != nil {
			return err
		}
		(*f).Close()
		if *f, err = d.root.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o644); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	return nil
}

// prune removes all but the last two checkpoints, and records that neither of them names. What cannot be
// removed is logged and stays.
func (d *Dir) prune() {
	list, err := d.numbers()
	for ; err == nil && len(list) > 2; list = list[1:] {
		err = d.root.RemoveAll(d.checkpoint(list[0]))
	}
	needed := map[string]bool{}
	for _, n := range list {
		var m manifest
		text, unread := d.root.ReadFile(d.checkpoint(n) + "/manifest.json")
		if unread == nil {
			unread = json.Unmarshal(text, &m)
		}
		err = cmp.Or(err, unread)
		for _, recs := range m.Records {
			for _, r := range recs {
				needed[r.File] = true
			}
		}
	}
	entries, _ := fs.ReadDir(d.root.FS(), "replay")
	for _, e := range entries {
		if err == nil && !needed[e.Name()] && strings.HasSuffix(e.Name(), ".safetensors") {
			err = d.root.Remove("replay/" + e.Name())
		}
	}
	if err != nil {
		d.Logf("old checkpoints or records stay: %v", err)
	}
}
