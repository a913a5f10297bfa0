package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sort"
)

// Config is config.json.
type Config struct {
	Format        int               `json:"format"`
	Method        string            `json:"method"`
	World         string            `json:"world"`
	Seed          uint64            `json:"seed"`
	Goal          int64             `json:"goal"`              // joint steps; may grow from start to start
	Identity      any               `json:"identity"`          // compared when the run goes on
	Programs      map[string]string `json:"programs"`          // hash of each traced program, compared where backend and library are equal
	Settings      map[string]int64  `json:"settings"`          // chosen when the run began and used again: threads, log_every
	Provenance    map[string]string `json:"provenance"`        // may change from start to start; a change is logged
	ProgramsUnder string            `json:"programs_under"`    // backend and library that Programs belong to
	Summary       bool              `json:"summary,omitempty"` // true = written by Run.Summary: cannot go on
}

const configFormat = 1

func readConfig(dir string) (*Config, error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	return parseConfig(dir, data, err)
}

// parseConfig takes what reading the config.json of dir returned.
func parseConfig(dir string, data []byte, err error) (*Config, error) {
	if err != nil {
		return nil, err
	}
	c := new(Config)
	if err := exactly(data, c); err != nil {
		return nil, fmt.Errorf("run: %s/config.json: %w", dir, err)
	}
	if c.Format > configFormat {
		return nil, fmt.Errorf("run: %s has format %d, this program knows up to %d: use a newer version of Muster", dir, c.Format, configFormat)
	}
	return c, nil
}

// Check compares the run in dir, if there is one, with the run that c describes, and names the first difference. It
// does not see the functions of a method, of which hashes are compared when a run goes on.
func Check(dir string, c Config) error {
	old, err := readConfig(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if old.Summary {
		return fmt.Errorf("run: %s is the summary of a run, which cannot go on; choose another Dir", dir)
	}
	if diff := difference(old.Identity, c.Identity); diff != "" && !bare(dir) {
		return fmt.Errorf("run: %s holds another run: %s; choose another Dir or remove it", dir, diff)
	}
	return nil
}

// bare reports whether a run has left nothing yet, as Dir.empty does for one that is open.
func bare(dir string) bool {
	for _, name := range []string{"metrics.jsonl", "eval.jsonl"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > 0 {
			return false
		}
	}
	list, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*[0-9]"))
	return err == nil && len(list) == 0
}

// Describe turns a value into what config.json holds: exported fields by name, the type of what an
// interface holds under "type". Functions and nil are left out: a hash of the traced programs stands for them.
func Describe(v any) any { return describe(reflect.ValueOf(v), true) }

func describe(v reflect.Value, named bool) any {
	switch v.Kind() {
	case reflect.Invalid, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return nil
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return describe(v.Elem(), named || v.Kind() == reflect.Interface)
	case reflect.Struct:
		m := map[string]any{}
		if named && v.Type().Name() != "" {
			m["type"] = v.Type().String()
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if d := describe(v.Field(i), false); d != nil {
					m[f.Name] = d
				}
			}
		}
		return m
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = describe(v.Index(i), false)
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[fmt.Sprint(k.Interface())] = describe(v.MapIndex(k), false)
		}
		return m
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(f)
		}
	}
	return v.Interface()
}

// difference names the first place where two described values differ, or returns "".
func difference(stored, now any) string {
	return differ("", jsonForm(stored), jsonForm(now))
}

func jsonForm(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	if err := exactly(data, &out); err != nil {
		return string(data)
	}
	return out
}

// exactly decodes JSON without rounding integers beyond 2⁵³, such as seeds.
func exactly(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(to)
}

func differ(path string, stored, now any) string {
	a, okA := stored.(map[string]any)
	b, okB := now.(map[string]any)
	if okA && okB {
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range b {
			keys[k] = true
		}
		sorted := make([]string, 0, len(keys))
		for k := range keys {
			sorted = append(sorted, k)
		}
		sort.Strings(sorted)
		for _, k := range sorted {
			if d := differ(path+"."+k, a[k], b[k]); d != "" {
				return d
			}
		}
		return ""
	}
	if reflect.DeepEqual(stored, now) {
		return ""
	}
	return fmt.Sprintf("%s is %s there and %s here", trimDot(path), short(stored), short(now))
}

func trimDot(path string) string {
	if len(path) > 0 && path[0] == '.' {
		return path[1:]
	}
	return path
}

func short(v any) string {
	if v == nil {
		return "absent"
	}
	data, _ := json.Marshal(v)
	if len(data) > 60 {
		data = append(data[:57], "..."...)
	}
	return string(data)
}
