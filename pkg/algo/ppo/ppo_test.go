package ppo

import (
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
	"github.com/muster-marl/muster/pkg/xla"
	"github.com/muster-marl/muster/pkg/xla/xlatest"
)

var backends = xlatest.Backends

func onGo(t *testing.T, f func(s *model.Scope, in []*Node) []*Node, inputs []xla.Input, values ...any) []any {
	t.Helper()
	return xlatest.OnGo(t, nn.NewStore(rng.New(1)), f, inputs, values...)
}

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

// trained is the loop after so many steps.
func trained(t *testing.T, w env.World, m train.Method, s train.Setup, steps int64) *train.Loop {
	t.Helper()
	l, err := train.NewLoop(w, m, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for l.Steps() < steps {
		if err := l.Iterate(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// small are constants for quick tests: rollouts of 5 steps of 4 environments in two minibatches.
func small() Training {
	return Training{
		LR: 1e-3, Gamma: 0.9, Lambda: 0.8, Envs: 4, Horizon: 5, Epochs: 2, Minibatches: 2, Clip: 0.2, ClipNorm: 1,
		Entropy: Linear{0.1, 0.01, 500}, ValueCoef: 1, Huber: 10, ValueClip: true, Floor: 0.03, SmallBatch: 1,
	}
}

var exploring = policy.Mode{Explore: true}

func tiny() Transformer { return Transformer{Width: 8, Heads: 2, Blocks: 2} }

// methods are all methods at the size of tests.
func methods() []System {
	net, own := MLP{Hidden: 8}, MLP{Hidden: 8, Own: true}
	named := func(name string, s System) System { s.Name = name; return s }
	return []System{
		IPPO(net, small()), MAPPO(own, small()), named("mappo-shared", MAPPO(net, small())),
		STEER(tiny(), Token, small()), MAT(tiny(), small()), MATDec(tiny(), small()),
		HAPPO(net, small()), A2PO(net, small()), STEP(Hyper{6, 5}, small()), STEERGRU(tiny(), Token, small()), HATRPO(net, small()),
	}
}

// A run that was stopped and went on equals one that was never interrupted, bit for bit.
func TestResume(t *testing.T) {
	for _, backend := range backends(t) {
		for _, s := range methods() {
			if backend != xla.Go && s.Name == "steer-gru" {
				continue // compiling takes long, and it keeps what STEER keeps
			}
			t.Run(s.Name+"/"+backend, func(t *testing.T) {
				t.Setenv("GOMLX_BACKEND", backend)
				traintest.Resume(t, matrix.Climb{}, s, 50)
			})
		}
	}
}

func TestResumeOfContinuousActions(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", xla.Go)
	for _, s := range methods() {
		if s.Name == "a2po" || s.Name == "ippo" || s.Name == "mat-dec" || s.Name == "step" {
			continue // the same paths as others
		}
		s.Train.Floor, s.Train.Components = 0, s.Decode != nil
		traintest.Resume(t, oligopoly.Market{Firms: 2}, s, 50)
	}
}
