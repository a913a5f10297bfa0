package train

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/muster-marl/muster/pkg/rng"
)

// build makes the loop and compares the traced programs with those of the directory. A finished run is only
// compared, for which the pure-Go backend is enough: it compiles at once and traces the same programs.
func (e *Experiment) build(ctx context.Context, finished bool) (err error) {
	setup := Setup{Key: rng.New(e.Seed), Threads: int(e.dir.Config.Settings["threads"])}
	if finished {
		ctx, setup.Backend = context.WithoutCancel(ctx), "go"
	}
	start := time.Now()
	if e.loop, err = e.newLoop(ctx, setup, !finished); err != nil {
		return err
	}
	e.board.spend("compile", time.Since(start))
	if err := e.dir.Programs(e.loop.Learner.Programs()); err != nil || finished {
		return err
	}
	e.board.backend(e.loop.Learner.Provenance())
	return e.dir.Provenance(provenance(e.loop.Learner))
}

// newLoop makes the loop, or returns the error of ctx as soon as that ends: a backend cannot be told to stop
// compiling, and a cell is killed five seconds after the interrupt. What it was compiling is then thrown away.
func (e *Experiment) newLoop(ctx context.Context, s Setup, logged bool) (*Loop, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var left atomic.Bool // true = nobody waits for it any more
	if dir := e.dir; logged {
		s.Log = func(format string, args ...any) {
			if !left.Load() {
				dir.Logf(format, args...)
				e.board.note(fmt.Sprintf(format, args...))
			}
		}
	}
	type result struct {
		loop *Loop
		err  error
	}
	done, workers := make(chan result, 1), orElse(e.Workers, runtime.NumCPU())
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = panicLine(p)
			}
			done <- r
		}()
		r.loop, r.err = NewLoop(e.Env, e.Method, s, workers)
	}()
	select {
	case r := <-done:
		return r.loop, r.err
	case <-ctx.Done():
		left.Store(true)
		go func() {
			if r := <-done; r.loop != nil {
				r.loop.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// unprepared says where the run stands when err only says that ctx has ended before it began. There is nothing to
// save: the last checkpoint is as it was.
func (e *Experiment) unprepared(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	e.logf("stopped at step %d while preparing", e.Progress().Steps)
	return nil
}
