package value

import "github.com/muster-marl/muster/pkg/nn"

// PyMARL returns the constants of the authors' code of QMIX (oxwhirl/pymarl, src/config/default.yaml and
// algs/qmix.yaml): one environment, and one update after each episode.
func PyMARL() Training {
	return Training{
		LR: 5e-4, Optimiser: nn.RMSProp{Alpha: 0.99, Epsilon: 1e-5}, Gamma: 0.99, ClipNorm: 10,
		Batch: 32, Buffer: 5000, Envs: 1, UpdateEpisodes: 1, TargetEvery: 200, RewardScale: 1,
		Epsilon: Decay{From: 1, To: 0.05, Steps: 50_000}, SmallBatch: smallGRU, TimeOutEnds: true,
	}
}

// PyMARL2 returns the constants of the tuned QMIX (hijkzzz/pymarl2, src/config/algs/qmix.yaml): eight environments, and
// one update after eight episodes.
func PyMARL2() Training {
	t := PyMARL()
	t.LR, t.Optimiser, t.Lambda, t.Batch = 1e-3, nn.DefaultAdam(), 0.6, 128
	t.Envs, t.UpdateEpisodes, t.TargetEvery = 8, 8, 25
	t.Epsilon.Steps = 100_000
	return t
}

// Paper returns the constants of bilateral team formation, which are those of REFIL's code (shariqiqbal2810/REFIL,
// src/config/default.yaml and algs/refil.yaml): eight environments, eight updates after eight episodes.
func Paper() Training {
	t := PyMARL()
	t.Envs, t.Epsilon.Steps = 8, 500_000
	return t
}

// Tiny returns constants for short runs of small networks on two processor cores (ours): eight environments, and two
// updates after eight episodes.
func Tiny() Training {
	t := Paper()
	t.LR, t.Optimiser, t.Lambda = 1e-3, nn.DefaultAdam(), 0.6
	t.Batch, t.Buffer, t.UpdateEpisodes, t.TargetEvery = 16, 500, 4, 25
	t.Epsilon.Steps = 50_000
	return t
}

// smallGRU is the number of rows below which networks with a GRU act faster on the Go backend (docs/performance.md).
const smallGRU = 16
