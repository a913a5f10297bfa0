package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dates lists the files that may look at a date, and why a clock that is put back does them no harm. All else measures
// by differences of time.Now, which contain a clock that only runs forward.
var dates = map[string]string{
	"run/dir.go":          "writes it into log.txt, which nobody reads back",
	"run/live.go":         "shows a run of another machine as lost when it is silent for a minute; put back, a clock delays that",
	"xla/cache.go":        "compares that of the plugin's file for equality",
	"xla/cache_folder.go": "orders files by use; those dated ahead count as the oldest",
}

// datesIn returns the calls in a file that read a date, or take from a time what only runs forward.
func datesIn(file *ast.File) []ast.Node {
	var found []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := s.X.(*ast.Ident)
		ofTime := x != nil && x.Name == "time" && slices.Contains([]string{"Parse", "ParseInLocation", "Unix", "UnixMilli", "UnixMicro"}, s.Sel.Name)
		zero, _ := slices.Concat(call.Args, []ast.Expr{nil})[0].(*ast.BasicLit)
		strips := s.Sel.Name == "Round" && zero != nil && zero.Value == "0"
		if ofTime || strips || slices.Contains([]string{"ModTime", "Unix", "UnixMilli", "UnixMicro", "UnixNano", "UTC", "Local"}, s.Sel.Name) {
			found = append(found, n)
		}
		return true
	})
	return found
}

func TestNothingIsDecidedByDates(t *testing.T) {
	files, seen := token.NewFileSet(), map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, n := range datesIn(file) {
			if path = filepath.ToSlash(path); dates[path] == "" {
				t.Errorf("%s: looks at a date, which may go backwards: use differences of time.Now", files.Position(n.Pos()))
			}
			seen[path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range dates {
		if !seen[path] {
			t.Errorf("%s is listed, but looks at no date", path)
		}
	}
}

func TestDatesIn(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "", `package p
		func f() {
			a := time.Now(); _ = time.Since(a).Round(time.Second); _ = x.Round(10)
			_, _, _, _ = info.ModTime(), a.UnixNano(), a.Round(0), time.Unix(0, 0)
		}`, parser.SkipObjectResolution)
	if err != nil || len(datesIn(file)) != 4 {
		t.Errorf("%d calls look at a date, want 4 (%v)", len(datesIn(file)), err)
	}
}
