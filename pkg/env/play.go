package env

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/rng"
)

// Play plays an episode again: the one that begins with key, with actions [step][agent·head]. It calls look at
// each moment, t = 0 before the first step; s is valid during the call. Actions that were not available, and
// an episode that is over before its actions are, tell that they belong to another world: errors, like look's own.
func Play(w World, key rng.Key, actions [][]int32, look func(t int, e Env, s *Step) error) error {
	vec, err := NewVec(w, 1, func(int64) rng.Key { return key })
	if err != nil {
		return err
	}
	defer vec.Close()
	now, err := vec.Before()
	for t := 0; ; t++ {
		if err != nil {
			return err
		}
		if err := look(t, vec.envs[0], now.At(0)); err != nil || t == len(actions) {
			return err
		}
		if now.At(0).Over() {
			return fmt.Errorf("env: %s: the episode is over after %d steps, but there are actions for %d: they belong to another world or seed",
				vec.spec.Name, t, len(actions))
		}
		now, err = vec.Step(Actions{Discrete: actions[t]})
	}
}
