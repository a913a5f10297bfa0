package train

import (
	"fmt"
	"runtime"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Open returns the trained policy of a run, from its newest checkpoint that is whole. World and method must
// be those of the run.
func Open(dir string, w env.World, m Method) (policy.Policy, error) {
	r, err := run.Open(dir)
	if err != nil {
		return nil, err
	}
	if r.Method != m.String() {
		return nil, fmt.Errorf("train: %s holds a run of %s, want %s", dir, r.Method, m)
	}
	if w == nil {
		return nil, fmt.Errorf("train: no world given for %s, want one such as takeout.Mini()", dir)
	}
	e, err := w.New()
	if err != nil {
		return nil, err
	}
	learner, _, err := m.Build(Setup{Env: e, Key: rng.New(r.Seed)})
	if err != nil {
		return nil, err
	}
	if _, err := r.Restore(map[string]run.Checkpoint{"learner": learner}); err != nil {
		return nil, err
	}
	return learner.Policy(), nil
}

// Estimate is what a run would take here.
type Estimate struct {
	Steps, Updates int64
	Time           time.Duration // without evaluation
	Memory         uint64        // bytes of this process
	PerStep        time.Duration // acting and stepping, per joint step
	PerUpdate      time.Duration
	Compile        time.Duration
	Backend        string
}

// String says it in one line.
func (e Estimate) String() string {
	return fmt.Sprintf("%d steps and %d updates: about %s and %d MB here (%s a step, %s an update, %s to compile; %s)",
		e.Steps, e.Updates, e.Time.Round(time.Second), e.Memory>>20,
		e.PerStep.Round(time.Microsecond), e.PerUpdate.Round(10*time.Microsecond), e.Compile.Round(10*time.Millisecond), e.Backend)
}

// Estimate probes the experiment for a few seconds, without a run directory, and predicts the whole.
func (e *Experiment) Estimate() (Estimate, error) {
	if err := e.check(); err != nil {
		return Estimate{}, err
	}
	start := time.Now()
	l, err := NewLoop(e.Env, e.Method, Setup{Key: rng.New(e.Seed), Threads: e.Threads}, orElse(e.Workers, runtime.NumCPU()))
	if err != nil {
		return Estimate{}, err
	}
	defer l.Close()
	out := Estimate{Steps: e.Steps, Compile: time.Since(start), Backend: l.Learner.Provenance()["banner"]}
	const probe, few = 3 * time.Second, 200
	for start = time.Now(); time.Since(start) < probe && l.Updates() < few && l.Steps() < e.Steps; {
		if err := l.Iterate(); err != nil {
			return Estimate{}, err
		}
	}
	out.PerStep = (l.times.Env + l.times.Act) / time.Duration(l.Steps())
	out.Updates = e.Steps / int64(l.pace.UpdateEvery)
	if n := l.Updates(); n > 0 {
		out.PerUpdate = l.times.Update / time.Duration(n)
		out.Updates = n + (e.Steps-l.Steps())/int64(l.pace.UpdateEvery) // what came before the first update counts not
	}
	out.Time = time.Duration(out.Steps)*out.PerStep + time.Duration(out.Updates)*out.PerUpdate
	out.Memory = residentMemory()
	return out, nil
}

// residentMemory is this process's memory, the backend's included where the system tells it.
func residentMemory() uint64 {
	if n := statm(); n > 0 {
		return n
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
