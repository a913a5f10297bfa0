package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// TestPythonReader reads arrays with the Python of docs/reporting.md, where there is a Python with numpy.
func TestPythonReader(t *testing.T) {
	list, _ := blocks(t, "docs/reporting.md")
	reader := ""
	for _, b := range list {
		if b.kind == "python" && strings.Contains(b.text, "def read") {
			reader = b.text
		}
	}
	if n := strings.Count(reader, "\n"); n == 0 || n > 10 {
		t.Errorf("a reader of %d lines, want 1 to 10", n)
	}
	if out, err := exec.Command("python3", "-c", "import numpy").CombinedOutput(); err != nil {
		t.Skipf("no Python with numpy: %s", last(string(out)))
	}
	file := filepath.Join(t.TempDir(), "learner")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	err = run.WriteArrays(f, map[string]run.Array{
		"/a/w": {Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, 6.5}},
		"/n":   {Shape: []int{2}, Data: []int64{-7, 1 << 40}},
		"/u":   {Shape: []int{1}, Data: []byte{200}},
	})
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", "-c", reader+"\na = read("+pythonString(file)+")\nprint(a['/a/w'].tolist(), a['/n'].tolist(), a['/u'].tolist(), len(a))").CombinedOutput()
	if want := "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]] [-7, 1099511627776] [200] 3"; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("Python reads %s (%v), want %s", out, err, want)
	}
}

func pythonString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
