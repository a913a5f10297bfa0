//go:build linux && cgo && !noxla && (amd64 || arm64)

package xla

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	cacheFormat = "muster-xla-cache 1\n"
	cacheLimit  = 512 << 20 // bytes
	cacheSuffix = ".xla"    // of programs
	cacheTemp   = ".tmp"    // of programs that are being written
	abandoned   = time.Hour // after which a temporary file is nobody's

	headSize = len(cacheFormat) + 2*sha256.Size + 8 // format, key, checksum, length
)

type cacheKey [sha256.Size]byte

func (k cacheKey) file() string { return fmt.Sprintf("%x%s", k[:], cacheSuffix) }

// cacheFolder holds compiled programs, one file each. Several processes may use it: files appear by renaming, and
// a reader believes nothing but the checksum. Against others it is protected by its mode, not the checksum.
type cacheFolder struct {
	root  *os.Root // the directory that was checked, even if another takes its name
	limit int64
}

// cachePath is $MUSTER_CACHE, else in the user's folder for such files; "" is off.
func cachePath() (string, error) {
	switch path := os.Getenv("MUSTER_CACHE"); {
	case path == "off":
		return "", nil
	case path != "":
		return path, nil
	}
	path, err := os.UserCacheDir()
	return filepath.Join(path, "muster", "xla"), err
}

// openFolder makes a folder for this user alone, or takes one that nobody else can write: its files are
// native code that this process will run.
func openFolder(path string) (*cacheFolder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && !ownedOnly(info) {
		err = fmt.Errorf("folder %s (MUSTER_CACHE) is another user's or can be written by others (mode %v)", path, info.Mode().Perm())
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &cacheFolder{root, cacheLimit}, nil
}

// ownedOnly reports whether a file is this user's and nobody else can write it.
func ownedOnly(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

// get returns the program of a key and marks it as used. A file that is not what was put there is removed.
func (f *cacheFolder) get(key cacheKey) (program []byte, ok bool) {
	info, err := f.root.Lstat(key.file())
	if err != nil {
		return nil, false
	}
	if info.Mode().IsRegular() && ownedOnly(info) && info.Size() <= f.limit {
		if all, err := f.root.ReadFile(key.file()); err == nil {
			program, ok = unpack(key, all)
		}
	}
	if !ok {
		f.remove(key)
		return nil, false
	}
	now := time.Now()
	_ = f.root.Chtimes(key.file(), now, now) // a folder that is read only keeps its order
	return program, true
}

func (f *cacheFolder) remove(key cacheKey) { _ = f.root.Remove(key.file()) }

// put writes a program under its key and makes room for it. What cannot be kept within a quarter of the
// limit is not kept at all.
func (f *cacheFolder) put(key cacheKey, program []byte) (err error) {
	all := pack(key, program)
	if int64(len(all)) > f.limit/4 {
		return nil
	}
	f.evict(f.limit - int64(len(all)))
	temp := fmt.Sprintf("%d-%s%s", os.Getpid(), rand.Text(), cacheTemp)
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(all)
	if err = cmp.Or(err, file.Close()); err == nil {
		err = f.root.Rename(temp, key.file())
	}
	if err != nil {
		_ = f.root.Remove(temp)
	}
	return err
}

// evict removes the programs that were not used for longest until the rest fit in so many bytes, and what
// writers left behind that were stopped.
func (f *cacheFolder) evict(room int64) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return
	}
	var total int64
	var programs []fs.FileInfo
	now := time.Now()
	// What is dated well ahead was used before the clock was put back, so before all that is dated properly.
	ahead := func(info fs.FileInfo) bool { return info.ModTime().Sub(now) > abandoned }
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil: // another process was faster
		case strings.HasSuffix(e.Name(), cacheTemp):
			if now.Sub(info.ModTime()) > abandoned || ahead(info) {
				_ = f.root.Remove(e.Name())
			}
		case strings.HasSuffix(e.Name(), cacheSuffix):
			programs = append(programs, info)
			total += info.Size()
		}
	}
	slices.SortFunc(programs, func(a, b fs.FileInfo) int {
		if first := ahead(a); first != ahead(b) {
			if first {
				return -1
			}
			return 1
		}
		return a.ModTime().Compare(b.ModTime())
	})
	for _, info := range programs {
		if total <= room {
			return
		}
		if err := f.root.Remove(info.Name()); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= info.Size()
		}
	}
}

// pack lays out a file: format, key, checksum of key and program, length, program.
func pack(key cacheKey, program []byte) []byte {
	all := make([]byte, 0, headSize+len(program))
	all = append(append(all, cacheFormat...), key[:]...)
	sum := checksum(key, program)
	all = binary.LittleEndian.AppendUint64(append(all, sum[:]...), uint64(len(program)))
	return append(all, program...)
}

// unpack returns the program of a file, if it is whole and that of the key.
func unpack(key cacheKey, all []byte) (program []byte, ok bool) {
	if len(all) < headSize {
		return nil, false
	}
	head, program := all[:headSize], all[headSize:]
	sum := checksum(key, program)
	want := append(append([]byte(cacheFormat), key[:]...), sum[:]...)
	ok = bytes.Equal(head[:len(want)], want) && binary.LittleEndian.Uint64(head[len(want):]) == uint64(len(program))
	return program, ok
}

func checksum(key cacheKey, program []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(key[:])
	h.Write(program)
	return [sha256.Size]byte(h.Sum(sum[:0]))
}
