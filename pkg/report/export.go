package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-marl/muster/pkg/run"
)

// The JSON of marl-eval (Gorsane et al., NeurIPS 2022, and the page of instadeepai/marl-eval): environment → task → algorithm →
// run → "step_k" with "step_count" and a list per metric, and "absolute_metrics" of the last, longer evaluation. A list has an
// element per episode, or a single one.
type (
	marlTasks map[string]marlRuns                      // by task
	marlRuns  map[string]map[string]map[string]marlLog // by algorithm, run, "step_k" or "absolute_metrics"
	marlLog   map[string]json.RawMessage
)

const absolute = "absolute_metrics"

// Export writes the evaluations of runs as marl-eval's JSON, for its tools and others that read it. A world "takeout/mini-v4" is
// the task mini-v4 of the environment takeout, a method is an algorithm, a seed is a run. metrics are those to write; none means
// all that an evaluation has. Evaluations during training become steps, the final one becomes absolute_metrics, which a run that has
// not finished lacks.
func Export(w io.Writer, runs run.Runs, metrics ...string) error {
	list, err := runs.List()
	if err != nil {
		return err
	}
	out := map[string]marlTasks{}
	for _, r := range list {
		steps, err := exported(r, metrics)
		if err != nil {
			return err
		}
		name, task, found := strings.Cut(r.World, "/")
		if !found {
			task = name
		}
		if out[name] == nil {
			out[name] = marlTasks{}
		}
		if out[name][task] == nil {
			out[name][task] = marlRuns{}
		}
		if out[name][task][r.Method] == nil {
			out[name][task][r.Method] = map[string]map[string]marlLog{}
		}
		seed := "seed_" + strconv.FormatUint(r.Seed, 10)
		if out[name][task][r.Method][seed] != nil {
			return fmt.Errorf("report: two runs of %s on %s have seed %d, want one: export them apart", r.Method, r.World, r.Seed)
		}
		out[name][task][r.Method][seed] = steps
	}
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// exported turns the evaluations of a run's training world into steps.
func exported(r *run.Run, metrics []string) (map[string]marlLog, error) {
	evals, err := r.Evaluations()
	if err != nil {
		return nil, err
	}
	out := map[string]marlLog{}
	for i := range evals {
		e := &evals[i]
		if e.Cell != "" || e.Stream != "eval" && e.Stream != "final" {
			continue
		}
		names, log := metrics, marlLog{}
		if len(names) == 0 {
			names = e.Names()
		}
		for _, name := range names {
			values := e.Values(name)
			if len(values) == 0 {
				return nil, fmt.Errorf("report: an evaluation of %s has no %q; it has %s", r.Dir, name, strings.Join(e.Names(), ", "))
			}
			if slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
				return nil, fmt.Errorf("report: %q of %s at %d steps is not finite, which JSON cannot hold", name, r.Dir, e.Steps)
			}
			if log[name], err = json.Marshal(values); err != nil {
				return nil, fmt.Errorf("report: %w", err)
			}
		}
		if e.Stream == "final" {
			out[absolute] = log
			continue
		}
		log["step_count"] = json.RawMessage(strconv.FormatInt(e.Steps, 10))
		out["step_"+strconv.Itoa(len(out))] = log
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("report: %s has no evaluations to export", r.Dir)
	}
	return out, nil
}

// Import opens a file of marl-eval's JSON, of ours or of another library, as runs that all figures and tables take: run.Join puts
// them beside runs of our own. Seeds are the numbers in the names of runs, or else their places in order.
func Import(file string) run.Runs {
	runs, err := readExport(file)
	if err != nil {
		return run.Failed(err)
	}
	return run.Of(runs...)
}

func readExport(file string) ([]*run.Run, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var all map[string]marlTasks
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("report: %s is not JSON of marl-eval (environment, task, algorithm, run, step): %w", file, err)
	}
	var list []*run.Run
	for _, name := range sorted(all) {
		for _, task := range sorted(all[name]) {
			for _, method := range sorted(all[name][task]) {
				runs := all[name][task][method]
				for i, key := range sorted(runs) {
					where := strings.Join([]string{file, name, task, method, key}, ": ")
					evals, err := imported(runs[key], where)
					if err != nil {
						return nil, err
					}
					world := name + "/" + task
					if name == task {
						world = name
					}
					r, err := run.Given(method, world, seedOf(key, i, runs), evals)
					if err != nil {
						return nil, fmt.Errorf("report: %s: %w", where, err)
					}
					list = append(list, r)
				}
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("report: %s holds no runs", file)
	}
	return list, nil
}

// sorted lists keys with their numbers in order: run_2 before run_10.
func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		x, okA := trailing(a)
		y, okB := trailing(b)
		if okA && okB && x != y && strings.TrimRight(a, "0123456789") == strings.TrimRight(b, "0123456789") {
			if x < y {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}

// trailing is the number at the end of a name.
func trailing(name string) (uint64, bool) {
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// seedOf is the number in a run's name, if each run has another one, else its place.
func seedOf[V any](key string, place int, runs map[string]V) uint64 {
	seen := map[uint64]bool{}
	for k := range runs {
		n, ok := trailing(k)
		if !ok || seen[n] {
			return uint64(place)
		}
		seen[n] = true
	}
	n, _ := trailing(key)
	return n
}

// imported turns steps into evaluations in the order of their step counts, the absolute metrics last.
func imported(steps map[string]marlLog, where string) ([]run.Evaluation, error) {
	var list []run.Evaluation
	for _, key := range sorted(steps) {
		e := run.Evaluation{Stream: "eval", Metrics: map[string][]float64{}}
		if key == absolute {
			e.Stream = "final"
		}
		counted := false
		for _, metric := range sorted(steps[key]) {
			raw := steps[key][metric]
			if metric == "step_count" {
				var n float64 // some write 1e6
				if err := json.Unmarshal(raw, &n); err != nil {
					return nil, fmt.Errorf("report: %s: %s: step_count is %s, want a number", where, key, raw)
				}
				e.Steps, counted = int64(n), true
				continue
			}
			values, err := episodes(raw)
			if err != nil {
				return nil, fmt.Errorf("report: %s: %s: %s is %.60s, want a list of numbers", where, key, metric, raw)
			}
			if e.Episodes = max(e.Episodes, len(values)); metric == "return" {
				e.Returns = values
				continue
			}
			e.Metrics[metric] = values
		}
		if !counted && key != absolute {
			return nil, fmt.Errorf("report: %s: %s has no step_count", where, key)
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b run.Evaluation) int {
		if a.Stream != b.Stream {
			return strings.Compare(a.Stream, b.Stream) // "eval" before "final"
		}
		return int(a.Steps - b.Steps)
	})
	if n := len(list); n > 1 && list[n-1].Stream == "final" && list[n-1].Steps == 0 {
		list[n-1].Steps = list[n-2].Steps // of the policy at the end
	}
	return list, nil
}

// episodes reads a list of numbers, or one number.
func episodes(raw json.RawMessage) ([]float64, error) {
	var values []float64
	if err := json.Unmarshal(raw, &values); err == nil && len(values) > 0 {
		return values, nil
	}
	var one *float64
	if err := json.Unmarshal(raw, &one); err != nil || one == nil {
		return nil, fmt.Errorf("no numbers")
	}
	return []float64{*one}, nil
}
