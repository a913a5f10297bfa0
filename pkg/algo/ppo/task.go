package ppo

import "github.com/muster-marl/muster/pkg/xla"

// Task holds what STEER's scripts set for each kind of world, the same for STEER and its baselines.
type Task struct {
	Envs, Horizon       int // environments, steps of each per update
	LR, Clip, ClipNorm  float64
	Epochs, Minibatches int
	Entropy             float64
	From                float64 // entropy coefficient at the beginning under Ours; 0 = Entropy throughout
}

// OneStep is the task of games of one step (a comment in train_matrix.sh).
func OneStep() Task {
	return Task{Envs: 4, Horizon: 25, LR: 5e-4, Clip: 0.2, ClipNorm: 10, Epochs: 5, Minibatches: 1, Entropy: 0.05, From: 1}
}

// NStep is the task of games of several steps (train_matrix.sh).
func NStep() Task {
	return Task{Envs: 10, Horizon: 100, LR: 5e-4, Clip: 0.2, ClipNorm: 10, Epochs: 5, Minibatches: 1, Entropy: 0.05, From: 0.5}
}

// Merging is the task of the highway's ramp (train_highway.sh).
func Merging() Task {
	return Task{Envs: 20, Horizon: 200, LR: 5e-4, Clip: 0.05, ClipNorm: 10, Epochs: 5, Minibatches: 1, Entropy: 0.01}
}

// Spreading is the task of particle worlds (train_mpe.sh).
func Spreading() Task {
	return Task{Envs: 128, Horizon: 25, LR: 7e-4, Clip: 0.05, ClipNorm: 10, Epochs: 10, Minibatches: 1, Entropy: 0.01}
}

// Released returns the constants of the released code (config.py and the scripts): a constant entropy
// coefficient, advantages normalised over all agents together, no policy floor.
//
// Deviations: the clock's end is bootstrapped (the code takes it as the task's end, and gives the last step of
// particle worlds no advantage); the value loss is symmetric (the code's Huber loss is 0 for errors below −10).
func Released(t Task) Training {
	return Training{
		LR: t.LR, Gamma: 0.99, Lambda: 0.95, Envs: t.Envs, Horizon: t.Horizon, Epochs: t.Epochs, Minibatches: t.Minibatches,
		Clip: t.Clip, ClipNorm: t.ClipNorm, Entropy: Linear{To: t.Entropy}, ValueCoef: 1, Huber: 10, ValueClip: true,
		GlobalNorm: true, Components: true, SmallBatch: xla.SmallBatch,
	}
}

// Ours returns Released with advantages of each agent normalised apart, and where the task explores more (games) with
// an entropy coefficient that falls linearly from Task.From to 0.01 over 70 % of steps, a policy floor of 0.03, and
// rollouts of as many steps from 100 environments. The released constants do not leave the safe joint action of
// Penalty, and normalising private rewards together drives converged policies away again.
func Ours(t Task, steps int64) Training {
	out := Released(t)
	out.GlobalNorm = false
	if t.From > 0 {
		out.Entropy, out.Floor = Linear{From: t.From, To: 0.01, Steps: steps * 7 / 10}, 0.03
		out.Envs, out.Horizon = 100, t.Envs*t.Horizon/100
	}
	return out
}
