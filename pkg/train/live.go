package train

import (
	"runtime"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/run"
)

// How often a run tells other processes where it stands: soon at first, then ever less often.
const firstBeat, lastBeat = 250 * time.Millisecond, 2 * time.Second

// tell lets other processes see where the run stands, while it is prepared, too. The returned function says how it ended.
func (e *Experiment) tell() (end func(err error)) {
	dir, quit, done := e.dir, make(chan struct{}), make(chan struct{})
	dir.Tell(e.Progress(), run.Running, nil)
	go func() {
		defer close(done)
		for pause := firstBeat; ; pause = min(2*pause, lastBeat) {
			select {
			case <-quit:
				return
			case <-time.After(pause):
				dir.Tell(e.Progress(), run.Running, nil)
			}
		}
	}()
	return func(err error) {
		close(quit)
		<-done
		p, state := e.Progress(), run.Stopped
		p.StepsPerSecond, p.Left = 0, 0
		switch {
		case err != nil:
			state = run.HasFailed
		case p.Finished:
			state = run.Finished
		}
		dir.Tell(p, state, err)
	}
}

// Where returns the directory of the run: Dir, or what follows from method, world and seed.
func (e *Experiment) Where() (string, error) {
	if err := e.check(); err != nil {
		return "", err
	}
	spec, err := env.Probe(e.Env)
	if err != nil {
		return "", err
	}
	return e.where(spec), nil
}

func (e *Experiment) where(spec env.Spec) string {
	if e.Dir != "" {
		return e.Dir
	}
	return run.Path(e.Method.String(), spec.Name, e.Seed)
}

// config says what run of what settings the experiment is.
func (e *Experiment) config(spec env.Spec) run.Config {
	return run.Config{
		Method: e.Method.String(), World: spec.Name, Seed: e.Seed, Goal: e.Steps,
		Settings: map[string]int64{"threads": int64(orElse(e.Threads, runtime.NumCPU())), "log_every": orElse(e.LogEvery, max(1, e.Steps/400))},
		Identity: run.Describe(map[string]any{"World": e.Env, "Method": e.Method, "Eval": e.Eval, "Seed": e.Seed}),
	}
}

// Inspect says where the experiment stands without running it: Waiting when its directory holds nothing yet. A
// directory of another run is an error, as in Run, except that a changed function of the method is not seen.
func (e *Experiment) Inspect() (l run.Live, err error) {
	defer oneLine(&err)
	if err := e.check(); err != nil {
		return l, err
	}
	spec, err := env.Probe(e.Env)
	if err != nil {
		return l, err
	}
	c, dir := e.config(spec), e.where(spec)
	l = run.Live{State: run.Waiting, Progress: run.Progress{Dir: dir, Title: run.Title(c.Method, c.World, c.Seed), Goal: e.Steps}}
	if r, err := run.Open(dir); err != nil || r == nil {
		return l, run.Check(dir, c) // says what is wrong with what is there
	}
	if err := run.Check(dir, c); err != nil {
		return l, err
	}
	l, err = run.ReadLive(dir)
	if err != nil {
		return l, err
	}
	if l.Goal = e.Steps; l.State == run.Finished || l.State == run.Stopped {
		l.State, l.Finished = run.Stopped, false
		if finished, err := finishedAt(dir, e.Steps); err == nil && finished {
			l.State, l.Finished = run.Finished, true
		}
	}
	return l, nil
}

// finishedAt looks into the newest checkpoint: whether the run has made its final evaluation at so many steps or more.
func finishedAt(dir string, steps int64) (bool, error) {
	var e Experiment
	n, err := (&run.Run{Dir: dir}).Restore(map[string]run.Checkpoint{"experiment": (*stateOf)(&e)})
	return err == nil && n >= steps && e.state.Final, err
}
