// Package run keeps what an experiment leaves on disk: a directory with its identity, metrics, evaluations,
// checkpoints and log. The directory is the only hand-over between cells, processes, machines and years.
//
//	config.json     identity (what is compared when a run goes on), settings (chosen once), provenance
//	metrics.jsonl   one object per line: {"steps":…, "updates":…, "seconds":…, "loss":…}
//	eval.jsonl      one Evaluation per line
//	checkpoint/<n>/ manifest.json with sizes and SHA-256, and one file per part; the last two are kept
//	episodes/       recorded episodes, one file for each evaluation
//	replay/         what a buffer holds, written once as it arrives; a checkpoint names the parts it needs
//	log.txt         compilations, warnings, resumed-at lines
//	progress.json   where its process stands, for those who watch from others (Live)
//	lock            who holds it
//
// Everything is append-only or renamed into place: a crash at any byte leaves a directory that opens. docs/design.md
// lists what can happen to it, and what the run does then.
package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Root is the folder of all runs: $MUSTER_RUNS, else ./runs.
func Root() string {
	if dir := os.Getenv("MUSTER_RUNS"); dir != "" {
		return dir
	}
	return "runs"
}

// Path is the default directory of a run: <root>/<method>/<world>/<seed>.
func Path(method, world string, seed uint64) string {
	return filepath.Join(Root(), method, filepath.FromSlash(world), strconv.FormatUint(seed, 10))
}

// Run is a run directory, open for reading. It may be read while its process is still writing.
type Run struct {
	Dir           string
	Method, World string // names, as "vdn-dqn" and "takeout/mini-v4"
	Seed          uint64
	Goal          int64             // joint steps that the run was last asked for
	Provenance    map[string]string // module, backend, threads, machine

	given []Evaluation // of a run without a directory
}

// Given returns a run that lies in no directory: evaluations that were read from elsewhere, in the order in which they
// were made. Dir is then only a name for messages.
func Given(method, world string, seed uint64, evals []Evaluation) (*Run, error) {
	name := fmt.Sprintf("%s/%s/%d", method, world, seed)
	if method == "" || world == "" || len(evals) == 0 {
		return nil, fmt.Errorf("run: a given run %q with %d evaluations, want a method, a world and at least one", name, len(evals))
	}
	r := &Run{Dir: name, Method: method, World: world, Seed: seed, given: evals}
	for _, e := range evals {
		r.Goal = max(r.Goal, e.Steps)
	}
	return r, nil
}

// Open reads the head of one run directory.
func Open(dir string) (*Run, error) {
	c, err := readConfig(dir)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("run: no run under %s (no config.json)", dir)
	} else if err != nil {
		return nil, err
	}
	return &Run{Dir: dir, Method: c.Method, World: c.World, Seed: c.Seed, Goal: c.Goal, Provenance: c.Provenance}, nil
}

// Runs are the runs that patterns found, ordered by directory. An error waits in the value until somebody
// asks for the list, so that cells compose without checks.
type Runs struct {
	list []*Run
	err  error
}

// All opens the runs whose directories match a pattern of path/filepath.Match. Patterns start below Root
// ("*/battle/2s3z/*": method, world, seed), unless they begin with "/" or ".".
func All(patterns ...string) Runs {
	var r Runs
	var full []string
	for _, p := range patterns {
		if !filepath.IsAbs(p) && !strings.HasPrefix(p, ".") {
			p = filepath.Join(Root(), filepath.FromSlash(p))
		}
		full = append(full, p)
		dirs, err := filepath.Glob(p)
		if err != nil {
			return Runs{err: fmt.Errorf("run: pattern %q: %w", p, err)}
		}
		sort.Strings(dirs)
		for _, d := range dirs {
			if _, err := os.Stat(filepath.Join(d, "config.json")); err != nil {
				continue
			}
			one, err := Open(d)
			if err != nil {
				return Runs{err: err}
			}
			r.list = append(r.list, one)
		}
	}
	if len(r.list) == 0 {
		r.err = fmt.Errorf("run: no runs match %s below %s: run the training cell first", strings.Join(patterns, ", "), Root())
		if len(full) > 0 {
			if near := nearest(full[0]); near != nil {
				r.err = fmt.Errorf("run: no runs match %s below %s; the nearest that exist: %s", strings.Join(patterns, ", "), Root(), strings.Join(near, ", "))
			}
		}
	}
	return r
}

// Of makes Runs of runs that are open already.
func Of(list ...*Run) Runs { return Runs{list: list} }

// Failed makes Runs whose List returns an error.
func Failed(err error) Runs { return Runs{err: err} }

// Join puts runs behind each other. The first error of any stays.
func Join(parts ...Runs) Runs {
	var out Runs
	for _, p := range parts {
		if p.err != nil {
			return p
		}
		out.list = append(out.list, p.list...)
	}
	return out
}

// List returns the runs, or what went wrong when they were looked for.
func (r Runs) List() ([]*Run, error) { return r.list, r.err }

// Point is one value of a curve.
type Point struct {
	Steps, Updates int64
	Seconds        float64
	Value          float64
	Episodes       int // of the evaluation whose mean it is; 0 = logged in training
}

// Metrics returns the curve of a metric: of training (metrics.jsonl), or else the mean over the episodes of
// each evaluation (eval.jsonl, cell ""). An unknown name is an error that lists the known ones.
func (r *Run) Metrics(name string) ([]Point, error) {
	curves, err := r.Curves(name)
	return curves[name], err
}

// Curves returns the curves of several metrics, each as Metrics does, and reads the files once.
func (r *Run) Curves(names ...string) (map[string][]Point, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	curves, known := map[string][]Point{}, map[string]bool{}
	err := r.eachRow(func(row map[string]*float64) error {
		at := func(key string) float64 {
			if v := row[key]; v != nil {
				return *v
			}
			return 0
		}
		for k := range row {
			known[k] = true
		}
		for _, name := range names {
			if v := row[name]; v != nil {
				curves[name] = append(curves[name], Point{int64(at("steps")), int64(at("updates")), at("seconds"), *v, 0})
			}
		}
		return nil
	})
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return len(curves[name]) > 0 })
	if err != nil || len(missing) == 0 {
		return curves, err
	}
	evals, err := r.Evaluations()
	if err != nil {
		return nil, err
	}
	for _, e := range evals {
		if e.Stream != "eval" || e.Cell != "" {
			continue
		}
		for _, k := range e.Names() {
			known[k] = true
		}
		for _, name := range missing {
			if values := e.Values(name); len(values) > 0 {
				curves[name] = append(curves[name], Point{e.Steps, e.Updates, e.Seconds, mean(values), e.Episodes})
			}
		}
	}
	for _, name := range missing {
		if len(curves[name]) == 0 {
			return nil, fmt.Errorf("run: %s has no metric %q; it has %s", r.Dir, name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return curves, nil
}

// eachRow calls f with each line of metrics.jsonl; nil stands for null.
func (r *Run) eachRow(f func(row map[string]*float64) error) error {
	if r.given != nil {
		return nil
	}
	return eachLine(filepath.Join(r.Dir, "metrics.jsonl"), func(line []byte) error {
		row := map[string]*float64{}
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		return f(row)
	})
}

// Evaluation is one line of eval.jsonl: what one evaluation found in one cell. Arrays are per episode.
type Evaluation struct {
	Steps    int64                `json:"steps"`
	Updates  int64                `json:"updates"`
	Seconds  float64              `json:"seconds"` // of training, when it was made
	Stream   string               `json:"stream"`  // "eval" during training, "final" for tables
	Cell     string               `json:"cell"`    // "" is the world of training
	World    string               `json:"world"`
	Episodes int                  `json:"episodes"`
	Outcomes map[string]int       `json:"outcomes"` // how many episodes ended in "win", "loss", …
	Returns  []float64            `json:"returns"`  // mean over agents of their undiscounted returns
	Lengths  []int                `json:"lengths"`  // steps
	Metrics  map[string][]float64 `json:"metrics"`  // the world's counts at the end of each episode
	Recorded []Episode            `json:"-"`        // the first of the episodes, which lie in a folder of their own
}

// Values returns a metric per episode: "return", "length", "win_rate" (1 or 0), or what the world counts;
// nil if there is none of that name, or outcomes were not counted. Win rates are in no particular order.
func (e *Evaluation) Values(name string) []float64 {
	if values, ok := e.Metrics[name]; ok { // of another library, which counts outcomes its own way
		return values
	}
	switch name {
	case "return":
		return e.Returns
	case "length":
		out := make([]float64, len(e.Lengths))
		for i, n := range e.Lengths {
			out[i] = float64(n)
		}
		return out
	case "win_rate":
		if len(e.Outcomes) == 0 {
			return nil
		}
		out := make([]float64, e.Episodes)
		for i := range min(e.Outcomes["win"], e.Episodes) {
			out[i] = 1
		}
		return out
	}
	return e.Metrics[name]
}

// Names lists what Values knows, sorted.
func (e *Evaluation) Names() []string {
	var names []string
	for k := range e.Metrics {
		names = append(names, k)
	}
	for k, ok := range map[string]bool{"return": len(e.Returns) > 0, "length": len(e.Lengths) > 0, "win_rate": len(e.Outcomes) > 0} {
		if ok && !slices.Contains(names, k) {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	return names
}

// Evaluations returns all evaluations in the order they were made.
func (r *Run) Evaluations() ([]Evaluation, error) {
	if r.given != nil {
		return r.given, nil
	}
	var list []Evaluation
	err := eachLine(filepath.Join(r.Dir, "eval.jsonl"), func(line []byte) error {
		var e Evaluation
		if err := e.decode(line); err != nil {
			return err
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// Final returns the evaluation of a cell that tables use: the last of stream "final".
func (r *Run) Final(cell string) (*Evaluation, error) {
	e, err := r.last(cell)
	if e != nil || err != nil {
		return e, err
	}
	if cell != "" {
		return nil, fmt.Errorf("run: %s has no final evaluation of cell %q: the run has not finished, or has no such cell", r.Dir, cell)
	}
	return nil, fmt.Errorf("run: %s has no final evaluation: the run has not finished; run the training cell to its end", r.Dir)
}

// Finals returns the evaluations that Final returns of each cell, in the order in which they were made; none is no error.
func (r *Run) Finals() (list []*Evaluation, err error) {
	err = r.backwards(func(e *Evaluation) bool {
		if !slices.ContainsFunc(list, func(o *Evaluation) bool { return o.Cell == e.Cell }) {
			list = append(list, e)
		}
		return false
	})
	slices.Reverse(list)
	return list, err
}

func (r *Run) last(cell string) (found *Evaluation, err error) {
	err = r.backwards(func(e *Evaluation) bool {
		if e.Cell == cell {
			found = e
		}
		return found != nil
	})
	return found, err
}

// backwards calls visit with evaluations of stream "final" until that returns true, from the end of the file, where they
// are: a table of a thousand runs need not read what they were judged on before.
func (r *Run) backwards(visit func(e *Evaluation) (enough bool)) error {
	for i := len(r.given) - 1; i >= 0; i-- {
		if r.given[i].Stream == "final" && visit(&r.given[i]) {
			break
		}
	}
	if r.given != nil {
		return nil
	}
	file := filepath.Join(r.Dir, "eval.jsonl")
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // without a torn last line
	for len(data) > 0 {
		from := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
		line := data[from:]
		data = data[:from]
		if !bytes.Contains(line, []byte(`"final"`)) {
			continue
		}
		e := &Evaluation{}
		if err := e.decode(line); err != nil {
			return fmt.Errorf("run: %s line %d: %w", file, bytes.Count(data, []byte{'\n'})+1, err)
		}
		if e.Stream == "final" && visit(e) {
			break
		}
	}
	return nil
}

// eachLine calls f with each complete line; a torn last line (its process was killed, or is writing) is left out.
func eachLine(file string, f func([]byte) error) error {
	in, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if err := f(line); err != nil {
			return fmt.Errorf("run: %s line %d: %w", file, n, err)
		}
	}
}

func mean(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s / float64(len(x))
}
