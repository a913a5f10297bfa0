// Package sweep runs many experiments: as processes of this machine, or as a job array of a Slurm cluster. Every task
// is the same program started again, which comes to the same sweep and runs one experiment of it there. What is
// finished is skipped and what was stopped goes on, so that a sweep may be run again at any time, and its runs read.
// Missing: sharing the GPUs of one machine among local tasks; other batch systems than Slurm.
//
//	<runs>/sweeps/<name>/  sweep.json   the run directories of the tasks, and the jobs that were submitted
//	                       tasks/<i>.*  what task i printed (.log) and how it ended (.json)
//	                       program      copy of the program, while it is needed
//	                       submit.sh    what sbatch was given
//	                       lock         who runs the sweep
package sweep

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// Sweep is a list of experiments and where they run. Each has a run directory of its own; in an experiment, Threads 0
// means one here, so that its bits depend on neither the machine nor its neighbours.
type Sweep struct {
	Name        string
	Experiments []*train.Experiment
	On          Machine // default: Local(1)
	Retries     int     // how often a task that failed is started again, while Run works; 0 = never
	Stop        *Median // ends hopeless runs; nil = none
	Dir         string  // default: sweeps/Name below run.Root()

	mu    sync.Mutex
	plan  *plan
	notes map[int]queued // of the queue of a cluster, by task
}

// Machine is where tasks run: Local or Slurm.
type Machine interface {
	String() string
	// run works on the tasks until none is left or ctx ends.
	run(ctx context.Context, s *Sweep, p *plan, tasks []int) error
	check() error
}

// plan is what a sweep knows of its tasks.
type plan struct {
	dir   string // absolute
	tasks []string
	live  []run.Live // of tasks that are finished: not read again
}

// Run starts the tasks that are not finished, follows them, and returns when none is left, with the first failure. When
// ctx ends, local tasks save and end, those of a cluster go on. In a process that was started for a task, Run does that
// task and ends the process; other sweeps of the same program do nothing there. So main should do little before it.
func (s *Sweep) Run(ctx context.Context) error {
	if dir, task := run.Child(); task >= 0 {
		if own, err := s.Where(); err == nil && own == dir {
			exit(s.task(task))
		}
		return nil
	}
	p, err := s.prepare()
	if err != nil {
		return err
	}
	release, err := run.Hold(p.dir)
	if errors.Is(err, run.ErrInUse) {
		return fmt.Errorf("sweep: %s runs already: %w", s.Name, err)
	} else if err != nil {
		return err
	}
	defer release()
	todo, err := s.todo(p)
	if err != nil || len(todo) == 0 {
		return err
	}
	if err := s.queuedElsewhere(p); err != nil {
		return err
	}
	if err := p.remember(); err != nil {
		return err
	}
	if err := s.on().run(ctx, s, p, todo); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	return s.verdict(p)
}

// queuedElsewhere refuses to start while a cluster works on the folder in another way.
func (s *Sweep) queuedElsewhere(p *plan) error {
	r, err := p.recorded()
	if err != nil || len(r.Jobs) == 0 {
		return err
	}
	there, err := s.askQueue(p)
	if err != nil {
		return err
	}
	if _, same := s.on().(Slurm); len(there) > 0 && !(same && slices.Equal(r.Tasks, p.tasks)) {
		return fmt.Errorf("sweep: %d tasks of %s are in the queue of Slurm, for other experiments or another machine: Cancel them, or wait", len(there), s.Name)
	}
	return nil
}

// Where returns the folder of the sweep, as an absolute path.
func (s *Sweep) Where() (string, error) {
	if s.Name == "" && s.Dir == "" {
		return "", errors.New(`sweep: no Name, want one such as "learning-rates"`)
	}
	dir, err := filepath.Abs(cmp.Or(s.Dir, filepath.Join(run.Root(), "sweeps", s.Name)))
	if err != nil {
		return "", fmt.Errorf("sweep: %w", err)
	}
	return dir, nil
}

func (s *Sweep) on() Machine {
	if s.On == nil {
		return Local(1)
	}
	return s.On
}

// prepare checks the sweep and its experiments, once.
func (s *Sweep) prepare() (*plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan != nil {
		return s.plan, nil
	}
	dir, err := s.Where()
	if err != nil {
		return nil, err
	}
	switch {
	case len(s.Experiments) == 0:
		return nil, fmt.Errorf("sweep: %s has no experiments, want at least one", s.Name)
	case s.Retries < 0:
		return nil, fmt.Errorf("sweep: %s has %d retries, want 0 or more", s.Name, s.Retries)
	}
	if err := cmp.Or(s.on().check(), s.Stop.check()); err != nil {
		return nil, err
	}
	p := &plan{dir: dir, live: make([]run.Live, len(s.Experiments))}
	for i, e := range s.Experiments {
		if e == nil {
			return nil, fmt.Errorf("sweep: experiment %d of %s is nil", i, s.Name)
		}
		l, err := e.Inspect()
		if err != nil {
			return nil, fmt.Errorf("sweep: experiment %d of %s: %w", i, s.Name, err)
		}
		if k := slices.Index(p.tasks, l.Dir); k >= 0 {
			return nil, fmt.Errorf("sweep: experiments %d and %d of %s both use %s, want a directory each: name the methods differently, or set Dir", k, i, s.Name, l.Dir)
		}
		p.tasks, p.live[i] = append(p.tasks, l.Dir), l
	}
	s.plan = p
	return p, nil
}

// todo lists the tasks that are left.
func (s *Sweep) todo(p *plan) ([]int, error) {
	var list []int
	for i, l := range s.read(p) {
		if l.State != run.Finished && l.State != run.Hopeless {
			list = append(list, i)
		}
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "tasks"), 0o755); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	return list, nil
}

// verdict says what is wrong when nothing is left to do.
func (s *Sweep) verdict(p *plan) error {
	bad, first := 0, run.Live{}
	for _, l := range s.read(p) {
		if l.State != run.Finished && l.State != run.Hopeless {
			if bad++; bad == 1 {
				first = l
			}
		}
	}
	if bad == 0 {
		os.Remove(filepath.Join(p.dir, "program"))
		return nil
	}
	return fmt.Errorf("sweep: %d of %d experiments of %s have not finished; first %s: %s", bad, len(p.tasks), s.Name, first.Title,
		cmp.Or(first.Error, "it was stopped")+"; run the sweep again to go on")
}

// read says where every task stands: what its run says, and what is known of its process.
func (s *Sweep) read(p *plan) []run.Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(p.live)
	for i, dir := range p.tasks {
		if list[i].State == run.Finished {
			continue
		}
		goal := list[i].Goal
		if l, err := run.ReadLive(dir); err == nil {
			l.Goal = max(l.Goal, goal)
			if l.State == run.Finished && l.Steps < goal { // it is asked for more steps now
				l.State, l.Finished = run.Stopped, false
			}
			list[i] = l
		}
		if list[i].State == run.Finished {
			p.live[i] = list[i]
			continue
		}
		s.amend(&list[i], p.ending(i), s.notes[i])
	}
	return list
}

// amend puts what is known of a task's process beside what its run says.
func (s *Sweep) amend(l *run.Live, e ending, q queued) {
	active := q.state == "RUNNING" || q.state == "COMPLETING"
	switch {
	case e.State == run.Hopeless && s.Stop != nil:
		l.State, l.Note = run.Hopeless, e.Error
		return
	case l.State == run.Running: // what it says itself is newer than what the queue was last asked
	case active:
		l.State, l.Note, l.Error = run.Running, "starting", ""
	case q.state != "":
		l.State, l.Note, l.Error = run.Waiting, q.text(), ""
	case e.State == run.HasFailed:
		l.State, l.Error = run.HasFailed, e.Error
	case e.State == run.Stopped && l.State == run.Lost: // cancelled, and killed before it could say so
		l.State = run.Stopped
	case l.State == run.Lost:
		l.Error = cmp.Or(l.Error, "its process ended without a word")
	}
	if l.Error != "" {
		l.Note = l.Error
	}
}

// Each says where every experiment stands, in their order. It may be called while Run works, and from any process.
func (s *Sweep) Each() []run.Live {
	p, err := s.prepare()
	if err != nil {
		return nil
	}
	return s.read(p)
}

// Progress adds up where the experiments stand.
func (s *Sweep) Progress() run.Progress {
	p, err := s.prepare()
	if err != nil {
		return run.Progress{Title: "sweep " + s.Name, Note: err.Error()}
	}
	all := run.Together("sweep "+s.Name, s.read(p))
	all.Dir, all.Backend = p.dir, s.on().String()
	return all
}

// Followed is a sweep that another process runs, or a cluster.
type Followed struct{ s *Sweep }

// Tail follows the sweep without starting anything: nb.Watch(s.Tail()) shows it as if it ran here.
func (s *Sweep) Tail() Followed { return Followed{s} }

// Run returns when nobody works on the sweep any more, with what has not finished as an error; or with nil when ctx ends.
func (f Followed) Run(ctx context.Context) error {
	p, err := f.s.prepare()
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		there, err := f.s.askQueue(p)
		if err == nil && len(there) == 0 && !run.Held(p.dir) {
			return f.s.verdict(p)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause(begun)):
		}
	}
}

// Progress is that of the sweep.
func (f Followed) Progress() run.Progress { return f.s.Progress() }

// Each is that of the sweep.
func (f Followed) Each() []run.Live { return f.s.Each() }

// Outlives is true: the sweep goes on when nobody follows it.
func (Followed) Outlives() bool { return true }

// Outlives is true if the tasks go on when Run's ctx ends.
func (s *Sweep) Outlives() bool { _, cluster := s.on().(Slurm); return cluster }

// Runs opens the runs that have begun, for figures and tables of what there is so far.
func (s *Sweep) Runs() run.Runs {
	var list []*run.Run
	for _, l := range s.Each() {
		if r, err := run.Open(l.Dir); err == nil {
			list = append(list, r)
		}
	}
	return run.Of(list...)
}

// record is sweep.json.
type record struct {
	Format int
	Tasks  []string // run directories
	Jobs   []string `json:",omitempty"` // of Slurm, the last one last
}

const recordFormat = 1

func (p *plan) file() string { return filepath.Join(p.dir, "sweep.json") }

func (p *plan) recorded() (r record, err error) {
	data, err := os.ReadFile(p.file())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err == nil && r.Format > recordFormat {
		err = fmt.Errorf("format %d, this program knows up to %d: use a newer version of Muster", r.Format, recordFormat)
	}
	if err != nil {
		return r, fmt.Errorf("sweep: %s: %w", p.file(), err)
	}
	return r, nil
}

// remember writes the tasks, and a job if there is one more. A list of other tasks forgets how the old ones ended.
func (p *plan) remember(jobs ...string) error {
	r, err := p.recorded()
	if err != nil {
		return err
	}
	for i, dir := range r.Tasks {
		if i >= len(p.tasks) || p.tasks[i] != dir {
			for _, end := range []string{".json", ".log"} {
				os.Remove(p.taskFile(i, end))
			}
		}
	}
	return writeJSON(p.file(), record{recordFormat, p.tasks, append(r.Jobs, jobs...)})
}

func (p *plan) taskFile(i int, end string) string {
	return filepath.Join(p.dir, "tasks", fmt.Sprint(i)+end)
}

// ending is tasks/<i>.json: how the last process of a task ended.
type ending struct {
	State    run.State // Running, if it did not say
	Error    string    `json:",omitempty"` // why it failed or was ended, in one line
	Attempts int       // processes so far
}

func (p *plan) ending(i int) (e ending) {
	if data, err := os.ReadFile(p.taskFile(i, ".json")); err == nil {
		json.Unmarshal(data, &e) // a torn one says nothing
	}
	return e
}

// endingSize is what every tasks/<i>.json is filled up to with spaces.
const endingSize = 2048

// end writes how a task stands. On a full disk, which may be what has ended it, the bytes that are there are written over.
func (p *plan) end(i int, e ending) error {
	file := p.taskFile(i, ".json")
	if r := []rune(e.Error); len(r) > 400 {
		e.Error = string(r[:400]) + "…"
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	data = append(data, bytes.Repeat([]byte(" "), max(0, endingSize-1-len(data)))...)
	data = append(data, '\n')
	err = os.WriteFile(file+".tmp", data, 0o644)
	if err == nil {
		err = os.Rename(file+".tmp", file)
	}
	if err == nil {
		return nil
	}
	os.Remove(file + ".tmp")
	if f, e := os.OpenFile(file, os.O_WRONLY, 0); e == nil {
		_, e = f.WriteAt(data, 0)
		if f.Close(); e == nil {
			return nil
		}
	}
	return fmt.Errorf("sweep: %w", err)
}

func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(file+".tmp", append(data, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(file+".tmp", file)
	}
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}
