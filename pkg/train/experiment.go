package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Experiment trains one method on one world from one seed, in a run directory from which it can go on.
type Experiment struct {
	Env    env.World
	Method Method
	Seed   uint64
	Steps  int64 // joint steps; asking a finished run for more lets it go on
	Eval   Eval

	Dir             string        // default: run.Path(method, world, seed)
	Workers         int           // goroutines that step environments, 0 = one per processor; results do not depend on it
	Threads         int           // of the backend, 0 = one per processor; chosen when a run starts, then kept
	LogEvery        int64         // joint steps between lines of metrics, 0 = Steps/400; chosen when a run starts, then kept
	CheckpointEvery time.Duration // 0 = one minute; a negative one leaves only the last

	board board
	busy  atomic.Bool // Run is at work
	dir   *run.Dir
	loop  *Loop
	state experimentState
	told  func(err error) // tells other processes how it ended
}

// Eval says when and how a run is judged: at step 0, every Every steps, and at the end.
type Eval struct {
	Every    int64       // joint steps; 0 = only at the beginning and the end
	Episodes int         // per evaluation and cell; 0 = no evaluation
	Final    int         // episodes per cell at the end, for tables; 0 = Episodes
	Record   int         // episodes of each evaluation and cell that are kept to be watched; 0 = the first one, −1 = none
	Mode     policy.Mode // how to act; the zero value is greedy
	Cells    []Cell      // further worlds of the same sizes
}

// Cell is a world to be judged on.
type Cell = env.Cell

// experimentState is what a checkpoint holds of the experiment itself.
type experimentState struct {
	NextLog, NextEval int64
	LastLog           int64   // step of the last line of metrics, 0 = none
	LastEval          int64   // step of the last evaluation, −1 = none
	Final             bool    // true = the final evaluation has been made at LastEval
	Seconds           float64 // acting + stepping + updating of earlier processes
}

// Run starts the experiment, or goes on with what its directory holds, or returns at once when that is
// finished. When ctx ends it saves and returns nil; Progress tells that it has not finished. Any error is
// one clear line, and the last checkpoint stands.
func (e *Experiment) Run(ctx context.Context) (err error) {
	if e.busy.Swap(true) {
		return errors.New("train: this experiment runs already, want a value of its own for each")
	}
	defer e.busy.Store(false)
	defer e.close()
	defer func() {
		if e.told != nil {
			e.told(err)
			e.told = nil
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			err = e.panicked(p)
		}
	}()
	finished, err := e.open(ctx)
	if err != nil {
		return e.unprepared(ctx, err)
	}
	if finished {
		return nil
	}
	e.state.Final = false
	saved := time.Now()
	for {
		if err := e.duties(ctx); err != nil {
			return e.stopped(ctx, err)
		}
		if e.loop.Steps() >= e.Steps || ctx.Err() != nil {
			break
		}
		if err := e.loop.Iterate(); err != nil {
			return fmt.Errorf("%w (step %d)", err, e.loop.Steps())
		}
		if every := e.checkpointEvery(); every > 0 && time.Since(saved) >= every {
			if err := e.save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	if ctx.Err() == nil {
		if err := e.judge(ctx); err != nil {
			return e.stopped(ctx, err)
		}
	}
	if !e.state.Final {
		return e.stopped(ctx, ctx.Err())
	}
	if err := e.save(); err != nil {
		return err
	}
	e.finish()
	return nil
}

// panicked turns a panic into one line and writes its stack to the log.
func (e *Experiment) panicked(p any) error {
	if e.dir == nil || e.loop == nil {
		return panicLine(p)
	}
	e.dir.Logf("panic: %v\n%s", p, debug.Stack())
	return fmt.Errorf("%w (step %d; the stack is in %s)", panicLine(p), e.loop.Steps(), filepath.Join(e.dir.Path, "log.txt"))
}

// stopped saves when err only says that ctx has ended.
func (e *Experiment) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	e.board.update(e.loop, e.state.Seconds, true)
	if err := e.save(); err != nil {
		return err
	}
	e.logf("stopped at step %d", e.loop.Steps())
	return nil
}

func (e *Experiment) checkpointEvery() time.Duration {
	if e.CheckpointEvery == 0 {
		return time.Minute
	}
	return e.CheckpointEvery
}

// open checks the experiment, takes its directory, builds the loop and loads the newest checkpoint. It
// reports whether the run has finished already.
func (e *Experiment) open(ctx context.Context) (finished bool, err error) {
	if err := e.check(); err != nil {
		return false, err
	}
	spec, err := env.Probe(e.Env)
	if err != nil {
		return false, err
	}
	path := e.where(spec)
	if err := e.checkCells(spec); err != nil {
		return false, err
	}
	if e.dir, err = run.Create(path, e.config(spec)); err != nil {
		return false, err
	}
	e.board.begin(path, run.Title(e.Method.String(), spec.Name, e.Seed), e.Steps)
	e.told = e.tell()
	finished = e.hasFinished(path)
	if err := e.build(ctx, finished); err != nil {
		return false, err
	}
	e.state = experimentState{LastEval: -1, NextLog: e.dir.Config.Settings["log_every"]}
	parts := e.parts()
	if finished { // nothing is to be trained: the counters are enough
		parts = map[string]run.Checkpoint{"loop": e.loop, "experiment": parts["experiment"]}
	}
	n, resumed, err := e.dir.Load(parts)
	if err != nil {
		return false, err
	}
	if finished {
		e.board.finish(e.loop, e.state.Seconds)
		return true, nil
	}
	if resumed {
		e.logf("resumed at step %d", n)
	}
	e.board.update(e.loop, e.state.Seconds, true)
	return false, nil
}

// hasFinished looks into the newest checkpoint.
func (e *Experiment) hasFinished(path string) bool {
	n, err := (&run.Run{Dir: path}).Restore(map[string]run.Checkpoint{"experiment": (*stateOf)(e)})
	e.board.resume(n)
	return err == nil && n >= e.Steps && e.state.Final
}

func (e *Experiment) check() error {
	switch {
	case e.Env == nil:
		return errors.New("train: the experiment has no Env, want a world such as takeout.Mini()")
	case e.Method == nil:
		return errors.New("train: the experiment has no Method, want one such as value.JointDQN(value.TakeoutMini())")
	case e.Steps < 1:
		return fmt.Errorf("train: %d steps, want at least 1", e.Steps)
	case e.Eval.Every < 0 || e.Eval.Episodes < 0 || e.Eval.Final < 0:
		return fmt.Errorf("train: evaluation of %d (at the end %d) episodes every %d steps, want none of them negative", e.Eval.Episodes, e.Eval.Final, e.Eval.Every)
	case e.LogEvery < 0 || e.Workers < 0 || e.Threads < 0:
		return fmt.Errorf("train: LogEvery %d, Workers %d, Threads %d, want none of them negative", e.LogEvery, e.Workers, e.Threads)
	}
	return nil
}

// checkCells makes sure that the trained network fits every cell.
func (e *Experiment) checkCells(spec env.Spec) error {
	names := map[string]bool{"": true}
	for i, c := range e.Eval.Cells {
		s, err := env.Probe(c.World)
		switch {
		case err != nil:
			return fmt.Errorf("train: cell %q: %w", c.Name, err)
		case names[c.Name]:
			return fmt.Errorf("train: cell %d is called %q, want a name of its own", i, c.Name)
		case s.Agents != spec.Agents || s.ObsDim != spec.ObsDim || !slices.Equal(s.Actions, spec.Actions) || !slices.Equal(s.Planes, spec.Planes):
			return fmt.Errorf("train: cell %q has %d agents, observations of %d (images %v) and actions %v, want %d, %d (%v) and %v as in training",
				c.Name, s.Agents, s.ObsDim, s.Planes, s.Actions, spec.Agents, spec.ObsDim, spec.Planes, spec.Actions)
		case s.ActDim != spec.ActDim:
			return fmt.Errorf("train: cell %q has continuous actions of size %d, want %d as in training", c.Name, s.ActDim, spec.ActDim)
		}
		names[c.Name] = true
	}
	return nil
}

func (e *Experiment) logf(format string, args ...any) {
	e.dir.Logf(format, args...)
	e.board.note(fmt.Sprintf(format, args...))
}

// duties writes the line of metrics and makes the evaluation that are due at this step.
func (e *Experiment) duties(ctx context.Context) error {
	steps := e.loop.Steps()
	if e.Eval.Episodes > 0 && steps >= e.state.NextEval {
		if err := e.evaluate(ctx, "eval", e.Eval.Episodes); err != nil {
			return err
		}
		e.state.LastEval = steps
		if e.Eval.Every == 0 {
			e.state.NextEval = 1 << 62
		} else {
			e.state.NextEval = (steps/e.Eval.Every + 1) * e.Eval.Every
		}
	}
	every := e.dir.Config.Settings["log_every"]
	if (steps >= e.state.NextLog || steps >= e.Steps) && steps != e.state.LastLog {
		m := e.loop.Drain()
		if err := e.dir.Metrics(steps, e.loop.Updates(), e.seconds(), m); err != nil {
			return err
		}
		e.state.NextLog, e.state.LastLog = (steps/every+1)*every, steps
	}
	e.board.update(e.loop, e.state.Seconds, false)
	return nil
}

// judge makes the evaluations of the end.
func (e *Experiment) judge(ctx context.Context) error {
	if e.Eval.Episodes > 0 && e.state.LastEval != e.loop.Steps() {
		if err := e.evaluate(ctx, "eval", e.Eval.Episodes); err != nil {
			return err
		}
		e.state.LastEval = e.loop.Steps()
	}
	if e.Eval.Episodes > 0 {
		if err := e.evaluate(ctx, "final", orElse(e.Eval.Final, e.Eval.Episodes)); err != nil {
			return err
		}
	}
	e.state.Final = true
	return nil
}

// evaluate judges all cells and writes their lines only when all are done.
func (e *Experiment) evaluate(ctx context.Context, stream string, episodes int) error {
	start := time.Now()
	cells := append([]Cell{{World: e.Env}}, e.Eval.Cells...)
	lines, mode := make([]run.Evaluation, len(cells)), e.Eval.Mode
	var recorded []run.Episode
	mode.Steps = e.loop.Steps()
	for i, c := range cells {
		line, err := eval.Run(ctx, c.World, e.loop.policy, rng.New(e.Seed), eval.Plan{
			Stream: stream, Cell: c.Name, Number: int64(i), Episodes: episodes,
			Envs: e.loop.pace.Envs, Workers: orElse(e.Workers, runtime.NumCPU()), Mode: mode,
			Record: orElse(e.Eval.Record, 1),
		})
		if err != nil {
			return err
		}
		for _, name := range line.Names() {
			for k, x := range line.Values(name) {
				if !finite(x) {
					return fmt.Errorf("train: %s counts a %s of %v in episode %d of an evaluation at step %d, want a finite number", line.World, name, x, k, e.loop.Steps())
				}
			}
		}
		line.Steps, line.Updates, line.Seconds = e.loop.Steps(), e.loop.Updates(), e.seconds()
		for k := range line.Recorded {
			line.Recorded[k].Steps = line.Steps
		}
		lines[i], recorded = line, append(recorded, line.Recorded...)
	}
	if err := e.dir.Record(recorded); err != nil {
		return err
	}
	for _, line := range lines {
		if err := e.dir.Evaluation(line); err != nil {
			return err
		}
	}
	e.board.spend("evaluate", time.Since(start))
	return nil
}

func (e *Experiment) seconds() float64 {
	t := e.loop.times
	return e.state.Seconds + (t.Env + t.Act + t.Update).Seconds()
}

func (e *Experiment) parts() map[string]run.Checkpoint {
	parts := e.loop.Parts()
	parts["experiment"] = (*stateOf)(e)
	return parts
}

func (e *Experiment) save() error {
	start := time.Now()
	err := e.dir.Save(e.loop.Steps(), e.parts())
	e.board.spend("save", time.Since(start))
	return err
}

func (e *Experiment) finish() {
	e.dir.Logf("finished at step %d", e.loop.Steps())
	e.board.finish(e.loop, e.state.Seconds)
}

func (e *Experiment) close() {
	if e.loop != nil {
		e.loop.Close()
		e.loop = nil
	}
	if e.dir != nil {
		e.dir.Close()
		e.dir = nil
	}
}

// stateOf saves the experiment's own counters.
type stateOf Experiment

func (s *stateOf) Save(w io.Writer) error {
	state := s.state
	state.Seconds = (*Experiment)(s).seconds()
	return json.NewEncoder(w).Encode(state)
}

func (s *stateOf) Load(r io.Reader) error { return json.NewDecoder(r).Decode(&s.state) }

func provenance(l Learner) map[string]string {
	p := map[string]string{"go": runtime.Version(), "processors": fmt.Sprint(runtime.NumCPU())}
	p["host"], _ = os.Hostname()
	for k, v := range l.Provenance() {
		p[k] = v
	}
	return p
}

func orElse[T int | int64](x, fallback T) T {
	if x != 0 {
		return x
	}
	return fallback
}
