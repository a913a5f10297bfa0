package train

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Open returns the trained policy of a run, from its newest checkpoint that is whole. World and method must
// be those of the run.
func Open(dir string, w env.World, m Method) (p policy.Policy, err error) {
	defer oneLine(&err)
	r, err := run.Open(dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("train: no method given for %s, want that of the run, %s", dir, r.Method)
	}
	if r.Method != m.String() {
		return nil, fmt.Errorf("train: %s holds a run of %s, want %s", dir, r.Method, m)
	}
	if w == nil {
		return nil, fmt.Errorf("train: no world given for %s, want that of the run, %s", dir, r.World)
	}
	if _, err := env.Probe(w); err != nil {
		return nil, err
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
	Seen           int64         // updates made while probing; 0 = Updates is an upper bound, and Time lacks theirs
	Time           time.Duration // without evaluation
	Memory         uint64        // bytes of this process now; a replay that is not full yet grows
	PerStep        time.Duration // acting and stepping, per joint step
	PerUpdate      time.Duration
	Compile        time.Duration
	Backend        string
}

// String says it in one line.
func (e Estimate) String() string {
	updates := fmt.Sprintf("%d updates", e.Updates)
	if e.Seen == 0 && e.Updates > 0 {
		updates = fmt.Sprintf("at most %d updates (none yet in the probe, so without their time)", e.Updates)
	}
	line := fmt.Sprintf("%d steps and %s: about %s and %d MB here (%s a step, %s an update, %s to compile",
		e.Steps, updates, e.Time.Round(time.Second), e.Memory>>20,
		e.PerStep.Round(time.Microsecond), e.PerUpdate.Round(10*time.Microsecond), e.Compile.Round(10*time.Millisecond))
	if e.Backend != "" {
		line += "; " + e.Backend
	}
	return line + ")"
}

// Estimate probes the experiment for a few seconds, without a run directory, and predicts the whole.
func (e *Experiment) Estimate() (out Estimate, err error) {
	defer oneLine(&err)
	if err := e.check(); err != nil {
		return Estimate{}, err
	}
	start := time.Now()
	l, err := NewLoop(e.Env, e.Method, Setup{Key: rng.New(e.Seed), Threads: e.Threads}, orElse(e.Workers, runtime.NumCPU()))
	if err != nil {
		return Estimate{}, err
	}
	defer l.Close()
	out = Estimate{Steps: e.Steps, Compile: time.Since(start), Backend: l.Learner.Provenance()["banner"]}
	const probe, few = 3 * time.Second, 200
	l.ahead = e.Steps / 2 // a first step that explores alone would not call the network
	for start = time.Now(); l.Steps() < e.Steps && l.Updates() < few; {
		if t := time.Since(start); t > 4*probe || t > probe && l.Updates() > 0 { // a warm-up gets more time
			break
		}
		if err := l.Iterate(); err != nil {
			return Estimate{}, err
		}
	}
	envs := int64(l.pace.Envs)
	left := (max(0, e.Steps-l.Steps()) + envs - 1) / envs * envs // environments step together
	out.Seen = l.Updates()
	out.Updates = out.Seen + (l.state.Debt+l.due(left))/l.pace.every()*perUpdate(l.Learner)
	out.PerStep = (l.times.Env + l.times.Act) / time.Duration(l.Steps())
	if out.Seen > 0 {
		out.PerUpdate = l.times.Update / time.Duration(out.Seen)
	}
	out.Time = span(float64(out.Steps)*out.PerStep.Seconds() + float64(out.Updates)*out.PerUpdate.Seconds())
	out.Memory = residentMemory()
	return out, nil
}

// due is what left further steps add to Debt: of episodes, as many as there were per step so far. If none has
// finished yet, they are taken to be no longer than those that run.
func (l *Loop) due(left int64) int64 {
	if l.pace.UpdateEpisodes == 0 {
		return left
	}
	finished := l.state.Episodes
	if finished == 0 {
		finished = int64(l.pace.Envs)
	}
	return int64(float64(left) * float64(finished) / float64(l.state.Steps))
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

// oneLine turns a panic of somebody's world or method into an error.
func oneLine(err *error) {
	if p := recover(); p != nil {
		*err = panicLine(p)
	}
}

func panicLine(p any) error {
	line, _, _ := strings.Cut(fmt.Sprint(p), "\n")
	return fmt.Errorf("train: panic: %s", line)
}
