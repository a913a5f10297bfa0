package run

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// Dir is a run directory open for writing. One process at a time holds it.
type Dir struct {
	Path   string
	Config Config // as stored

	root          *os.Root // the directory itself, even when it is moved or another takes its name
	moved         bool     // true = it no longer has the name Path, which the log says
	lock          *flock.Flock
	metrics, eval *os.File
	log           *os.File
	last          *manifest // of the newest checkpoint
}

// Create opens the directory at path for the run that c describes: a new one, or one that goes on. A stored
// run of another identity is refused, and the error names the first difference, unless it holds nothing yet.
// Settings of c are replaced by those stored, where they are. A second process on the same directory is refused.
func Create(path string, c Config) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("run: cannot make the run directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("run: cannot open the run directory: %w", err)
	}
	d := &Dir{Path: path, Config: c, root: root}
	if d.lock, err = hold(path, root); err != nil {
		d.Close()
		return nil, err
	}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) open() error {
	data, err := d.root.ReadFile("config.json")
	old, err := parseConfig(d.Path, data, err)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil && old.Summary {
		return fmt.Errorf("run: %s is the summary of a run, which cannot go on; choose another Dir", d.Path)
	}
	if err := d.tidy(); err != nil {
		return err
	}
	for name, f := range map[string]**os.File{"metrics.jsonl": &d.metrics, "eval.jsonl": &d.eval, "log.txt": &d.log} {
		if *f, err = d.root.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644); err != nil {
			return fmt.Errorf("run: %s: %w", d.Path, err)
		}
	}
	for _, f := range []*os.File{d.metrics, d.eval} {
		if err := d.dropTorn(f); err != nil {
			return err
		}
	}
	if old == nil {
		if list, err := d.numbers(); err != nil || len(list) > 0 { // what is left of a run that was removed, say
			return cmp.Or(err, fmt.Errorf("run: %s has checkpoints but no config.json that says of which run; choose another Dir or remove it", d.Path))
		}
		return d.writeConfig()
	}
	if diff := difference(old.Identity, d.Config.Identity); diff != "" {
		empty, err := d.empty()
		if err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("run: %s holds another run: %s; choose another Dir or remove it", d.Path, diff)
		}
		return d.writeConfig()
	}
	settings := maps.Clone(d.Config.Settings)
	maps.Copy(settings, old.Settings)
	d.Config.Settings, d.Config.Provenance = settings, old.Provenance
	d.Config.Programs, d.Config.ProgramsUnder = old.Programs, old.ProgramsUnder
	d.Config.Goal = max(old.Goal, d.Config.Goal)
	return nil // stored by Provenance, once the programs have been compared
}

// lines are the open files that grow by lines and belong to checkpoints, by name.
func (d *Dir) lines() map[string]**os.File {
	return map[string]**os.File{"metrics.jsonl": &d.metrics, "eval.jsonl": &d.eval}
}

// empty reports whether the run has left nothing yet: it failed to start, say for a constant that is corrected now.
func (d *Dir) empty() (bool, error) {
	list, err := d.numbers()
	for _, f := range []*os.File{d.metrics, d.eval} {
		info, unread := f.Stat()
		if err = cmp.Or(err, unread); err != nil || info.Size() > 0 {
			return false, err
		}
	}
	return len(list) == 0, err
}

// Provenance stores where the run goes on now, and logs the first difference to where it was before.
func (d *Dir) Provenance(p map[string]string) error {
	if diff := difference(d.Config.Provenance, p); diff != "" && len(d.Config.Provenance) > 0 {
		d.Logf("provenance changed: %s; bits may differ from here on", diff)
	}
	d.Config.Provenance = p
	return d.writeConfig()
}

// dropTorn cuts an unfinished last line, which a killed process left.
func (d *Dir) dropTorn(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	keep, tail := size, make([]byte, 1<<16)
	for keep > 0 {
		tail = tail[:min(keep, int64(cap(tail)))]
		if _, err := f.ReadAt(tail, keep-int64(len(tail))); err != nil {
			return fmt.Errorf("run: %w", err)
		}
		keep += int64(bytes.LastIndexByte(tail, '\n') + 1 - len(tail))
		if bytes.IndexByte(tail, '\n') >= 0 {
			break
		}
	}
	if keep < size {
		d.Logf("%s: dropped an unfinished last line of %d bytes", filepath.Base(f.Name()), size-keep)
		if err := f.Truncate(keep); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	return nil
}

func (d *Dir) writeConfig() error {
	d.Config.Format = configFormat
	data, err := json.MarshalIndent(d.Config, "", "  ")
	if err != nil {
		return fmt.Errorf("run: config.json: %w", err)
	}
	return writeAtomic(d.root, "config.json", append(data, '\n'))
}

// Programs compares the hashes of the traced programs with those stored, where they belong to the same
// backend and library (under), and stores them otherwise. Functions cannot be compared: a changed constant in
// a method's closure shows here.
func (d *Dir) Programs(under string, hashes map[string]string) error {
	if d.Config.ProgramsUnder == under {
		for name, h := range hashes {
			if old, ok := d.Config.Programs[name]; ok && old != h {
				return fmt.Errorf("run: %s holds another run: the %s program differs, so a function or constant of the method has changed; choose another Dir or remove it", d.Path, name)
			}
		}
		if len(d.Config.Programs) == len(hashes) {
			return nil
		}
	}
	d.Config.ProgramsUnder, d.Config.Programs = under, hashes
	return d.writeConfig()
}

// Metrics appends one line to metrics.jsonl. Values that JSON has no number for (NaN, ±Inf) are left out.
func (d *Dir) Metrics(steps, updates int64, seconds float64, values map[string]float64) error {
	row := map[string]any{"steps": steps, "updates": updates, "seconds": math.Round(seconds*1e3) / 1e3}
	for k, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			row[k] = v
		}
	}
	if err := d.intact(); err != nil {
		return err
	}
	return appendLine(d.metrics, row)
}

// Evaluation appends one line to eval.jsonl.
func (d *Dir) Evaluation(e Evaluation) error {
	if err := d.intact(); err != nil {
		return err
	}
	return appendLine(d.eval, e)
}

// intact makes sure that what is written still reaches the run. A directory that was moved is followed, which the log
// says. Where it or a file of it was removed or replaced, lines would go nowhere, and a checkpoint would be half of a
// run, or part of another that holds the new lock.
func (d *Dir) intact() error {
	held, err := d.lock.Stat()
	files := map[string]fs.FileInfo{"lock": held}
	for name, f := range d.lines() {
		if err == nil {
			files[name], err = (*f).Stat()
		}
	}
	if err != nil {
		return fmt.Errorf("run: %s: %w", d.Path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		there, err := d.root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(there, files[name]) {
			return fmt.Errorf("run: %s of %s was removed or replaced while the run was at work, which stops; it goes on from the last checkpoint, if that is still there", name, d.Path)
		}
		if err != nil {
			return fmt.Errorf("run: %s: %w", d.Path, err)
		}
	}
	if d.moved {
		return nil
	}
	self, err := d.root.Stat(".")
	if err != nil {
		return fmt.Errorf("run: %s: %w", d.Path, err)
	}
	if named, err := os.Stat(d.Path); err != nil || !os.SameFile(named, self) {
		d.moved = true
		d.Logf("the directory is no longer at %s: it was moved, and the run goes on in it", d.Path)
	}
	return nil
}

// Logf appends a line with the time to log.txt. A log that cannot be written stops nothing.
func (d *Dir) Logf(format string, args ...any) {
	fmt.Fprintf(d.log, "%s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05Z"), fmt.Sprintf(format, args...))
}

// Close gives the directory back.
func (d *Dir) Close() error {
	for _, f := range []*os.File{d.metrics, d.eval, d.log} {
		if f != nil {
			f.Close()
		}
	}
	return cmp.Or(d.lock.Close(), d.root.Close())
}

// appendLine writes a whole line by one call; a full disk leaves at most a torn line, which readers drop.
func appendLine(f *os.File, row any) error {
	data, err := json.Marshal(row)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}
