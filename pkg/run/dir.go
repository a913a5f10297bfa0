package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Dir is a run directory open for writing. One process at a time holds it.
type Dir struct {
	Path   string
	Config Config // as stored

	lock          *flock.Flock
	metrics, eval *os.File
	log           *os.File
	last          *manifest // of the newest checkpoint
}

// Create opens the directory at path for the run that c describes: a new one, or one that goes on. A stored
// run of another identity is refused, and the error names the first difference. Settings of c are replaced
// by those stored, where they are. A second process on the same directory is refused.
func Create(path string, c Config) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("run: cannot make the run directory: %w", err)
	}
	d := &Dir{Path: path, Config: c}
	if err := d.take(); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) take() error {
	d.lock = flock.New(filepath.Join(d.Path, "lock"))
	ok, err := d.lock.TryLock()
	if err != nil {
		return fmt.Errorf("run: cannot lock %s: %w", d.Path, err)
	}
	if !ok {
		holder, _ := os.ReadFile(filepath.Join(d.Path, "lock"))
		return fmt.Errorf("run: %s is in use by %s", d.Path, strings.TrimSpace(string(holder)))
	}
	host, _ := os.Hostname()
	return os.WriteFile(filepath.Join(d.Path, "lock"), fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0o644)
}

func (d *Dir) open() error {
	old, err := readConfig(d.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if diff := difference(old.Identity, d.Config.Identity); diff != "" {
			return fmt.Errorf("run: %s holds another run: %s; choose another Dir or remove it", d.Path, diff)
		}
		d.Config.Settings = old.Settings
		d.Config.Programs, d.Config.ProgramsUnder = old.Programs, old.ProgramsUnder
		d.Config.Goal = max(old.Goal, d.Config.Goal)
	}
	for name, f := range map[string]**os.File{"metrics.jsonl": &d.metrics, "eval.jsonl": &d.eval, "log.txt": &d.log} {
		if *f, err = os.OpenFile(filepath.Join(d.Path, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	for _, f := range []*os.File{d.metrics, d.eval} {
		if err := d.dropTorn(f); err != nil {
			return err
		}
	}
	if old != nil {
		d.Config.Provenance = old.Provenance
	}
	return d.writeConfig()
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
	if err != nil || size == 0 {
		return err
	}
	tail := make([]byte, min(size, 1<<20))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if torn := len(tail) - 1 - bytes.LastIndexByte(tail, '\n'); torn > 0 {
		d.Logf("%s: dropped an unfinished last line of %d bytes", filepath.Base(f.Name()), torn)
		return f.Truncate(size - int64(torn))
	}
	return nil
}

func (d *Dir) writeConfig() error {
	d.Config.Format = configFormat
	data, err := json.MarshalIndent(d.Config, "", "  ")
	if err != nil {
		return fmt.Errorf("run: config.json: %w", err)
	}
	return writeAtomic(filepath.Join(d.Path, "config.json"), append(data, '\n'))
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
	return appendLine(d.metrics, row)
}

// Evaluation appends one line to eval.jsonl.
func (d *Dir) Evaluation(e Evaluation) error { return appendLine(d.eval, e) }

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
	return d.lock.Close()
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

func writeAtomic(file string, data []byte) error {
	tmp := file + ".tmp"
	err := writeSynced(tmp, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// writeSynced makes a file and returns when its bytes are on the disk.
func writeSynced(file string, write func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
