package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// exit ends the process of a task: the rest of its main belongs to the process that runs the sweep. Tests replace it.
var exit = os.Exit

// parentVar tells a local task the number of the process that runs the sweep.
const parentVar = "MUSTER_PARENT"

// A task whose run is still held waits so long: after a requeue, an earlier process may be about to end.
const patience = time.Minute

// Why a task ends before its run has finished.
type reason int32

const (
	_         reason = iota
	told             // by its sweep, its user or its cluster
	timeLimit        // Slurm warns that the time is nearly over
	hopeless         // by the rule
)

// task runs one experiment in this process and returns the status to end it with.
func (s *Sweep) task(i int) int {
	p, err := s.only(i)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if dir, e := s.Where(); e == nil {
			(&plan{dir: dir}).end(i, ending{State: run.HasFailed, Error: err.Error()})
		}
		return 1
	}
	e := ending{State: run.Running, Attempts: p.ending(i).Attempts + 1}
	p.end(i, e) // a disk that is full will stop the run with a better message
	x := s.Experiments[i]
	if x.Threads == 0 {
		x.Threads = 1
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var why atomic.Int32
	end := func(r reason) { why.CompareAndSwap(0, int32(r)); stop() }
	defer watchSignals(end)()
	watchParent(ctx, end)
	var rule atomic.Pointer[string]
	if s.Stop != nil {
		go s.Stop.watch(ctx, p, i, func(text string) { rule.Store(&text); end(hopeless) })
	}
	err = patient(ctx, x)
	e.State = run.Stopped
	switch {
	case err != nil:
		e.State, e.Error = run.HasFailed, err.Error()
	case x.Progress().Finished:
		e.State = run.Finished
	case reason(why.Load()) == hopeless:
		e.State, e.Error = run.Hopeless, *rule.Load()
		run.Note(p.tasks[i], e.Error)
	case reason(why.Load()) == timeLimit:
		if err := requeue(); err != nil {
			e.State, e.Error = run.HasFailed, err.Error()
		}
	}
	p.end(i, e)
	fmt.Printf("%s: %s at %d of %d steps\n", x.Progress().Title, e.State, x.Progress().Steps, x.Progress().Goal)
	if e.State == run.HasFailed {
		fmt.Fprintln(os.Stderr, e.Error)
		return 1
	}
	return 0
}

// only is a plan that knows the directory of one task, and those of all if the rule compares them.
func (s *Sweep) only(i int) (*plan, error) {
	dir, err := s.Where()
	if err != nil {
		return nil, err
	}
	if i >= len(s.Experiments) {
		return nil, fmt.Errorf("sweep: task %d of %s, which has %d: the program has changed; run the sweep again", i, s.Name, len(s.Experiments))
	}
	p := &plan{dir: dir, tasks: make([]string, len(s.Experiments))}
	for k, e := range s.Experiments {
		if k == i || s.Stop != nil {
			if p.tasks[k], err = e.Where(); err != nil {
				return nil, fmt.Errorf("sweep: experiment %d of %s: %w", k, s.Name, err)
			}
		}
	}
	return p, nil
}

// patient runs an experiment, and waits when another process holds its directory.
func patient(ctx context.Context, x *train.Experiment) error {
	for end := time.Now().Add(patience); ; {
		err := x.Run(ctx)
		if !errors.Is(err, run.ErrInUse) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// watchSignals ends the task at an interrupt or SIGTERM. In a job of Slurm the interrupt is the warning before the time
// limit, which the submit script asks for.
func watchSignals(end func(reason)) (release func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a closed output must not kill it while it saves
	go func() {
		for sig := range signals {
			if sig == os.Interrupt && os.Getenv("SLURM_JOB_ID") != "" && os.Getenv(parentVar) == "" {
				end(timeLimit)
			} else {
				end(told)
			}
		}
	}()
	return func() { signal.Stop(signals) }
}

// watchParent ends a local task when the process that runs the sweep has gone without a word.
func watchParent(ctx context.Context, end func(reason)) {
	parent, err := strconv.Atoi(os.Getenv(parentVar))
	if err != nil {
		return
	}
	go func() {
		for ctx.Err() == nil && os.Getppid() == parent {
			time.Sleep(500 * time.Millisecond)
		}
		end(told)
	}()
}

// requeue puts this job of Slurm back into the queue, where it goes on from what has been saved.
func requeue() error {
	job := os.Getenv("SLURM_JOB_ID")
	if out, err := exec.Command("scontrol", "requeue", job).CombinedOutput(); err != nil {
		return fmt.Errorf("sweep: the time limit is near and Slurm does not requeue job %s: %s; what was reached is saved, run the sweep again to go on", job, said(out, err))
	}
	return nil
}

// said puts what a command printed into one line.
func said(out []byte, err error) string {
	var lines []string
	for line := range strings.Lines(string(out)) {
		for _, prefix := range []string{"sbatch: ", "squeue: ", "scancel: ", "scontrol: ", "error: "} {
			line = strings.TrimPrefix(line, prefix)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return err.Error()
	}
	return strings.Join(lines, "; ")
}
