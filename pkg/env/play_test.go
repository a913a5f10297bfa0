package env_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/matrix"
	"github.com/muster-marl/muster/pkg/rng"
)

func TestPlayErrors(t *testing.T) {
	stop := errors.New("seen enough")
	for _, c := range []struct {
		name    string
		actions [][]int32
		look    error
		want    string
	}{
		{"too long", [][]int32{{0, 0}, {1, 1}}, nil, "over after 1 steps, but there are actions for 2"},
		{"unavailable", [][]int32{{0, 3}}, nil, "action 3 of agent 1"},
		{"too few", [][]int32{{0}}, nil, "1 actions, want 2"},
		{"look", [][]int32{{0, 0}}, stop, stop.Error()},
	} {
		looks := 0
		err := env.Play(matrix.Climb{}, rng.New(1), c.actions, nil, func(int, env.Env, *env.Step) error { looks++; return c.look })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if c.look != nil && looks != 1 {
			t.Errorf("%s: looked %d times after its error", c.name, looks)
		}
	}
}
