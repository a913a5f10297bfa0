//go:build linux && cgo && !noxla && (amd64 || arm64)

package xla

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "pjrt.h"
*/
import "C"

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"
)

// cache keeps compiled programs on disk. The plugin's table of functions is registered with the library under
// the plugin's own path, but with a function in place of the one that compiles: it looks for the program in the
// folder, and writes it there after compiling. Whatever fails on the way, the plugin compiles as ever.
var cache struct {
	sync.Mutex
	plugin  string // that was tried; one per process, since a C function knows no more
	folder  *cacheFolder
	base    []byte                    // the part of a key that this process does not change
	clients map[unsafe.Pointer]string // settings of the clients whose programs are kept
	notes   []string                  // for the next log
	noted   map[string]bool
}

// withoutSerialising is set by a test: as if the plugin could not serialise.
var withoutSerialising = false

// useCache prepares the cache for a plugin before its first client is made. Keys tell processors apart, not
// graphics cards, so only plugins for the processor have one.
func useCache(plugin string) {
	cache.Lock()
	defer cache.Unlock()
	if cache.plugin == plugin || !strings.Contains(filepath.Base(plugin), "cpu") {
		return
	}
	second := cache.plugin != ""
	if !second {
		cache.plugin = plugin // off or failed: the library will have it, and it stays as it is
	}
	path, err := cachePath()
	switch {
	case path == "":
		return
	case second:
		note("no cache of compiled programs for a second plugin, %s", filepath.Base(plugin))
		return
	}
	if err == nil {
		err = register(plugin, path)
	}
	if err != nil {
		cache.folder = nil
		note("no cache of compiled programs: %v", err)
	}
}

func register(plugin, path string) (err error) {
	flags := strings.TrimSpace(os.Getenv("XLA_FLAGS"))
	if flags != "" && !strings.HasPrefix(flags, "-") {
		return errors.New("XLA_FLAGS names a file")
	}
	if strings.Contains(flags, "xla_dump") {
		return errors.New("XLA_FLAGS asks for dumps, which compiling writes")
	}
	if cache.folder, err = openFolder(path); err != nil {
		return err
	}
	identity, err := fileIdentity(plugin)
	if err != nil {
		return err
	}
	processor, err := processor()
	if err != nil {
		return err
	}
	name, without := C.CString(plugin), C.int(0)
	defer C.free(unsafe.Pointer(name))
	if withoutSerialising {
		without = 1
	}
	var why *C.char
	table := C.muster_pjrt_wrap(name, without, &why)
	if table == nil {
		return fmt.Errorf("%s: %s", filepath.Base(plugin), C.GoString(why))
	}
	version := fmt.Sprint(table.major, ".", table.minor)
	cache.base = digest([]byte(cacheFormat), identity, processor, []byte(runtime.GOARCH), []byte(version), []byte(flags))
	cache.clients = map[unsafe.Pointer]string{}
	if err := pjrt.RegisterPreloadedPlugin(plugin, uintptr(unsafe.Pointer(table))); err != nil {
		return oneLine(err)
	}
	return nil
}

// note keeps a line for the log, once per process. The cache is locked.
func note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !cache.noted[line] {
		if cache.noted == nil {
			cache.noted = map[string]bool{}
		}
		cache.noted[line] = true
		cache.notes = append(cache.notes, line)
	}
}

// cacheNotes returns what there is to log.
func cacheNotes() (lines []string) {
	cache.Lock()
	defer cache.Unlock()
	lines, cache.notes = cache.notes, nil
	return lines
}

// fromCache runs a function that compiles, and reports whether all it needed was loaded instead. It counts on
// one thread: others may compile meanwhile.
func fromCache(run func()) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var loaded, compiled, l, c C.int
	C.muster_pjrt_count(&loaded, &compiled)
	run()
	C.muster_pjrt_count(&l, &c)
	return l > loaded && c == compiled
}

// musterPJRTCreate makes a client and remembers what its programs depend on. One with options is not known
// well enough.
//
//export musterPJRTCreate
func musterPJRTCreate(args *C.struct_muster_create) unsafe.Pointer {
	failure := C.muster_pjrt_create(args)
	if failure == nil && args.size >= C.sizeof_struct_muster_create {
		cache.Lock()
		defer cache.Unlock()
		delete(cache.clients, args.client) // of an earlier one at this address
		if args.num_options == 0 {
			cache.clients[args.client] = os.Getenv("PJRT_NPROC") + " " + os.Getenv("NPROC")
		}
	}
	return failure
}

// musterPJRTCompile loads a program from the cache, or compiles and keeps it.
//
//export musterPJRTCompile
func musterPJRTCompile(args *C.struct_muster_compile) unsafe.Pointer {
	key, f := keyOf(args)
	if f == nil {
		return C.muster_pjrt_compile(args)
	}
	why, text := make([]byte, 200), (*C.char)(nil)
	text = (*C.char)(unsafe.Pointer(&why[0]))
	if program, ok := f.get(key); ok {
		if C.muster_pjrt_load(args, unsafe.Pointer(unsafe.SliceData(program)), C.size_t(len(program)), text, C.size_t(len(why))) == 1 {
			return nil
		}
		f.remove(key)
		lockedNote("a compiled program could not be loaded: %s", C.GoString(text))
	}
	failure := C.muster_pjrt_compile(args)
	if failure != nil || args.executable == nil {
		return failure
	}
	var size C.size_t
	program := C.muster_pjrt_serialize(args.executable, &size, text, C.size_t(len(why)))
	if program == nil {
		lockedNote("compiled programs are not kept: %s", C.GoString(text))
		return nil
	}
	defer C.free(program)
	if err := f.put(key, unsafe.Slice((*byte)(program), size)); err != nil {
		lockedNote("compiled programs are not kept: %v", reason(err))
	}
	return nil
}

// reason is an error without the file it is about, which has another name each time.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

func lockedNote(format string, args ...any) {
	cache.Lock()
	defer cache.Unlock()
	note(format, args...)
}

// keyOf names the program that args ask for; there is no folder if it is not to be kept.
func keyOf(args *C.struct_muster_compile) (key cacheKey, f *cacheFolder) {
	if args.size < C.sizeof_struct_muster_compile || args.program == nil || args.program.size < C.sizeof_struct_muster_program {
		return key, nil
	}
	cache.Lock()
	settings, known := cache.clients[args.client]
	base, f := cache.base, cache.folder
	cache.Unlock()
	if !known {
		return key, nil
	}
	p := args.program
	return cacheKey(digest(base, []byte(settings), view(p.format, p.format_size), view(args.options, args.options_size),
		view(p.code, p.code_size))), f
}

func view(p *C.char, size C.size_t) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), size) }

// digest hashes fields, each with its length.
func digest(fields ...[]byte) []byte {
	h := sha256.New()
	for _, f := range fields {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write(f)
	}
	return h.Sum(nil)
}

// fileIdentity tells one plugin file from another. To hash its 200 MB would cost each process as much as the cache
// saves for a small program: size, time and inode say that a file was replaced, and the first and last megabyte
// (build identity, symbols) tell builds apart that share those.
func fileIdentity(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	const end = 1 << 20
	h := sha256.New()
	for _, from := range []int64{0, max(0, info.Size()-end)} {
		if _, err := io.Copy(h, io.NewSectionReader(file, from, end)); err != nil {
			return nil, err
		}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s has no inode", filepath.Base(path))
	}
	return fmt.Appendf(nil, "%s %d %d %d %x", path, info.Size(), info.ModTime().UnixNano(), stat.Ino, h.Sum(nil)), nil
}

// processor describes the machine's processors as far as native code depends on them.
func processor() ([]byte, error) {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []string
	s := bufio.NewScanner(file)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		name, _, _ := strings.Cut(s.Text(), ":")
		switch strings.TrimSpace(name) {
		case "vendor_id", "cpu family", "model", "model name", "stepping", "flags", // x86
			"Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part": // ARM
			if !slices.Contains(lines, s.Text()) {
				lines = append(lines, s.Text())
			}
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("/proc/cpuinfo does not name the processor")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n")), s.Err()
}
