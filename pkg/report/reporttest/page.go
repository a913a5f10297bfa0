// Package reporttest compares the tables of docs/systems with what reports make of docs/results.
package reporttest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// docs is the folder of that name, seen from the package under test.
func docs(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs")
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the package under test")
		}
		dir = up
	}
}

// Summaries are the runs below docs/results that match any of the patterns, such as "qmix/vdn/battle/3m/*".
func Summaries(t *testing.T, patterns ...string) run.Runs {
	t.Helper()
	var list []*run.Run
	for _, p := range patterns {
		dirs, err := filepath.Glob(filepath.Join(docs(t), "results", filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			r, err := run.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
	}
	return run.Of(list...)
}

// Table fails unless docs/systems/<page>.md shows, between <!-- name --> and <!-- end -->, the table that table makes of
// stored runs. With MUSTER_PAGES=write it puts it there.
func Table(t *testing.T, page, name string, runs run.Runs, table func(run.Runs) report.Report) {
	t.Helper()
	text, now := "No runs are stored for this table yet.", bytes.Buffer{}
	if list, err := runs.List(); err != nil {
		t.Fatal(err)
	} else if len(list) > 0 {
		if err := table(runs).Render(&now, "md"); err != nil {
			t.Errorf("the table %q: %v", name, err)
			return
		}
		text = strings.TrimSpace(now.String())
	}
	file := filepath.Join(docs(t), "systems", page+".md")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- " + name + " -->\n"
	head, rest, begun := strings.Cut(string(whole), begin)
	shown, tail, ended := strings.Cut(rest, "<!-- end -->")
	shown = strings.TrimSuffix(shown, "\n")
	switch {
	case !begun || !ended:
		t.Errorf("docs/systems/%s.md has no place for the table %q", page, name)
	case shown == text:
	case os.Getenv("MUSTER_PAGES") == "write":
		if err := os.WriteFile(file, []byte(head+begin+text+"\n<!-- end -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/systems/%s.md does not show the table %q as the stored runs make it; with MUSTER_PAGES=write this test writes it:\n\n%s", page, name, text)
	}
}
