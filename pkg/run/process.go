package run

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// ErrInUse is what Create and Hold return, with more words, while another process holds a directory.
var ErrInUse = errors.New("is in use")

// hold takes the lock of a directory, which a killed process cannot leave behind, and writes who has it. What it returns
// is to be closed, also with an error.
func hold(path string, root *os.Root) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(path, "lock"))
	ok, err := lock.TryLock()
	for try := 0; err == nil && !ok && try < 3; try++ { // perhaps somebody only asks (Held)
		time.Sleep(10 * time.Millisecond)
		ok, err = lock.TryLock()
	}
	if err != nil {
		return lock, fmt.Errorf("run: cannot lock %s: %w", path, err)
	}
	if !ok {
		holder, _ := root.ReadFile("lock")
		return lock, fmt.Errorf("run: %s %w by %s", path, ErrInUse, cmp.Or(strings.TrimSpace(string(holder)), "another process"))
	}
	host, _ := os.Hostname()
	if err := root.WriteFile("lock", fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0o644); err != nil {
		return lock, fmt.Errorf("run: cannot lock %s: %w", path, err)
	}
	return lock, nil
}

// Hold makes a folder and takes it for this process until release is called; ErrInUse if another has it.
func Hold(path string) (release func(), err error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("run: cannot make the folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("run: cannot open the folder: %w", err)
	}
	defer root.Close()
	lock, err := hold(path, root)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// Held reports whether some process holds a run directory or a folder of Hold. It takes the lock for a moment, which those
// who want to hold it wait for.
func Held(path string) bool {
	lock := flock.New(filepath.Join(path, "lock"))
	defer lock.Close()
	if _, err := os.Stat(lock.Path()); err != nil {
		return false
	}
	ok, err := lock.TryLock()
	return err == nil && !ok
}

// Stop asks the process that holds a run directory, or a folder of Hold, to save and end, and waits until it has, at
// most for limit. Nobody holding it is no error; a process of another machine is one.
func Stop(path string, limit time.Duration) error {
	if !Held(path) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(path, "lock"))
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	var pid int
	var there string
	if n, _ := fmt.Fscanf(bytes.NewReader(text), "process %d on %s", &pid, &there); n < 2 {
		return fmt.Errorf("run: %s is in use, and its file lock does not say by whom", path)
	}
	if host, _ := os.Hostname(); host != there {
		return fmt.Errorf("run: %s is in use by process %d on %s: stop it there, this is %s", path, pid, there, host)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("run: cannot stop process %d, which holds %s: %w", pid, path, err)
	}
	for end := time.Now().Add(limit); Held(path); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("run: process %d, which holds %s, has not ended in %v", pid, path, limit)
		}
	}
	return nil
}

// The variables by which a program knows that it was started again for one piece of work.
const childVar, taskVar = "MUSTER_CHILD", "MUSTER_TASK"

// Child returns the folder that this process was started for: by nb.Detach that of a run or a sweep, by a sweep its own,
// then with the number of the task; −1 = none. It is "" for a process that a person has started.
func Child() (dir string, task int) {
	dir, task = os.Getenv(childVar), -1
	if dir == "" {
		return "", -1
	}
	if n, err := fmt.Sscan(os.Getenv(taskVar), &task); n != 1 || err != nil {
		task = -1
	}
	return dir, task
}

// ChildVariables are what Child reads, for the environment of a process: task −1 = none.
func ChildVariables(dir string, task int) []string {
	if task < 0 {
		return []string{childVar + "=" + dir, taskVar + "="}
	}
	return []string{childVar + "=" + dir, fmt.Sprintf("%s=%d", taskVar, task)}
}

// Environment is that of this process without what does not outlive it: a notebook's kernel gives its cells pipes and a
// temporary folder, and removes them when it ends.
func Environment() []string {
	var list []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GONB_") && !strings.HasPrefix(v, "TMPDIR=") && !strings.HasPrefix(v, childVar+"=") && !strings.HasPrefix(v, taskVar+"=") {
			list = append(list, v)
		}
	}
	return list
}

// KeepProgram copies the program of this process into a folder, unless this process runs from there. A notebook
// overwrites and deletes the program of a cell.
func KeepProgram(dir string) (path string, err error) {
	path = filepath.Join(dir, "program")
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("run: cannot find the program of this process: %w", err)
	}
	if a, e := os.Stat(own); e == nil {
		if b, e := os.Stat(path); e == nil && os.SameFile(a, b) {
			return path, nil
		}
	}
	in, err := os.Open(own)
	if err != nil {
		return "", fmt.Errorf("run: cannot copy the program of this process: %w", err)
	}
	defer in.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("run: %w", err)
	}
	folder, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("run: %w", err)
	}
	defer folder.Close()
	err = writeSynced(folder, "program.tmp", func(w io.Writer) error { _, err := io.Copy(w, in); return err })
	if err == nil {
		err = folder.Chmod("program.tmp", 0o755)
	}
	if err == nil {
		err = folder.Rename("program.tmp", "program")
	}
	if err != nil {
		folder.Remove("program.tmp")
		return "", fmt.Errorf("run: cannot copy the program of this process: %w", err)
	}
	return path, nil
}

// Spawn starts a program with this process's arguments for one piece of work (Child), in a session of its own, which
// neither a terminal nor a notebook's end reaches, with more variables. What it prints is appended to a file.
func Spawn(program, log, dir string, task int, more ...string) (*exec.Cmd, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	defer out.Close()
	c := exec.Command(program, os.Args[1:]...)
	c.Env = append(append(Environment(), ChildVariables(dir, task)...), more...)
	c.Stdout, c.Stderr, c.SysProcAttr = out, out, ownSession
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("run: cannot start the program again: %w", err)
	}
	return c, nil
}

// LastLines returns the last n lines of a text file that say something.
func LastLines(file string, n int) []string {
	const most = 8 << 10
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		f.Seek(-most, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\r\n "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
