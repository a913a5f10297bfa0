package sweep

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

// Local is a Machine: this one, with so many tasks at once, each a process of its own. They end with the process that
// runs the sweep, after saving; a sweep that shall outlive a notebook is started with nb.Detach.
type Local int

func (l Local) String() string { return fmt.Sprintf("%d at a time on this machine", int(l)) }

func (l Local) check() error {
	if l < 1 {
		return fmt.Errorf("sweep: Local(%d), want at least one task at a time", int(l))
	}
	return nil
}

// A task that has been told to save has so long before it is killed.
const grace = 2 * time.Minute

func (l Local) run(ctx context.Context, s *Sweep, p *plan, tasks []int) error {
	if _, err := run.KeepProgram(p.dir); err != nil {
		return err
	}
	var work sync.WaitGroup
	free := make(chan struct{}, int(l))
	for _, i := range tasks {
		select {
		case <-ctx.Done():
		case free <- struct{}{}:
		}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() {
			defer func() { <-free }()
			for attempt := 0; ctx.Err() == nil && !s.localTask(ctx, p, i) && attempt < s.Retries; attempt++ {
			}
		})
	}
	work.Wait()
	os.RemoveAll(filepath.Join(p.dir, "tmp"))
	return nil
}

// localTask runs a process for a task and reports whether there is no reason to try it again.
func (s *Sweep) localTask(ctx context.Context, p *plan, i int) bool {
	tmp, before := filepath.Join(p.dir, "tmp"), ending{State: run.Running, Attempts: p.ending(i).Attempts}
	err := cmp.Or(os.MkdirAll(tmp, 0o755), p.end(i, before))
	var c *exec.Cmd
	if err == nil {
		c, err = run.Spawn(filepath.Join(p.dir, "program"), p.taskFile(i, ".log"), p.dir, i, fmt.Sprintf("%s=%d", parentVar, os.Getpid()), "TMPDIR="+tmp)
	}
	if err != nil {
		p.end(i, ending{State: run.HasFailed, Error: err.Error()})
		return true
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		c.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(grace):
			c.Process.Kill()
			err = <-ended
		}
	}
	e := p.ending(i)
	if e.State == run.Running { // it did not come to say how it ended
		e.State, e.Error = run.HasFailed, fmt.Sprintf("its process ended without a word: %v", err)
		if e.Attempts == before.Attempts {
			e.Error = fmt.Sprintf("the program did not come to the sweep %s when it was started again (%s); want the same sweep there, and little before it", s.Name, p.taskFile(i, ".log"))
		}
		p.end(i, e)
	}
	return e.State != run.HasFailed
}
