package nb

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/report"
)

// quit is what exit panics with in tests.
type quit struct{ code int }

// said runs f and returns what it printed and the status it ended the program with, −1 if it did not.
func said(t *testing.T, f func()) (stdout, stderr string, status int) {
	t.Helper()
	status = -1
	oldOut, oldErr, oldExit := os.Stdout, os.Stderr, exit
	defer func() { os.Stdout, os.Stderr, exit = oldOut, oldErr, oldExit }()
	exit = func(code int) { panic(quit{code}) }
	capture := func(stream **os.File) (text func() string) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		*stream = w
		got := make(chan string)
		go func() { data, _ := io.ReadAll(r); got <- string(data) }()
		return func() string { w.Close(); return <-got }
	}
	out, errs := capture(&os.Stdout), capture(&os.Stderr)
	func() {
		defer func() {
			if p := recover(); p != nil {
				q, ok := p.(quit)
				if !ok {
					panic(p)
				}
				status = q.code
			}
		}()
		f()
	}()
	return out(), errs(), status
}

func wants(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("want %q in:\n%s", p, s)
		}
	}
}

// broken is a report that fails with an error of two lines.
type broken struct{}

func (broken) Formats() []string { return []string{"html", "text"} }
func (broken) Render(io.Writer, string) error {
	return errors.New("report: no runs:\nrun the cell above first")
}

func TestShowPrintsText(t *testing.T) {
	out, errs, status := said(t, func() {
		Table("Payoffs", []string{"action", "pay"}, []any{"a", 11}, []any{"b", -30})
	})
	if want := "Payoffs\n\naction  pay\n------  ---\na        11\nb       -30\n"; out != want || errs != "" || status != -1 {
		t.Errorf("printed %q, %q on stderr, status %d; want %q", out, errs, status, want)
	}
}

func TestFailuresAreOneLine(t *testing.T) {
	for name, f := range map[string]func(){
		"Show": func() { Show(broken{}) },
		"Must": func() { Must(0, broken{}.Render(nil, "")) },
		"Save": func() { Save(broken{}, filepath.Join(t.TempDir(), "a.html")) },
	} {
		out, errs, status := said(t, f)
		if out != "" || errs != "report: no runs: run the cell above first\n" || status != 1 {
			t.Errorf("%s: printed %q, %q on stderr, status %d", name, out, errs, status)
		}
	}
}

func TestSave(t *testing.T) {
	table := report.Table{Header: []string{"a"}, Rows: [][]any{{1}}}
	path := filepath.Join(t.TempDir(), "new", "folder", "table.csv")
	for range 2 { // the second replaces the first
		if err := save(table, path); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "a\n1\n" {
		t.Errorf("%q, %v", data, err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("%d files beside the table, want none", len(list)-1)
	}
	if err := save(table, filepath.Join(filepath.Dir(path), "table.txt")); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"table":                            "no ending to tell the format, want one of .html, .text",
		"table.xlsx":                       `unknown format "xlsx", want html, text, md, csv, json or tex`,
		filepath.Join(path, "table.csv"):   "not a directory",
		filepath.Join(path, "../../x.png"): `unknown format "png"`,
	} {
		if err := save(table, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one about %q", path, err, want)
		}
	}
}
