package value

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

func wantLine(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line with %q", err, want)
	}
}

func build(t testing.TB, s System, w env.World, backend string) *learner {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	return l.(*learner)
}

// filled plays random couriers and returns a sample for l.
func filled(t testing.TB, l *learner, w env.World) *replay.Sample {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	buffer, err := replay.NewTransitions(e, 2000, 0, l.sys.Train.Batch)
	if err != nil {
		t.Fatal(err)
	}
	vec, err := env.NewVec(w, 4, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
	if err != nil {
		t.Fatal(err)
	}
	r, act := rand.New(rand.NewPCG(1, 2)), make([]int32, 4*l.spec.Agents)
	for range 200 {
		before, err := vec.Before()
		if err != nil {
			t.Fatal(err)
		}
		env.RandomActions(l.spec, before.Avail, r, act)
		after, err := vec.Step(env.Actions{Discrete: act})
		if err != nil {
			t.Fatal(err)
		}
		buffer.Add(before, env.Actions{Discrete: act}, after, func(int) bool { return true })
	}
	return buffer.Sample(rng.New(3))
}

func weights(t testing.TB, l *learner) map[string]xla.Value {
	t.Helper()
	v, err := xla.Values(l.store, "/online/")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The two backends compute the same step but for rounding, and trace the same programs.
func TestBackendsAgree(t *testing.T) {
	list := backends(t)
	if len(list) < 2 {
		t.Skip("no XLA plugin")
	}
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		w := takeout.Mini()
		a, b := build(t, s, w, list[0]), build(t, s, w, list[1])
		_, ha := a.Programs()
		if _, hb := b.Programs(); ha["update"] != hb["update"] || ha["act"] != hb["act"] {
			t.Errorf("%s: the backends trace programs of different hashes %v, %v", s.Name, ha, hb)
		}
		sample := filled(t, a, w)
		for range 5 {
			ma, err := a.Update(sample)
			if err != nil {
				t.Fatal(err)
			}
			mb, err := b.Update(sample)
			if err != nil {
				t.Fatal(err)
			}
			for name, x := range ma {
				if math.Abs(x-mb[name]) > 1e-3*math.Abs(x)+1e-6 {
					t.Errorf("%s: %s is %v on %s and %v on %s", s.Name, name, x, list[0], mb[name], list[1])
				}
			}
		}
	}
}

// Repeating one sample must drive its loss down: values end where targets do not move.
func TestUpdateFitsASample(t *testing.T) {
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		w := takeout.Mini()
		w.View = 2
		s.Train.LR, s.Train.Batch = 2e-3, 8
		l := build(t, s, w, xla.Go)
		sample := filled(t, l, w)
		var first, last float64
		for i := range 150 {
			m, err := l.Update(sample)
			if err != nil {
				t.Fatal(err)
			}
			if last = m["loss"]; i == 0 {
				first = last
			}
		}
		if !(last < first/4) {
			t.Errorf("%s: loss went from %v to %v in 150 steps on one sample, want less than a quarter", s.Name, first, last)
		}
	}
}

func TestTargetNetworkIsCopiedOnTime(t *testing.T) {
	s := JointDQN(TakeoutMini())
	s.Train.TargetEvery = 3
	w := takeout.Mini()
	l := build(t, s, w, xla.Go)
	sample := filled(t, l, w)
	for u := 0; u <= 6; u++ {
		online, err := xla.Values(l.store, "/online/")
		if err != nil {
			t.Fatal(err)
		}
		target, err := xla.Values(l.store, "/target/")
		if err != nil {
			t.Fatal(err)
		}
		if len(target) != len(online) {
			t.Fatalf("%d target variables for %d online ones", len(target), len(online))
		}
		for path, v := range online {
			same := equal(v.Flat.([]float32), target["/target/"+strings.TrimPrefix(path, "/online/")].Flat.([]float32))
			if same != (u%3 == 0) {
				t.Errorf("after %d updates %s equals its target: %v", u, path, same)
			}
		}
		if _, err := l.Update(sample); err != nil {
			t.Fatal(err)
		}
	}
}

// A loss that is not finite stops the run with its step, and the checkpoint before it stands.
func TestNaNStopsTheRun(t *testing.T) {
	net, short := TakeoutMini()
	short.Warmup, short.Batch = 100, 4
	w := takeout.Mini()
	w.View = 2
	m, dir := JointDQN(net, short), t.TempDir()
	t.Setenv("GOMLX_BACKEND", xla.Go)
	good := &train.Experiment{Env: w, Method: m, Steps: 200, Dir: dir}
	if err := good.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.Train.RewardScale = 1e30 // its square is no float32
	bad := &train.Experiment{Env: w, Method: m, Steps: 400, Dir: t.TempDir(), CheckpointEvery: 1}
	err := bad.Run(context.Background())
	wantLine(t, err, "loss is +Inf at update")
	wantLine(t, err, "(step ")
	m.Train.RewardScale = 0.1
	p, err := train.Open(dir, w, m)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Error("no policy")
	}
	r, err := run.Open(bad.Dir)
	if err != nil {
		t.Fatal(err)
	}
	state := &stepOf{}
	if n, err := r.Restore(map[string]run.Checkpoint{"loop": state}); err != nil || n < 90 {
		t.Errorf("the last good checkpoint is of step %d (%v), want at least 90", n, err)
	}
}

func TestNaNRewardIsTheWorldsMistake(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	w := takeout.Mini()
	w.View = 2
	e := &train.Experiment{Env: poisoned{w}, Method: JointDQN(TakeoutMini()), Steps: 400, Dir: t.TempDir()}
	wantLine(t, e.Run(context.Background()), "takeout/mini-v2 pays agent 0 a reward of NaN at step 124")
}

// poisoned pays NaN from the 30th step of an episode on.
type poisoned struct{ takeout.World }

func (p poisoned) New() (env.Env, error) {
	e, err := p.World.New()
	return &poisonedEnv{Env: e, Observer: e.(env.Observer)}, err
}

type poisonedEnv struct {
	env.Env
	env.Observer
	t int
}

func (p *poisonedEnv) Reset(ep env.Episode, out *env.Step) { p.t = 0; p.Env.Reset(ep, out) }
func (p *poisonedEnv) Step(act env.Actions, out *env.Step) {
	p.Env.Step(act, out)
	if p.t++; p.t > 30 {
		out.Reward[0] = float32(math.NaN())
	}
}

// stepOf reads a part and throws it away.
type stepOf struct{}

func (*stepOf) Save(io.Writer) error { return nil }
func (*stepOf) Load(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
