package sweep_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// pace is how long a step of any world takes, so that tests can stop, kill and requeue what runs. It is no part of a
// run's identity.
var pace, _ = time.ParseDuration(os.Getenv("TEST_PACE"))

// street is a small world: a walker on some places who is paid at the last one; a gust may move it.
type street struct{ Places int }

func (s street) New() (env.Env, error) {
	if s.Places < 2 {
		return nil, fmt.Errorf("street: %d places, want at least 2", s.Places)
	}
	return &walk{s: s}, nil
}

type walk struct {
	s     street
	at, t int
	rand  *rand.Rand
}

func (w *walk) Spec() env.Spec {
	return env.Spec{Name: fmt.Sprintf("test/street%d", w.s.Places), Agents: 1, Actions: []int{3}, ObsDim: 1, MaxSteps: 12}
}

func (w *walk) Reset(ep env.Episode, out *env.Step) {
	w.rand, w.t, w.at = ep.Rand, 0, ep.Rand.IntN(w.s.Places-1)
	w.show(out)
}

func (w *walk) Step(act env.Actions, out *env.Step) {
	time.Sleep(pace)
	w.t++
	move := int(act.Discrete[0]) - 1
	if w.rand.IntN(10) == 0 {
		move = w.rand.IntN(3) - 1
	}
	w.at = min(max(w.at+move, 0), w.s.Places-1)
	if w.at == w.s.Places-1 {
		out.Reward[0] = 1
	}
	w.show(out)
	if w.t == 12 {
		out.Truncated, out.Outcome = true, env.TimeOut
	}
}

func (w *walk) show(out *env.Step) {
	out.Obs[0] = float32(w.at)
	for i := range out.Avail {
		out.Avail[i] = true
	}
}

// table is Q-learning with a table, in plain Go.
type table struct {
	Name  string
	Rate  float64
	Fails int64 // an update that fails; 0 = none
}

func (m table) String() string   { return m.Name }
func (m table) Pace() train.Pace { return train.Pace{Envs: 2, UpdateEvery: 4} }

func (m table) Build(s train.Setup) (train.Learner, replay.Replay, error) {
	buffer, err := replay.NewTransitions(s.Env, 100, 40, 8)
	if err != nil {
		return nil, nil, err
	}
	l := &tabler{m: m, Q: make([]float32, 3*16)}
	for i, r := 0, s.Key.Split("init").Rand(); i < len(l.Q); i++ {
		l.Q[i] = r.Float32()
	}
	return l, buffer, nil
}

type tabler struct {
	m       table
	Updates int64
	Q       []float32 // [place][action]
}

func (l *tabler) Policy() policy.Policy { return l }

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
	if l.Updates++; l.Updates == l.m.Fails {
		return nil, errors.New("table: the loss is not finite")
	}
	loss := 0.0
	for i := range s.Batch {
		now, then := 3*int(s.Obs[i]), 3*int(s.Obs[s.Batch+i])
		q := &l.Q[now+int(s.Actions[i])]
		delta := s.Reward[i] + 0.9*l.Q[then+int(best(l.Q[then:then+3]))] - *q
		*q += float32(l.m.Rate) * delta
		loss += float64(delta * delta)
	}
	return train.Metrics{"loss": loss}, nil
}

func (l *tabler) Programs() (string, map[string]string) { return "plain", map[string]string{} }
func (l *tabler) Provenance() map[string]string         { return map[string]string{"banner": "plain Go"} }
func (l *tabler) Save(w io.Writer) error                { return json.NewEncoder(w).Encode(l) }
func (l *tabler) Load(r io.Reader) error                { return json.NewDecoder(r).Decode(l) }
func (l *tabler) Memory(int) policy.Memory              { return policy.None{} }

func (l *tabler) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	r := key.Rand()
	for i := range b.N {
		at := 3 * int(b.Obs[i])
		out.Discrete[i] = best(l.Q[at : at+3])
		if mode.Explore && r.Float64() < 0.2 {
			out.Discrete[i] = int32(r.IntN(3))
		}
	}
	return nil
}
