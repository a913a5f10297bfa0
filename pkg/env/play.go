package env

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/rng"
)

// Play plays an episode again: the one that begins with key, with discrete actions [step][agent·head] and
// continuous ones [step][agent·ActDim], nil where the world has none. It calls look at each moment, t = 0 before
// the first step; s is valid during the call. Actions that were not available, and an episode that is over before
// its actions are, tell that they belong to another world: errors, like look's own.
func Play(w World, key rng.Key, discrete [][]int32, continuous [][]float32, look func(t int, e Env, s *Step) error) error {
	vec, err := NewVec(w, 1, func(int64) rng.Key { return key })
	if err != nil {
		return err
	}
	defer vec.Close()
	steps := max(len(discrete), len(continuous))
	if d, c := len(discrete), len(continuous); d != c && d > 0 && c > 0 {
		return fmt.Errorf("env: %s: discrete actions of %d steps and continuous ones of %d, want as many", vec.spec.Name, d, c)
	}
	now, err := vec.Before()
	for t := 0; ; t++ {
		if err != nil {
			return err
		}
		if err := look(t, vec.envs[0], now.At(0)); err != nil || t == steps {
			return err
		}
		if now.At(0).Over() {
			return fmt.Errorf("env: %s: the episode is over after %d steps, but there are actions for %d: they belong to another world or seed",
				vec.spec.Name, t, steps)
		}
		var act Actions
		if len(discrete) > 0 {
			act.Discrete = discrete[t]
		}
		if len(continuous) > 0 {
			act.Continuous = continuous[t]
		}
		now, err = vec.Step(act)
	}
}
