package run

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	mostVisited = 20_000 // entries looked at for a better guess
	mostNearest = 3
)

// nearest lists existing runs whose places resemble a pattern that matched none, the likeliest first and seeds as "*"; nil if
// there are no runs.
func nearest(pattern string) []string {
	top := pattern
	for strings.ContainsAny(top, `*?[\`) {
		top = filepath.Dir(top)
	}
	for top != filepath.Dir(top) && !exists(top) {
		top = filepath.Dir(top)
	}
	if root := Root(); strings.HasPrefix(pattern, root) { // look at all runs, but not above them
		top = root
	}
	var found []string
	visited := 0
	filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if visited++; err != nil || visited > mostVisited {
			return fs.SkipAll
		}
		if d.IsDir() && exists(filepath.Join(path, "config.json")) {
			found = append(found, filepath.Join(filepath.Dir(path), "*"))
			return fs.SkipDir
		}
		return nil
	})
	slices.Sort(found)
	found = slices.Compact(found)
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(unlike(pattern, a), unlike(pattern, b)) })
	found = found[:min(len(found), mostNearest)]
	for i, f := range found {
		if short, err := filepath.Rel(Root(), f); err == nil && !strings.HasPrefix(short, "..") {
			found[i] = filepath.ToSlash(short)
		}
	}
	return found
}

// unlike counts what has to change in a path, part by part, until a pattern matches it.
func unlike(pattern, path string) int {
	p, q := strings.Split(filepath.ToSlash(pattern), "/"), strings.Split(filepath.ToSlash(path), "/")
	sum := 0
	for i := range max(len(p), len(q)) {
		switch {
		case i >= len(p):
			sum += len(q[i])
		case i >= len(q):
			sum += len(p[i])
		default:
			if ok, _ := filepath.Match(p[i], q[i]); !ok && q[i] != "*" {
				sum += edits(strings.Trim(p[i], "*"), q[i])
			}
		}
	}
	return sum
}

// edits is the distance of Levenshtein: letters to insert, remove or replace.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
