package xla

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMain lets a test run this program again for what needs a process of its own: the environment at the
// start, a plugin that could end the process, bits of another process. No test but the cache's own sees a cache.
func TestMain(m *testing.M) {
	switch task, arg, _ := strings.Cut(os.Getenv("XLA_TEST_TASK"), " "); task {
	case "":
		os.Setenv("MUSTER_CACHE", "off")
		os.Exit(m.Run())
	case "config":
		fmt.Println(Config())
	case "open":
		d, err := Open(arg, 2)
		fmt.Println(err)
		if err == nil {
			fmt.Println(d.Banner(), d.Provenance())
		}
	case "bits":
		fmt.Println(bits(arg))
	default:
		tasks[task](arg)
	}
}

var tasks = map[string]func(arg string){} // of tests that are not built everywhere

// again runs this program for one task and returns what it prints; environment settings come as NAME=value.
func again(t *testing.T, task string, settings ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(settings, "XLA_TEST_TASK="+task)...)
	cmd.Stderr = io.Discard
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: the process ended with %v after %q", task, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// each runs a test on the pure-Go backend and, where a plugin is found, on XLA.
func each(t *testing.T, f func(t *testing.T, d *Device)) {
	for _, config := range []string{Go, "xla:cpu"} {
		t.Run(config, func(t *testing.T) {
			needs(t, config)
			d, err := Open(config, 2)
			if err != nil {
				t.Fatal(err)
			}
			f(t, d)
		})
	}
}

func needs(t *testing.T, config string) {
	t.Helper()
	if config != Go && (!linked || findPlugin("cpu") == "") {
		t.Skip("no XLA plugin found: PJRT_PLUGIN_LIBRARY_PATH names its folder")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		config  string
		threads int
		want    string
	}{
		{"cuda", 0, `xla: unknown backend "cuda" (GOMLX_BACKEND), want xla:cpu, xla:cuda, xla:/path/plugin.so or go:ops_sequential`},
		{"go:ops_parallel", 0, `xla: backend "go:ops_parallel" can deadlock, want go:ops_sequential`},
		{"go:", 0, `xla: backend "go:" can deadlock, want go:ops_sequential`},
		{Go, -1, "xla: -1 threads, want 0 (one per processor) or more"},
	} {
		if _, err := Open(c.config, c.threads); err == nil || err.Error() != c.want {
			t.Errorf("Open(%q, %d): %v, want %s", c.config, c.threads, err, c.want)
		}
	}
}

func TestOpenWithoutXLA(t *testing.T) {
	if linked {
		t.Skip("XLA is in this program")
	}
	want := `xla: backend "xla:cpu" is not in this program (built without XLA), want go:ops_sequential`
	if _, err := Open("xla:cpu", 0); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestOpenBadPlugin opens files that are no plugin in processes of their own: a fault must be one line there,
// not the end of the process.
func TestOpenBadPlugin(t *testing.T) {
	if !linked || runtime.GOOS != "linux" {
		t.Skip("files are checked on Linux with XLA only")
	}
	libc, _ := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	if len(libc) == 0 {
		t.Skip("no shared library at hand to take for a plugin")
	}
	whole, err := os.ReadFile(libc[0])
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if got := again(t, "open xla:cpu", "PJRT_PLUGIN_LIBRARY_PATH="+empty, "HOME="+empty); !strings.HasPrefix(got, `xla: no plugin "cpu": pjrt_c_api_cpu_plugin.so is in none of `+empty) {
		t.Errorf("empty folder: %q", got)
	}
	if got, want := again(t, "open xla:cuda", "PJRT_PLUGIN_LIBRARY_PATH="+empty, "HOME="+empty), "run MUSTER_XLA=cuda notebooks/open --prepare"; !strings.Contains(got, want) {
		t.Errorf("empty folder: %q, want %q in it", got, want)
	}
	if got := again(t, "config", "PJRT_PLUGIN_LIBRARY_PATH="+empty, "HOME="+empty, "GOMLX_BACKEND="); got != Go {
		t.Errorf("without a plugin Config is %q, want %s", got, Go)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "is not a whole shared library"},
		{"text", []byte("404: not found\n"), "is not a whole shared library"},
		{"torn", whole[:len(whole)/2], "is not a whole shared library"}, // a download that was cut
		{"libc", whole, "is a shared library, but no XLA plugin"},
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, "pjrt_c_api_cpu_plugin.so")
		if err := os.WriteFile(file, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, config := range []string{"xla:cpu", "xla:" + file} {
			got := again(t, "open "+config, "PJRT_PLUGIN_LIBRARY_PATH="+folder)
			if !strings.Contains(got, file) || !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("%s by %s: %q, want one line with %q", c.name, config, got, c.want)
			}
		}
	}
}

func TestBanner(t *testing.T) {
	if got, want := again(t, "open "+Go), "<nil>\n"+Go+": pure Go, 2 threads "; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	needs(t, "xla:cpu")
	plugin, err := filepath.Abs(findPlugin("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"xla:cpu", "xla:cpu: PJRT plugin v0."},
		{"xla:" + plugin, "xla:" + filepath.Base(plugin) + ": PJRT plugin v0."},
	} {
		got := again(t, "open "+c[0], "XLA_FLAGS=--xla_dump_to=/a/b/dump --xla_backend_optimization_level=1")
		if !strings.HasPrefix(got, "<nil>\n"+c[1]) || !strings.Contains(got, ", 2 threads map[") {
			t.Errorf("%s: %q, want %q and threads", c[0], got, c[1])
		}
		if strings.Contains(got, filepath.Dir(plugin)) || strings.Contains(got, "/a/b") {
			t.Errorf("%s: a folder of this machine in %q", c[0], got)
		}
	}
}

// TestTwoDevices: XLA with two numbers of threads and the Go backend in one process compute the same.
func TestTwoDevices(t *testing.T) {
	needs(t, "xla:cpu")
	for _, c := range []struct {
		config  string
		threads int
	}{{"xla:cpu", 1}, {"xla:cpu", 2}, {Go, 1}, {"xla:cpu", 1}} {
		d, err := Open(c.config, c.threads)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Compile(d, "scaled", constants(nil), scaled(3), F32(4, 2))
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Call([]float32{1, 2, 3, 4, 5, 6, 7, 8})
		if got := fmt.Sprint(out...); err != nil || got != "[9 18 21 42 33 66 45 90]" || d.Threads() != c.threads {
			t.Errorf("%s: %s, %v, want 3·x·2⁰·(1, 2) summed up over pairs", d.Banner(), got, err)
		}
	}
}

func TestForRows(t *testing.T) {
	each(t, func(t *testing.T, d *Device) {
		logged := 0
		d.Log = func(string, ...any) { logged++ }
		for rows, want := range map[int]string{1: "go", SmallBatch - 1: "go", SmallBatch: d.Name(), 1024: d.Name()} {
			got, err := d.ForRows(rows, SmallBatch)
			if err != nil || got.Name() != want || got.Threads() != d.Threads() {
				t.Fatalf("%d rows: %v, %v, want %s", rows, got, err, want)
			}
			got.logf("")
		}
		if logged != 4 {
			t.Errorf("%d of 4 devices tell Log", logged)
		}
	})
}

func TestMallocTuned(t *testing.T) {
	if runtime.GOOS != "linux" || !linked {
		t.Skip("malloc is tuned with glibc, cgo and XLA only")
	}
	if !MallocTuned() {
		t.Error("malloc is not tuned: was this program linked with -linkmode=internal?")
	}
}
