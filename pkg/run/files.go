package run

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"
)

// writeAtomic replaces a file by one with other bytes, which is whole or not there.
func writeAtomic(root *os.Root, file string, data []byte) error {
	tmp := file + ".tmp"
	err := writeSynced(root, tmp, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err == nil {
		err = root.Rename(tmp, file)
	}
	if err != nil {
		root.Remove(tmp)
		return fmt.Errorf("run: %w", err)
	}
	return syncFolder(root, path.Dir(file))
}

// syncFolder returns when the names in a folder are on the disk, where its file system can do that.
func syncFolder(root *os.Root, folder string) error {
	f, err := root.Open(folder)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// writeSynced makes a file and returns when its bytes are on the disk.
func writeSynced(root *os.Root, file string, write func(io.Writer) error) error {
	f, err := root.Create(file)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// writeSummed makes a file as writeSynced does and returns its size and hash.
func writeSummed(root *os.Root, file string, write func(io.Writer) error) (fileSum, error) {
	h, n := sha256.New(), new(counter)
	err := writeSynced(root, file, func(f io.Writer) error {
		buf := bufio.NewWriterSize(io.MultiWriter(f, h, n), 1<<18)
		if err := write(buf); err != nil {
			return err
		}
		return buf.Flush()
	})
	return fileSum{int64(*n), hex.EncodeToString(h.Sum(nil))}, err
}

func (s fileSum) check(root *os.Root, file string) error {
	h := sha256.New()
	var n int64
	err := readFile(root, file, func(r io.Reader) (err error) { n, err = io.Copy(h, r); return err })
	if err != nil {
		return err
	}
	if n != s.Bytes || hex.EncodeToString(h.Sum(nil)) != s.SHA256 {
		return fmt.Errorf("%s has %d bytes with another hash than its manifest says (%d bytes)", path.Base(file), n, s.Bytes)
	}
	return nil
}

func readFile(root *os.Root, file string, read func(io.Reader) error) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(bufio.NewReaderSize(f, 1<<18))
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
