// Package xla is the one seam between Muster and the tensor library: it chooses a backend, compiles graph
// functions, feeds and fetches host arrays, and turns panics into errors.
//
// Two backends can be open in one process: XLA for training and large batches, the pure-Go one for small
// calls, tests, and machines without XLA. Memory allocation is tuned in a C constructor (malloc_linux.go),
// because XLA asks for its temporary buffer anew at each call. Compiled programs are kept on disk (cache.go).
package xla

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/gomlx/backends/default" // XLA unless built with -tags=noxla, and the pure-Go backend
)

// Go is the configuration of the pure-Go backend. Its other modes can deadlock when several products of one
// graph are ready at once.
const Go = "go:ops_sequential"

// SmallBatch is the number of rows below which a call of a small network costs less on the Go backend
// (5 against 45 µs of overhead; docs/performance.md).
const SmallBatch = 32

// Device is an open backend. Copies share it.
type Device struct {
	Log func(format string, args ...any) // told of each compilation; may be nil

	backend compute.Backend
	config  string
	plugin  string
	threads int
}

var (
	mu   sync.Mutex
	open = map[string]Device{}
)

// Config is the backend that Open("") takes: $GOMLX_BACKEND, else "xla:cpu" where a plugin is installed,
// else Go.
func Config() string {
	if c := os.Getenv("GOMLX_BACKEND"); c != "" {
		return c
	}
	if linked && findPlugin("cpu") != "" {
		return "xla:cpu"
	}
	return Go
}

// Open returns the device of a configuration ("" is Config): "xla:cpu", "xla:cuda", "xla:/path/plugin.so" or
// "go:ops_sequential". threads fixes the number that XLA computes with, on which last bits depend; 0 is
// one per processor. The calling thread may help them, so 1 can keep two processors busy. A device is opened
// once per process and number of threads.
func Open(config string, threads int) (*Device, error) {
	if config == "" {
		config = Config()
	}
	if config == "go" {
		config = Go
	}
	if threads < 0 {
		return nil, fmt.Errorf("xla: %d threads, want 0 (one per processor) or more", threads)
	}
	if threads == 0 {
		threads = runtime.NumCPU()
	}
	mu.Lock()
	defer mu.Unlock()
	key := fmt.Sprintf("%s/%d", config, threads)
	if _, ok := open[key]; !ok {
		d := Device{config: config, threads: threads}
		if err := d.open(); err != nil {
			return nil, err
		}
		open[key] = d
	}
	d := open[key] // a copy, with a Log of its own
	return &d, nil
}

func (d *Device) open() (err error) {
	kind, rest, _ := strings.Cut(d.config, ":")
	switch {
	case kind != "go" && kind != "xla":
		return fmt.Errorf("xla: unknown backend %q (GOMLX_BACKEND), want xla:cpu, xla:cuda, xla:/path/plugin.so or %s", d.config, Go)
	case kind == "go" && rest != "ops_sequential":
		return fmt.Errorf("xla: backend %q can deadlock, want %s", d.config, Go)
	case kind == "xla" && !linked:
		return fmt.Errorf("xla: backend %q is not in this program (built without XLA), want %s", d.config, Go)
	}
	if kind == "xla" {
		name, options, _ := strings.Cut(rest, ",")
		if d.plugin, err = locate(name); err != nil {
			return err
		}
		d.setUp()
		useCache(d.plugin)
		rest = d.plugin
		if options != "" {
			rest += "," + options
		}
	}
	d.backend, err = newBackend(kind + ":" + rest)
	if err != nil {
		return fmt.Errorf("xla: cannot open backend %q: %w", d.config, oneLine(err))
	}
	return nil
}

// newBackend turns the library's panics into errors.
func newBackend(config string) (b compute.Backend, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return compute.NewWithConfig(config)
}

// setUp prepares what the plugin reads when its client is made. Level 1 compiles faster, and here the
// programs run faster too, than at the plugin's own level; other flags gained nothing.
func (d *Device) setUp() {
	os.Setenv("GOMLX_NO_AUTO_INSTALL", "1") // the library must not download by itself
	if os.Getenv("XLA_FLAGS") == "" && strings.Contains(filepath.Base(d.plugin), "cpu") {
		os.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=1")
	}
	os.Setenv("PJRT_NPROC", strconv.Itoa(d.threads))
}

// locate finds the file of a plugin, named ("cpu", "cuda") or given by its path, and checks that it is one.
func locate(name string) (string, error) {
	file := name
	if name == "" {
		name = "cpu"
	}
	if !filepath.IsAbs(name) {
		if file = findPlugin(name); file == "" {
			setUp := "notebooks/open --prepare"
			if name == "cuda" {
				setUp = "MUSTER_XLA=cuda " + setUp
			}
			return "", fmt.Errorf("xla: no plugin %q: pjrt_c_api_%s_plugin.so is in none of %s; run %s, or set GOMLX_BACKEND=%s",
				name, name, strings.Join(pluginFolders(), ", "), setUp, Go)
		}
	}
	return file, checkPlugin(file)
}

// checkPlugin refuses what the dynamic loader could not load or the library would stumble over, since their
// own messages are hard to read.
func checkPlugin(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("xla: plugin: %w", err)
	}
	defer f.Close()
	if runtime.GOOS != "linux" {
		return nil
	}
	library, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("xla: plugin %s is not a whole shared library: remove it and run notebooks/open --prepare", file)
	}
	symbols, _ := library.DynamicSymbols()
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }) {
		return fmt.Errorf("xla: %s is a shared library, but no XLA plugin (it has no GetPjrtApi): remove it and run notebooks/open --prepare", file)
	}
	return nil
}

func pluginFolders() []string {
	folders := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	if home, err := os.UserHomeDir(); err == nil {
		folders = append(folders, filepath.Join(home, ".local", "lib", "go-xla"))
	}
	return append(folders, "/usr/local/lib/go-xla")
}

func findPlugin(name string) string {
	for _, folder := range pluginFolders() {
		for _, pattern := range []string{"pjrt_c_api_" + name + "_plugin.so", "pjrt_c_api_" + name + "_v*_plugin.so"} {
			if found, _ := filepath.Glob(filepath.Join(folder, pattern)); len(found) > 0 {
				return found[len(found)-1]
			}
		}
	}
	return ""
}

// Name is "xla" or "go".
func (d *Device) Name() string {
	name, _, _ := strings.Cut(d.config, ":")
	return name
}

// Threads is the number that Open was given, or the processors it counted.
func (d *Device) Threads() int { return d.threads }

// Banner is one line: backend, version, threads. It names no folder of the machine.
func (d *Device) Banner() string {
	kind := "pure Go"
	if d.Name() == "xla" {
		kind = "PJRT plugin"
		if v := version.FindStringSubmatch(d.backend.Description()); v != nil {
			kind += " " + v[1]
		}
	}
	return fmt.Sprintf("%s: %s, %d threads", d.bare(d.config), kind, d.threads)
}

// Provenance describes the device for a run's config.json, without folders of the machine: runs are published.
func (d *Device) Provenance() map[string]string {
	p := map[string]string{
		"banner": d.Banner(), "backend": d.bare(d.config), "description": d.bare(d.backend.Description()),
		"threads": strconv.Itoa(d.threads), "platform": runtime.GOOS + "/" + runtime.GOARCH,
	}
	if d.plugin != "" {
		p["plugin"], p["xla_flags"] = filepath.Base(d.plugin), d.bare(os.Getenv("XLA_FLAGS"))
	}
	return p
}

var (
	version = regexp.MustCompile(`\) (v\d+\.\d+)`) // behind the path in the library's description
	folder  = regexp.MustCompile(`/[^\s,=:()"]*/`) // from the first / of a path to its last
)

// bare leaves the last part of each path in s.
func (d *Device) bare(s string) string {
	return folder.ReplaceAllString(strings.ReplaceAll(s, filepath.Dir(d.plugin)+"/", ""), "")
}

// ForRows returns the device on which a network acts on so many rows: d itself, or the Go backend for fewer than
// below of them. SmallBatch suits networks of a few dense layers, 1 those that compute much for each row.
func (d *Device) ForRows(rows, below int) (*Device, error) {
	if rows >= below || d.Name() == "go" {
		return d, nil
	}
	small, err := Open(Go, d.threads)
	if err != nil {
		return nil, err
	}
	small.Log = d.Log
	return small, nil
}

func (d *Device) logf(format string, args ...any) {
	if d.Log != nil {
		d.Log(format, args...)
	}
}

// oneLine cuts an error's stack and further lines.
func oneLine(err error) error {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return fmt.Errorf("%s", line)
}
