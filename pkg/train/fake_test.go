package train_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// corridor is a small world: two agents on five places, who are paid when both stand at the last one. A gust
// may move them. It counts the steps that both stood there.
type corridor struct {
	Agents int
	Places int
	bad    spoil
}

// spoil is what tests let go wrong.
type spoil struct {
	spec  func(s *env.Spec)
	reset func(out *env.Step)
	step  func(out *env.Step) // after each step of any environment
}

func small() corridor { return corridor{Agents: 2, Places: 5} }

func (c corridor) New() (env.Env, error) {
	if c.Places < 2 {
		return nil, fmt.Errorf("corridor: %d places, want at least 2", c.Places)
	}
	return &walk{c: c, at: make([]int, c.Agents)}, nil
}

type walk struct {
	c    corridor
	at   []int
	t    int
	paid float32
	rand *rand.Rand
}

const clock = 9

func (w *walk) Spec() env.Spec {
	s := env.Spec{Name: "test/corridor", Agents: w.c.Agents, Actions: []int{3}, ObsDim: 2, MaxSteps: clock, Metrics: []string{"together"}}
	if w.c.bad.spec != nil {
		w.c.bad.spec(&s)
	}
	return s
}

func (w *walk) Reset(ep env.Episode, out *env.Step) {
	w.rand, w.t, w.paid = ep.Rand, 0, 0
	for a := range w.at {
		w.at[a] = w.rand.IntN(w.c.Places - 1)
	}
	w.show(out)
	if w.c.bad.reset != nil {
		w.c.bad.reset(out)
	}
}

func (w *walk) Step(act env.Actions, out *env.Step) {
	w.t++
	there := true
	for a := range w.at {
		move := int(act.Discrete[a]) - 1
		if w.rand.IntN(10) == 0 {
			move = w.rand.IntN(3) - 1
		}
		w.at[a] = min(max(w.at[a]+move, 0), w.c.Places-1)
		there = there && w.at[a] == w.c.Places-1
	}
	if there {
		w.paid++
		for a := range out.Reward {
			out.Reward[a] = 1
		}
	}
	w.show(out)
	switch {
	case w.paid == 2:
		out.Terminated, out.Outcome = true, env.Win
	case w.t == clock:
		out.Truncated, out.Outcome = true, env.TimeOut
	}
	if w.c.bad.step != nil {
		w.c.bad.step(out)
	}
}

func (w *walk) show(out *env.Step) {
	for a := range w.at {
		out.Obs[2*a], out.Obs[2*a+1] = float32(w.at[a]), float32(w.t)
	}
	for i := range out.Avail {
		out.Avail[i] = true
	}
	out.Metrics[0] = w.paid
}

// table is Q-learning with a table for each agent and place, in plain Go. Its target table is copied now and then,
// its step size sinks with the updates, and it explores by a rhythm that its memory keeps.
type table struct {
	Name                                     string
	Envs, Every, Warmup, Buffer, TargetEvery int
	Episodes                                 int // finished ones per update: learns from whole episodes, Buffer counts them
	Rate                                     float64
	program                                  string                // hash
	build                                    func(s train.Setup)   // before the learner is made
	save                                     func()                // before its state is written
	update                                   func(n int64) error   // before update n
	forget                                   bool                  // true = does not save the target table
	global                                   bool                  // true = draws from the global generator
	loses                                    bool                  // true = its memory saves nothing
	metrics                                  func(m train.Metrics) // changes what is logged
}

func tabular() table {
	return table{Name: "table", Envs: 3, Every: 4, Warmup: 40, Buffer: 100, TargetEvery: 7, Rate: 0.3, program: "a"}
}

// episodic learns from whole episodes.
func episodic() table {
	m := tabular()
	m.Every, m.Episodes, m.Buffer = 0, 2, 12
	return m
}

func (m table) String() string { return m.Name }
func (m table) Pace() train.Pace {
	return train.Pace{Envs: m.Envs, UpdateEvery: m.Every, UpdateEpisodes: m.Episodes}
}

func (m table) Build(s train.Setup) (train.Learner, replay.Replay, error) {
	if m.build != nil {
		m.build(s)
	}
	spec := s.Env.Spec()
	var buffer replay.Replay
	var err error
	if m.Episodes > 0 {
		buffer, err = replay.NewEpisodes(s.Env, replay.Keeps{Obs: true}, m.Envs, m.Buffer, 8)
	} else {
		buffer, err = replay.NewTransitions(s.Env, m.Buffer, m.Warmup, 8)
	}
	if err != nil {
		return nil, nil, err
	}
	n := spec.Agents * 8 * 3
	l := &tabler{m: m, agents: spec.Agents, tables: tables{Q: make([]float32, n), Target: make([]float32, n)}}
	for i, r := 0, s.Key.Split("init").Rand(); i < n; i++ {
		l.Q[i] = r.Float32()
	}
	return l, buffer, nil
}

type tables struct {
	Updates   int64
	Q, Target []float32 // [agent][place][action]
}

type tabler struct {
	tables
	m      table
	agents int
}

func (l *tabler) Policy() policy.Policy { return l }

func (l *tabler) at(agent int, obs []float32) int { return (agent*8 + int(obs[0])) * 3 }

func best(q []float32) int32 {
	k := 0
	for i, x := range q {
		if x > q[k] {
			k = i
		}
	}
	return int32(k)
}

func (l *tabler) Update(s *replay.Sample) (train.Metrics, error) {
	if l.m.update != nil {
		if err := l.m.update(l.Updates + 1); err != nil {
			return nil, err
		}
	}
	rate := float32(l.m.Rate / (1 + float64(l.Updates)/100))
	if l.m.global {
		rate *= rand.Float32()
	}
	loss := 0.0
	for i := range s.Time * s.Batch {
		if s.Filled != nil && s.Filled[i] == 0 {
			continue
		}
		for a := range l.agents {
			k, next := i*l.agents+a, (s.Batch+i)*l.agents+a
			now, then := l.at(a, s.Obs[2*k:]), l.at(a, s.Obs[2*next:])
			target := s.Reward[k]
			if s.Terminated[i] == 0 {
				target += 0.9 * l.Target[then+int(best(l.Q[then:then+3]))]
			}
			q := &l.Q[now+int(s.Actions[k])]
			loss += float64((target - *q) * (target - *q))
			*q += rate * (target - *q)
		}
	}
	if l.Updates++; l.Updates%int64(l.m.TargetEvery) == 0 {
		copy(l.Target, l.Q)
	}
	m := train.Metrics{"loss": loss}
	if l.m.metrics != nil {
		l.m.metrics(m)
	}
	return m, nil
}

func (l *tabler) Programs() (string, map[string]string) {
	return "plain", map[string]string{"update": l.m.program}
}
func (l *tabler) Provenance() map[string]string {
	return map[string]string{"banner": "plain Go", "backend": os.Getenv("TEST_BACKEND")}
}

func (l *tabler) Save(w io.Writer) error {
	if l.m.save != nil {
		l.m.save()
	}
	s := l.tables
	if l.m.forget {
		s.Target = nil
	}
	return json.NewEncoder(w).Encode(s)
}

func (l *tabler) Load(r io.Reader) error {
	var s tables
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	if len(s.Q) != len(l.Q) {
		return fmt.Errorf("table: %d values were saved, want %d", len(s.Q), len(l.Q))
	}
	if l.m.forget {
		s.Target = l.Target
	}
	l.tables = s
	return nil
}

// rhythm counts the steps of each environment's episode.
type rhythm struct {
	beats []int
	loses bool
}

func (r *rhythm) Begin(i int) { r.beats[i] = 0 }
func (r *rhythm) Save(w io.Writer) error {
	if r.loses {
		return nil
	}
	return json.NewEncoder(w).Encode(r.beats)
}
func (r *rhythm) Load(in io.Reader) error {
	if r.loses {
		return nil
	}
	return json.NewDecoder(in).Decode(&r.beats)
}

func (l *tabler) Memory(n int) policy.Memory { return &rhythm{make([]int, n), l.m.loses} }

func (l *tabler) Act(b *env.Batch, m policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	r, beats := key.Rand(), m.(*rhythm).beats
	for i := range b.N {
		beats[i]++
		for a := range l.agents {
			k := i*l.agents + a
			at := l.at(a, b.Obs[2*k:])
			out.Discrete[k] = best(l.Q[at : at+3])
			if mode.Explore && (beats[i]%3 == 0 || r.Float64() < 0.1) {
				out.Discrete[k] = int32(r.IntN(3))
			}
		}
	}
	return nil
}

// experiment is 300 steps of table on corridor with everything that a run can do.
func experiment(dir string) *train.Experiment {
	return &train.Experiment{
		Env: small(), Method: tabular(), Seed: 3, Steps: 300, Dir: dir,
		Eval: train.Eval{Every: 100, Episodes: 4, Final: 6}, Workers: 1, LogEvery: 50, CheckpointEvery: -1,
	}
}

func wantLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %q", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	must(t, err)
	return string(data)
}
