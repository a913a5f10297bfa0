package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// State says what has become of a run.
type State string

const (
	Waiting   State = "waiting"  // has not begun
	Running   State = "running"  // a process works on it
	Finished  State = "finished" // has come to its end
	Stopped   State = "stopped"  // has saved and can go on
	HasFailed State = "failed"   // ended with an error; goes on from its last checkpoint
	Lost      State = "lost"     // its process has ended without a word: killed, or a machine that went away
	Hopeless  State = "hopeless" // ended by a rule of its sweep
)

// Live is progress.json: where the process of a run last said it stood, for other processes to read.
type Live struct {
	Progress
	State   State
	Error   string `json:",omitempty"` // why it failed, in one line
	Process int
	Host    string
	At      time.Time // when it said so
}

// A process of another machine counts as lost when it has said nothing for so long; the clocks may differ.
const silence = time.Minute

// Tell writes progress.json. It is not synced, and no error stops a run: the file only serves those who watch. It may be
// called beside the other methods.
func (d *Dir) Tell(p Progress, s State, cause error) {
	held, err := d.lock.Stat()
	if there, e := d.root.Stat("lock"); err != nil || e != nil || !os.SameFile(held, there) {
		return // the directory may belong to another run now
	}
	host, _ := os.Hostname()
	l := Live{Progress: p, State: s, Process: os.Getpid(), Host: host, At: time.Now().UTC().Truncate(time.Millisecond)}
	if cause != nil {
		l.Error = cause.Error()
	}
	data, err := json.Marshal(l)
	if err == nil {
		err = d.root.WriteFile("progress.json.tmp", append(data, '\n'), 0o644)
	}
	if err == nil {
		err = d.root.Rename("progress.json.tmp", "progress.json")
	}
	if err != nil {
		d.root.Remove("progress.json.tmp")
	}
}

// ReadLive says where the run in dir stands. A run without progress.json, such as a summary, is judged by what it
// has logged.
func ReadLive(dir string) (Live, error) {
	var l Live
	data, err := os.ReadFile(filepath.Join(dir, "progress.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return silent(dir)
	}
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return l, fmt.Errorf("run: %s: %w", dir, err)
	}
	l.Dir = dir // it may have been moved
	if l.State == Running && !l.alive() {
		l.State, l.StepsPerSecond, l.Left = Lost, 0, 0
	}
	return l, nil
}

// silent judges a run whose process says nothing.
func silent(dir string) (Live, error) {
	r, err := Open(dir)
	if err != nil {
		return Live{}, err
	}
	p := Progress{Dir: dir, Title: Title(r.Method, r.World, r.Seed), Goal: r.Goal, Backend: r.Provenance["banner"]}
	err = r.eachRow(func(row map[string]*float64) error {
		if v := row["steps"]; v != nil {
			p.Steps = int64(*v)
		}
		return nil
	})
	l := Live{Progress: p, State: Stopped}
	if p.Steps >= p.Goal {
		l.State, l.Finished = Finished, true
	}
	return l, err
}

// Title names a run for people: "dqn on takeout/mini-v4, seed 0".
func Title(method, world string, seed uint64) string {
	return fmt.Sprintf("%s on %s, seed %d", method, world, seed)
}

func (l *Live) alive() bool {
	if host, _ := os.Hostname(); host != l.Host {
		return time.Since(l.At) < silence
	}
	return lives(l.Process) && time.Since(l.At) < 10*silence // numbers of processes come again; a paused one says nothing
}

// lives reports whether a process of this machine lives; one that has ended and was not collected does not.
func lives(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil || pid < 1 {
		return false
	}
	if err := p.Signal(syscall.Signal(0)); err != nil && !errors.Is(err, os.ErrPermission) {
		return false
	}
	return !zombie(pid)
}

// Note appends a line with the time to the log of a run, from outside. Like Dir.Logf it stops nothing.
func Note(dir, text string) {
	f, err := os.OpenFile(filepath.Join(dir, "log.txt"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05Z"), text)
}

// Below lists the run directories below a folder, in order.
func Below(folder string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		}
		if _, err := os.Stat(filepath.Join(path, "config.json")); err == nil {
			dirs = append(dirs, path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return dirs, nil
}
