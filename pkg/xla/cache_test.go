//go:build linux && cgo && !noxla && (amd64 || arm64)

package xla

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

func init() {
	tasks["cached"] = func(threads string) { // trains for some steps on a device for each number of threads
		for field := range strings.FieldsSeq(threads) {
			n, _ := strconv.Atoi(field)
			d, err := Open("xla:cpu", n)
			if err != nil {
				fmt.Println(err)
				return
			}
			d.Log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
			fmt.Println(bitsOn(d))
		}
	}
	tasks["without"] = func(threads string) { withoutSerialising = true; tasks["cached"](threads) }
	tasks["many"] = func(programs string) { // compiled at once; prints those that were loaded
		d, err := Open("xla:cpu", 2)
		if err != nil {
			fmt.Println(err)
			return
		}
		n, _ := strconv.Atoi(programs)
		loaded := make([]bool, n)
		var all sync.WaitGroup
		for k := range loaded {
			all.Go(func() {
				p, err := Compile(d, "many", constants(nil), func(_ *model.Scope, in []*graph.Node) []*graph.Node {
					return []*graph.Node{graph.AddScalar(in[0], float64(k))}
				}, F32(4))
				loaded[k] = err == nil && p.Loaded
			})
		}
		all.Wait()
		fmt.Println(loaded)
	}
}

// trained runs a process that trains for some steps with the cache in a folder. It returns what was done
// ("compiled" or "loaded" for each device), the seconds, the bits that came out, and notes in the log.
func trained(t *testing.T, task, folder string, settings ...string) (done []string, seconds float64, bits, notes string) {
	t.Helper()
	out := again(t, task, append(settings, "MUSTER_CACHE="+folder)...)
	line := regexp.MustCompile(`^(compiled|loaded) train for xla:cpu(?: from the cache)? in (\S+) s \(\d+ nodes\)$`)
	for text := range strings.SplitSeq(out, "\n") {
		if m := line.FindStringSubmatch(text); m != nil {
			s, _ := strconv.ParseFloat(m[2], 64)
			done, seconds = append(done, m[1]), seconds+s
		} else if strings.HasSuffix(text, " <nil>") {
			bits += text
		} else {
			notes += text + "\n"
		}
	}
	if len(done) == 0 || bits == "" {
		t.Fatalf("%s printed %q", task, out)
	}
	return done, seconds, bits, notes
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestCacheWarm: a second process loads what the first compiled, in less time, and computes the same bits.
func TestCacheWarm(t *testing.T) {
	needs(t, "xla:cpu")
	folder := filepath.Join(t.TempDir(), "a", "b")
	var times []float64
	var first string
	for k, want := range []string{"compiled", "compiled", "loaded", "loaded"} {
		path := folder
		if k == 0 {
			path = "off"
		}
		done, seconds, bits, notes := trained(t, "cached 2", path)
		if len(done) != 1 || done[0] != want || notes != "" {
			t.Errorf("process %d: %v, notes %q, want %s", k, done, notes, want)
		}
		if k == 0 {
			first = bits
			if len(files(t, folder)) > 0 {
				t.Error("files with the cache off")
			}
		}
		if bits != first {
			t.Errorf("process %d: bits %s, want %s", k, bits, first)
		}
		times = append(times, seconds)
	}
	if min(times[2], times[3]) >= max(times[0], times[1]) {
		t.Errorf("off, cold, warm, warm took %v s: loading is not faster", times)
	}
	list := files(t, folder)
	if len(list) != 1 {
		t.Fatalf("files %q, want one", list)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700 | os.ModeDir, list[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, want)
		}
	}
}

// TestCacheKeys: what changes the code that the plugin makes gets another file. Two devices in one process differ
// in their threads.
func TestCacheKeys(t *testing.T) {
	needs(t, "xla:cpu")
	folder := filepath.Join(t.TempDir(), "a")
	for _, c := range []struct {
		task, flags, want string
		files             int
	}{
		{"cached 2", "", "[compiled]", 1},
		{"cached 1 2", "", "[compiled loaded]", 2},
		{"cached 2 1", "", "[loaded loaded]", 2},
		{"cached 2", "XLA_FLAGS=--xla_backend_optimization_level=0", "[compiled]", 3},
		{"cached 2", "XLA_FLAGS=--xla_backend_optimization_level=1", "[loaded]", 3},
	} {
		done, _, _, notes := trained(t, c.task, folder, c.flags)
		if got := len(files(t, folder)); fmt.Sprint(done) != c.want || got != c.files || notes != "" {
			t.Errorf("%s %s: %v, %d files, notes %q, want %s and %d", c.task, c.flags, done, got, notes, c.want, c.files)
		}
	}
}

// TestCacheSpoiledFiles puts wrong files under the name of a program: it is compiled anew, with the same bits, and
// the file is replaced.
func TestCacheSpoiledFiles(t *testing.T) {
	needs(t, "xla:cpu")
	folder, other := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	_, _, want, _ := trained(t, "cached 2", folder)
	trained(t, "cached 1", other)
	file := files(t, folder)[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(files(t, other)[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)/2] ^= 1
	key := cacheKey(whole[len(cacheFormat):])
	for _, c := range []struct {
		name    string
		content []byte
		note    string
	}{
		{"truncated", whole[:len(whole)-100], ""},
		{"one bit flipped", flipped, ""},
		{"of another key", foreign, ""},
		{"no program, but whole", pack(key, []byte("no program")), "a compiled program could not be loaded: "},
	} {
		if err := os.WriteFile(file, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		done, _, bits, notes := trained(t, "cached 2", folder)
		if done[0] != "compiled" || bits != want || !strings.HasPrefix(notes, c.note) || (c.note == "") != (notes == "") {
			t.Errorf("%s: %v, bits %s, notes %q, want compiled, %s, %q", c.name, done, bits, notes, want, c.note)
		}
		now, err := os.ReadFile(file)
		if _, ok := unpack(key, now); err != nil || !ok || len(files(t, folder)) != 1 {
			t.Errorf("%s: afterwards %v, %q", c.name, err, files(t, folder))
		}
	}
	if done, _, bits, _ := trained(t, "cached 2", folder); done[0] != "loaded" || bits != want {
		t.Errorf("in the end %v, bits %s, want %s", done, bits, want)
	}
}

// TestCacheUnusable: without a cache programs run as ever, and one line says why.
func TestCacheUnusable(t *testing.T) {
	needs(t, "xla:cpu")
	_, _, want, _ := trained(t, "cached 2", "off")
	public, private, file := t.TempDir(), filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "file")
	if err := os.Chmod(public, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, task, folder, setting, note string }{
		{"public folder", "cached 2", public, "", "can be written by others"},
		{"no folder", "cached 2", file, "", "not a directory"},
		{"read-only folder", "cached 2", "/proc/self/task", "", "compiled programs are not kept: "},
		{"no serialising", "without 2", private, "", "it cannot serialise programs"},
		{"dumps", "cached 2", private, "XLA_FLAGS=--xla_backend_optimization_level=1 --xla_dump_to=" + t.TempDir(), "asks for dumps"},
		{"no home", "cached 2", "", "HOME=", "neither $XDG_CACHE_HOME nor $HOME"},
	} {
		done, _, bits, notes := trained(t, c.task, c.folder, c.setting, "XDG_CACHE_HOME=")
		if done[0] != "compiled" || bits != want || !strings.Contains(notes, c.note) || strings.Count(notes, "\n") != 1 {
			t.Errorf("%s: %v, bits %s, notes %q, want compiled, %s, one line with %q", c.name, done, bits, notes, want, c.note)
		}
	}
	if list := append(files(t, public), files(t, private)...); len(list) > 0 {
		t.Errorf("files %q", list)
	}
}

// TestCacheTogether: processes that compile one program at the same time leave one whole file.
func TestCacheTogether(t *testing.T) {
	needs(t, "xla:cpu")
	folder := filepath.Join(t.TempDir(), "a")
	var all sync.WaitGroup
	bits := make([]string, 3)
	for k := range bits {
		all.Go(func() { bits[k] = again(t, "bits xla:cpu", "MUSTER_CACHE="+folder) })
	}
	all.Wait()
	for _, b := range bits {
		if b != bits[0] || !strings.HasSuffix(b, "<nil>") {
			t.Errorf("bits %q", bits)
		}
	}
	done, _, last, _ := trained(t, "cached 2", folder)
	if list := files(t, folder); len(list) != 1 || done[0] != "loaded" || last != bits[0] {
		t.Errorf("afterwards %v, %s, files %q", done, last, list)
	}
}

// TestCacheManyPrograms: goroutines that compile at once each learn whether their own program was loaded.
func TestCacheManyPrograms(t *testing.T) {
	needs(t, "xla:cpu")
	folder := filepath.Join(t.TempDir(), "a")
	for _, c := range [][2]string{{"many 3", "[false false false]"}, {"many 6", "[true true true false false false]"}} {
		if got := again(t, c[0], "MUSTER_CACHE="+folder); got != c[1] {
			t.Errorf("%s: loaded %s, want %s", c[0], got, c[1])
		}
	}
}

func newFolder(t *testing.T) (*cacheFolder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a")
	f, err := openFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.root.Close() })
	return f, path
}

// TestCacheFolderFiles: a file is returned as it was put, or removed.
func TestCacheFolderFiles(t *testing.T) {
	f, path := newFolder(t)
	key, other, program := cacheKey{1}, cacheKey{2}, []byte("native code")
	whole := pack(key, program)
	for i := range whole { // each byte counts
		wrong := append([]byte{}, whole...)
		wrong[i] ^= 0x10
		if _, ok := unpack(key, wrong); ok {
			t.Errorf("byte %d of %d can change", i, len(whole))
		}
	}
	for i := range whole {
		if _, ok := unpack(key, whole[:i]); ok {
			t.Errorf("%d of %d bytes are enough", i, len(whole))
		}
	}
	file := filepath.Join(path, key.file())
	write := func(content []byte, mode os.FileMode) func() error {
		return func() error {
			if err := os.WriteFile(file, content, 0o600); err != nil {
				return err
			}
			return os.Chmod(file, mode)
		}
	}
	for _, c := range []struct {
		name string
		make func() error
		ok   bool
	}{
		{"as put", func() error { return f.put(key, program) }, true},
		{"none", func() error { return os.Remove(file) }, false},
		{"longer", write(append(append([]byte{}, whole...), 0), 0o600), false},
		{"empty", write(nil, 0o600), false},
		{"of another key", write(pack(other, program), 0o600), false},
		{"writable by others", write(whole, 0o666), false},
		{"whole", write(whole, 0o600), true},
		{"link", func() error { return errors.Join(os.Rename(file, file+"2"), os.Symlink(key.file()+"2", file)) }, false},
		{"folder", func() error { return os.Mkdir(file, 0o700) }, false},
	} {
		if err := c.make(); err != nil {
			t.Fatal(err)
		}
		got, ok := f.get(key)
		if ok != c.ok || ok && string(got) != string(program) {
			t.Errorf("%s: %q, %v, want %v", c.name, got, ok, c.ok)
		}
		if _, err := os.Lstat(file); (err == nil) != c.ok {
			t.Errorf("%s: afterwards %v", c.name, err)
		}
	}
	if _, err := openFolder("/proc/self/task"); err != nil {
		t.Errorf("a folder that cannot be written can still be read: %v", err)
	}
}

// TestCacheFolderBound: the programs that were not used for longest make room, and nothing else goes.
func TestCacheFolderBound(t *testing.T) {
	f, path := newFolder(t)
	size := int64(len(pack(cacheKey{}, make([]byte, 1000))))
	f.limit = 5 * size
	mine, fresh, stale := filepath.Join(path, "README"), filepath.Join(path, "1-a"+cacheTemp), filepath.Join(path, "2-b"+cacheTemp)
	for _, name := range []string{mine, fresh, stale} {
		if err := os.WriteFile(name, make([]byte, 10000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(stale, long, long); err != nil {
		t.Fatal(err)
	}
	for k := range byte(5) {
		if err := f.put(cacheKey{k}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		used := time.Now().Add(time.Duration(k)*time.Second - time.Hour)
		if err := os.Chtimes(filepath.Join(path, cacheKey{k}.file()), used, used); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := f.get(cacheKey{0}); !ok { // now the one used last
		t.Fatal("the first program is gone")
	}
	for _, k := range []byte{5, 6} {
		if err := f.put(cacheKey{k}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.put(cacheKey{9}, make([]byte, f.limit)); err != nil { // too large to be kept
		t.Fatal(err)
	}
	var kept []int
	for k := range byte(10) {
		if _, err := os.Stat(filepath.Join(path, cacheKey{k}.file())); err == nil {
			kept = append(kept, int(k))
		}
	}
	if want := []int{0, 3, 4, 5, 6}; !reflect.DeepEqual(kept, want) {
		t.Errorf("programs %v, want %v", kept, want)
	}
	for name, want := range map[string]bool{mine: true, fresh: true, stale: false} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
}

// TestCacheFolderClockPutBack: programs that are dated in the future were used before those dated now, and what a
// writer left behind then is removed, too. A clock that is a little behind that of a file server changes nothing.
func TestCacheFolderClockPutBack(t *testing.T) {
	f, path := newFolder(t)
	size := int64(len(pack(cacheKey{}, make([]byte, 1000))))
	f.limit = 5 * size
	date := func(name string, ahead time.Duration) {
		t.Helper()
		at := time.Now().Add(ahead)
		if err := os.Chtimes(filepath.Join(path, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, ahead := range map[string]time.Duration{"1-fresh" + cacheTemp: abandoned / 2, "2-stale" + cacheTemp: 2 * abandoned} {
		if err := os.WriteFile(filepath.Join(path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		date(name, ahead)
	}
	const year = 365 * 24 * time.Hour
	for k, ahead := range []time.Duration{2 * year, year, -time.Hour, time.Second, -2 * time.Hour} {
		if err := f.put(cacheKey{byte(k)}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		date(cacheKey{byte(k)}.file(), ahead)
	}
	for k, want := range []string{"[0 2 3 4 5]", "[2 3 4 5 6]", "[2 3 5 6 7]"} { // what is left after each new program
		if err := f.put(cacheKey{byte(5 + k)}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		var kept []int
		for k := range byte(10) {
			if _, err := os.Stat(filepath.Join(path, cacheKey{k}.file())); err == nil {
				kept = append(kept, int(k))
			}
		}
		if fmt.Sprint(kept) != want {
			t.Errorf("programs %v, want %s", kept, want)
		}
	}
	if list := files(t, path); len(list) != 6 || !strings.HasSuffix(list[5], "1-fresh"+cacheTemp) {
		t.Errorf("files %q, want five programs and the fresh temporary file", list)
	}
	date(cacheKey{7}.file(), year)
	if _, ok := f.get(cacheKey{7}); !ok { // which gives it the present date
		t.Fatal("the last program is gone")
	}
	if info, err := os.Stat(filepath.Join(path, cacheKey{7}.file())); err != nil || time.Until(info.ModTime()) > time.Minute {
		t.Errorf("used now, but dated %v (%v)", info.ModTime(), err)
	}
}

// TestCacheFileIdentity: a plugin that is replaced is another one, even with the same size and time.
func TestCacheFileIdentity(t *testing.T) {
	path, content := filepath.Join(t.TempDir(), "plugin.so"), make([]byte, 3<<20)
	then, seen := time.Unix(1e9, 0), map[string]string{}
	for _, c := range []struct {
		name   string
		change func() error
		same   bool
	}{
		{"first", func() error { return os.WriteFile(path, content, 0o600) }, false},
		{"the same", func() error { return nil }, true},
		{"other start", func() error { content[0] = 1; return os.WriteFile(path, content, 0o600) }, false},
		{"other end", func() error { content[len(content)-1] = 1; return os.WriteFile(path, content, 0o600) }, false},
		{"longer", func() error { return os.WriteFile(path, append(content, 1), 0o600) }, false},
		{"other file", func() error {
			return errors.Join(os.WriteFile(path+"2", append(content, 1), 0o600), os.Rename(path+"2", path))
		}, false},
		{"other time", func() error { then = then.Add(time.Microsecond); return nil }, false},
	} {
		if err := errors.Join(c.change(), os.Chtimes(path, then, then)); err != nil {
			t.Fatal(err)
		}
		id, err := fileIdentity(path)
		if old, ok := seen[string(id)]; err != nil || ok != c.same {
			t.Errorf("%s: %q, %v, seen as %q", c.name, id, err, old)
		}
		seen[string(id)] = c.name
	}
	if p, err := processor(); err != nil || len(p) < 20 {
		t.Errorf("processor %q, %v", p, err)
	}
}
