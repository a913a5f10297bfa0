package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// summaryPoints is how many points of a curve a summary keeps.
const summaryPoints = 300

// Summary writes the run to the folder dst without checkpoints, replay and log, for publication: each curve
// thinned to 300 of its points, the first and the last among them, besides all evaluations of the last fifth of steps, by
// which it is judged whether a run has held something; all evaluations for tables, the recorded episodes of the first
// evaluation and of those for tables, and no names of machines or folders. Open reads a summary like a run; it cannot go
// on. An older summary is replaced.
func (r *Run) Summary(dst string) error { return r.Thinned(dst, summaryPoints) }

// Thinned is Summary with so many points of each curve, at least 2: for many runs of which the end matters.
func (r *Run) Thinned(dst string, points int) error {
	if points < 2 {
		return fmt.Errorf("run: a summary of %s with %d points of each curve, want at least 2", r.Dir, points)
	}
	c, err := readConfig(r.Dir)
	if err != nil {
		return fmt.Errorf("run: no summary of %s: %w", r.Dir, err)
	}
	switch old, err := readConfig(dst); {
	case err == nil && !old.Summary:
		return fmt.Errorf("run: %s holds a run, want another folder for the summary of %s", dst, r.Dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	metrics, err := r.thinMetrics(points)
	if err != nil {
		return err
	}
	evals, err := r.thinEvaluations(points)
	if err != nil {
		return err
	}
	c.Summary = true
	c.Identity = withoutFolders(c.Identity)
	delete(c.Provenance, "host")
	for k, v := range c.Provenance {
		c.Provenance[k] = folders.ReplaceAllString(v, "$1")
	}
	head, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return fmt.Errorf("run: cannot make the folder of a summary: %w", err)
	}
	folder, err := os.OpenRoot(dst)
	if err != nil {
		return fmt.Errorf("run: cannot open the folder of a summary: %w", err)
	}
	defer folder.Close()
	for _, f := range []struct {
		name string
		data []byte
	}{{"config.json", append(head, '\n')}, {"metrics.jsonl", metrics}, {"eval.jsonl", evals}} {
		if err := writeAtomic(folder, f.name, f.data); err != nil {
			return err
		}
	}
	return r.copyEpisodes(folder)
}

// copyEpisodes copies the recordings of the first evaluation and of the final ones into the folder of a summary.
func (r *Run) copyEpisodes(dst *os.Root) error {
	files, err := r.recordings()
	if err != nil || len(files) == 0 {
		return err
	}
	if err := dst.RemoveAll("episodes"); err != nil { // of an older summary
		return fmt.Errorf("run: %w", err)
	}
	if err := dst.MkdirAll("episodes", 0o755); err != nil {
		return fmt.Errorf("run: cannot make the folder of a summary: %w", err)
	}
	for i, f := range files {
		if i > 0 && !strings.HasPrefix(filepath.Base(f), "final-") {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		if err := writeAtomic(dst, "episodes/"+filepath.Base(f), data); err != nil {
			return err
		}
	}
	return nil
}

// thinMetrics returns the lines of metrics.jsonl with those values that their curves keep.
func (r *Run) thinMetrics(most int) ([]byte, error) {
	points := map[string]int{}
	count := func(row map[string]*float64) error {
		for name, v := range row {
			if v != nil {
				points[name]++
			}
		}
		return nil
	}
	if err := r.eachRow(count); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	seen := map[string]int{}
	err := r.eachRow(func(row map[string]*float64) error {
		for name, v := range row {
			if v != nil {
				seen[name]++
			}
			if name != "steps" && name != "updates" && name != "seconds" && (v == nil || !kept(seen[name]-1, points[name], most)) {
				delete(row, name)
			}
		}
		if len(row) <= 3 && !kept(seen["steps"]-1, points["steps"], most) {
			return nil
		}
		return writeLine(&out, row)
	})
	return out.Bytes(), err
}

// thinEvaluations returns the lines of eval.jsonl that the curve of each cell keeps, those of the last fifth of steps, and
// all that belong to no curve.
func (r *Run) thinEvaluations(most int) ([]byte, error) {
	list, err := r.Evaluations()
	if err != nil {
		return nil, err
	}
	points, seen, end := map[string]int{}, map[string]int{}, int64(0)
	for _, e := range list {
		end = max(end, e.Steps)
		if e.Stream == "eval" {
			points[e.Cell]++
		}
	}
	var out bytes.Buffer
	for _, e := range list {
		if e.Stream == "eval" {
			if seen[e.Cell]++; !kept(seen[e.Cell]-1, points[e.Cell], most) && 5*e.Steps <= 4*end {
				continue
			}
		}
		if err := writeLine(&out, e); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// kept reports whether point i of n is one of the at most most evenly spaced ones.
func kept(i, n, most int) bool {
	if n <= most {
		return true
	}
	// Point i is kept where the rounded-up grid position moves: the points ⌈k·(n−1)/(most−1)⌉.
	gaps := most - 1
	k := i * gaps / (n - 1)
	return (k*(n-1)+gaps-1)/gaps == i
}

func writeLine(out *bytes.Buffer, row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	out.Write(append(data, '\n'))
	return nil
}

// folders matches an absolute path up to its last part.
var folders = regexp.MustCompile(`(^|[\s,=:;("])/[^\s,=:;()"]*/`)

// withoutFolders leaves the last part of each path in a described value.
func withoutFolders(v any) any {
	switch v := v.(type) {
	case string:
		return folders.ReplaceAllString(v, "$1")
	case []any:
		for i := range v {
			v[i] = withoutFolders(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withoutFolders(v[k])
		}
	}
	return v
}
