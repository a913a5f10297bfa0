// Package house tests what holds for the repository as a whole: who may import whom, and what may be committed.
package house

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const ours = "github.com/muster-marl/muster/pkg/"

// libraries are packages outside the standard library, by the prefix of their path.
const (
	gomlx  = "github.com/gomlx/"
	gonb   = "github.com/janpfeifer/gonb/"
	gonum  = "gonum.org/v1/gonum/"
	plot   = "gonum.org/v1/plot"
	flock  = "github.com/gofrs/flock"
	pack   = "github.com/klauspost/compress/"
	apng   = "github.com/kettek/apng"
	pdf    = "codeberg.org/go-pdf/fpdf" // what plot writes PDF with
	golang = "golang.org/x/"
)

// allowed lists, for each package below pkg, what it may import besides the standard library: packages of ours by
// their path below pkg, "env/*" for those below, and libraries. A package that is not listed may import nothing.
// This is rule 2 of the architecture; tests are free to import what they like.
var allowed = map[string][]string{
	"rng":             {},
	"run":             {flock, pack, golang},
	"stats":           {gonum},
	"team":            {gonum},
	"game":            {gonum},
	"xla":             {gomlx, golang},
	"xla/xlatest":     {"xla", gomlx},
	"env":             {"rng"},
	"env/envtest":     {"env", "rng"},
	"env/*":           {"env", "rng", "game", gonum},
	"policy":          {"env", "rng"},
	"replay":          {"env", "rng", pack},
	"eval":            {"env", "policy", "rng", "run"},
	"nn":              {"rng", gomlx},
	"rl":              {"rng", gomlx},
	"train":           {"env", "policy", "replay", "eval", "rng", "run"},
	"train/traintest": {"env", "rng", "run", "train"},
	"algo/*": {"rng", "run", "stats", "team", "game", "env", "env/*", "policy", "replay", "eval", "nn", "rl", "xla", "train",
		"algo/*", gomlx, gonum},
	"report":            {"env", "run", "stats", gonum, plot, pdf, apng, golang},
	"report/reporttest": {"report", "run"},
	"sweep":             {"train", "run"},
	"codesign":          {"train", gonum},
	"nb":                {"report", "run", gonb},
}

// entry finds the line of allowed for a package: its own, or that of its folder.
func entry(pkg string) (imports []string, listed bool) {
	if imports, listed = allowed[pkg]; listed {
		return imports, true
	}
	folder, _, found := strings.Cut(pkg, "/")
	if found {
		imports, listed = allowed[folder+"/*"]
	}
	return imports, listed
}

// mayImport says why pkg, a path below pkg/, may not import path; nil if it may.
func mayImport(pkg, path string) error {
	imports, listed := entry(pkg)
	if !listed {
		return fmt.Errorf("package %s is not in the architecture", pkg)
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return nil // the standard library
	}
	target, isOurs := strings.CutPrefix(path, ours)
	for _, a := range imports {
		folder, below := strings.CutSuffix(a, "*")
		switch {
		case isOurs && (target == a || below && strings.HasPrefix(target, folder) && target != "env/envtest"):
			return nil
		case !isOurs && strings.Contains(a, ".") && strings.HasPrefix(path, a):
			return nil
		}
	}
	return fmt.Errorf("%s may not import %s", pkg, strings.TrimPrefix(path, ours))
}

// reaches returns the way from pkg over packages of ours to an import that begins with library; nil if there is none.
func reaches(imports map[string][]string, pkg, library string) []string {
	seen := map[string]bool{}
	var walk func(string) []string
	walk = func(p string) []string {
		if seen[p] {
			return nil
		}
		seen[p] = true
		for _, i := range imports[p] {
			if strings.HasPrefix(i, library) {
				return []string{p, i}
			}
			if way := walk(strings.TrimPrefix(i, ours)); way != nil {
				return append([]string{p}, way...)
			}
		}
		return nil
	}
	return walk(pkg)
}

// ends returns the calls in a file that end the program: os.Exit and log.Fatal.
func ends(file *ast.File) []ast.Node {
	var found []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil &&
				(x.Name == "os" && s.Sel.Name == "Exit" || x.Name == "log" && strings.HasPrefix(s.Sel.Name, "Fatal")) {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func TestImports(t *testing.T) {
	imports := map[string][]string{} // of all packages below pkg, without their tests
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || path == "house_test.go" {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if slices.Contains([]string{"utils", "util", "common", "base", "types"}, file.Name.Name) {
			t.Errorf("%s: a package needs a name that says what it is about, not %s", path, file.Name.Name)
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		for _, i := range file.Imports {
			imported := strings.Trim(i.Path.Value, `"`)
			imports[pkg] = append(imports[pkg], imported)
			if err := mayImport(pkg, imported); err != nil {
				t.Errorf("%s: %v", files.Position(i.Pos()), err)
			}
		}
		if pkg != "nb" && path != "sweep/task.go" { // a process started for one task must not run the rest of main
			for _, n := range ends(file) {
				t.Errorf("%s: only nb may end a program", files.Position(n.Pos()))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) == 0 {
		t.Fatal("no packages found")
	}
	for _, pkg := range []string{"nb", "report"} { // a cell that draws must not link a backend
		if way := reaches(imports, pkg, gomlx); way != nil {
			t.Errorf("a backend is linked: %s", strings.Join(way, " → "))
		}
	}
}

func TestRule(t *testing.T) {
	for _, c := range []struct {
		pkg, path string
		want      bool
	}{
		{"rng", "crypto/sha256", true},
		{"rng", ours + "env", false},
		{"rng", "github.com/pkg/errors", false},
		{"env", ours + "rng", true},
		{"env", ours + "run", false},
		{"env/battle", ours + "env", true},
		{"env/battle", ours + "env/arena", false},
		{"env/envtest", ours + "game", false},
		{"replay", ours + "env", true},
		{"replay", ours + "policy", false},
		{"nn", gomlx + "gomlx/core/graph", true},
		{"policy", gomlx + "gomlx/core/tensors", false},
		{"train", ours + "algo/value", false},
		{"train", ours + "xla", false},
		{"algo/value", ours + "train", true},
		{"algo/equil", ours + "algo/value", true},
		{"algo/value", ours + "env/battle", true},
		{"algo/value", ours + "env/envtest", false},
		{"algo/value", ours + "report", false},
		{"algo/value", ours + "nb", false},
		{"report", ours + "run", true},
		{"report", ours + "train", false},
		{"report", plot + "/plotter", true},
		{"nb", ours + "train", false},
		{"nb", gonb + "gonbui", true},
		{"report", gonb + "gonbui", false},
		{"sweep", ours + "train", true},
		{"helpers", "fmt", false},
	} {
		if err := mayImport(c.pkg, c.path); (err == nil) != c.want {
			t.Errorf("%s imports %s: %v, want allowed %v", c.pkg, c.path, err, c.want)
		}
	}
	way := reaches(map[string][]string{"nb": {"fmt", ours + "run"}, "run": {ours + "nn"}, "nn": {gomlx + "x", ours + "run"}}, "nb", gomlx)
	if want := []string{"nb", "run", "nn", gomlx + "x"}; !slices.Equal(way, want) {
		t.Errorf("way to a backend: %v, want %v", way, want)
	}
	if way := reaches(map[string][]string{"nb": {ours + "run"}, "run": {ours + "nb"}}, "nb", gomlx); way != nil {
		t.Errorf("way to a backend: %v, want none", way)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p; func f() { os.Exit(1); log.Fatalf(``); os.Getenv(``) }", parser.SkipObjectResolution)
	if err != nil || len(ends(file)) != 2 {
		t.Errorf("%d calls end the program, want 2 (%v)", len(ends(file)), err)
	}
}

var topLevel = []string{"notebooks", "pkg", "kernels", "docs", "docker", "go.mod", "go.sum", "README.md", "LICENSE"}

// A path of somebody's machine; the folder of a container's user is no such thing. In pieces, for this file is checked, too.
var machine = regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(wor` + `k|roo` + `t|home|Users)/`)

// fault says what is wrong with a committed file, "" if nothing is.
func fault(path string, data []byte) string {
	top, _, _ := strings.Cut(path, "/")
	size := 1 << 20
	notebook := strings.HasSuffix(path, ".ipynb")
	if notebook {
		size = 300_000
	}
	source := slices.Contains([]string{"", ".go", ".py", ".sh", ".md"}, filepath.Ext(path)) && top != "LICENSE"
	switch {
	case !slices.Contains(topLevel, top) && !strings.HasPrefix(top, "."):
		return fmt.Sprintf("top level holds %s only", strings.Join(topLevel, ", "))
	case len(data) > size:
		return fmt.Sprintf("%d bytes, at most %d", len(data), size)
	case source && strings.Count(string(data), "\n") > 500:
		return fmt.Sprintf("%d lines, at most 500", strings.Count(string(data), "\n"))
	case top != "docker" && machine.Match(data):
		return fmt.Sprintf("holds a path of somebody's machine: %s", machine.Find(data))
	case notebook:
		var nb struct {
			Metadata struct{ Kernelspec struct{ Name string } }
		}
		if err := json.Unmarshal(data, &nb); err != nil {
			return err.Error()
		}
		if kernel := nb.Metadata.Kernelspec.Name; kernel != "gonb" {
			return fmt.Sprintf("kernel %q, want gonb", kernel)
		}
	}
	return ""
}

func TestCommitted(t *testing.T) {
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Skipf("not a git repository, so nothing says what is committed: %v", err)
	}
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			continue // a link, or removed in the working tree
		}
		if wrong := fault(path, data); wrong != "" {
			t.Errorf("%s: %s", path, wrong)
		}
	}
}

func TestFault(t *testing.T) {
	notebook := `{"metadata": {"kernelspec": {"name": "gonb"}}}`
	good := map[string]string{
		"pkg/a/a.go": "package a\n", ".ci/run": "", "notebooks/a.ipynb": notebook, "docker/Dockerfile": "WORKDIR /" + "home/x",
		"notebooks/requirements.txt": strings.Repeat("\n", 2000), "docs/a.md": "https://example.org/" + "work/x and net" + "work/x",
	}
	bad := map[string]string{
		"src/a.go": "", "setup.py": "", "pkg/a/a.go": strings.Repeat("\n", 501), "docs/a.md": "see /" + "home/me/x", "kernels/x": "a=/" + "root/x",
		"notebooks/a.ipynb": strings.Replace(notebook, "gonb", "python3", 1), "notebooks/b.ipynb": notebook + strings.Repeat(" ", 300_000),
		"docs/a.png": strings.Repeat(" ", 1<<20+1), "notebooks/c.ipynb": "{",
	}
	for _, path := range slices.Sorted(maps.Keys(good)) {
		if wrong := fault(path, []byte(good[path])); wrong != "" {
			t.Errorf("%s: %s, want nothing", path, wrong)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(bad)) {
		if fault(path, []byte(bad[path])) == "" {
			t.Errorf("%s: found nothing wrong", path)
		}
	}
}
