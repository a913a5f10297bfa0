package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/muster-marl/muster/pkg/nn"
)

// Net holds the layer sizes of the networks of Zhu, Diallo & Sugawara (ICAART 2020), figure 2: two 3×3
// convolutions, a 2×2 pool, and dense layers after the flattened images and the vector have been joined.
type Net struct {
	Conv        [2]int // channels
	Own         [2]int // dense layers of an independent network
	Trunk       int    // dense layer of each agent's part of the joint network
	Joint       [2]int // dense layers over all agents' parts
	SplitTrunks bool   // true = the agents' parts of the joint network have weights of their own
}

// Takeout returns sizes and constants for the paper's task (specification sections 4 and 6: the paper gives
// γ, ε and the target period; layer sizes, optimiser and replay are our decisions).
func Takeout() (Net, Training) {
	return Net{Conv: [2]int{16, 32}, Own: [2]int{128, 64}, Trunk: 64, Joint: [2]int{256, 256}},
		Training{
			LR: 1e-4, Gamma: 0.95, ClipNorm: 10,
			Batch: 32, Buffer: 100_000, Warmup: 7200, Envs: 4, UpdateEvery: 4, TargetEvery: 1800, SmallBatch: 1,
			RewardScale: 1, Epsilon: Decay{From: 1, Factor: 0.9999995, To: 0.1}, TimeOutEnds: true,
		}
}

// TakeoutMini returns sizes and constants for the small task (10×10, four couriers): 400 episodes of 200
// steps, ε down to 0.1 after 60 % of them.
func TakeoutMini() (Net, Training) {
	return Net{Conv: [2]int{8, 16}, Own: [2]int{64, 32}, Trunk: 32, Joint: [2]int{128, 128}},
		Training{
			LR: 5e-4, Gamma: 0.95, ClipNorm: 10,
			Batch: 32, Buffer: 20_000, Warmup: 2000, Envs: 4, UpdateEvery: 4, TargetEvery: 500, SmallBatch: 1,
			RewardScale: 0.1, Epsilon: Decay{From: 1, Factor: 0.99995203, To: 0.1}, TimeOutEnds: true,
		}
}

// IndependentDQN gives every agent a network and a double DQN of its own ("decentralized", equations 5 and 6):
//
//	Lᵢ = E[(rᵢ + γ·Qᵢ⁻(s'ᵢ, argmaxₐ Qᵢ(s'ᵢ, a)) − Qᵢ(sᵢ, aᵢ))²]
//
// Deviations: equation 6 prints the weights in reverse (Target: ReverseDoubleQ); the prose says double DQN.
func IndependentDQN(net Net, t Training) System {
	return System{Name: "dqn-independent", Sees: Sees{Obs: true}, Agent: FeedForward(ownNetworks(net)), Loss: TD, Target: DoubleQ, Train: t}
}

// JointDQN learns one network with a head per agent, and the sum of the chosen heads as the value of the team
// ("centralized", equations 7, 11 and 12), so that the best joint action is the best action of each head:
//
//	L = E[(Σrᵢ + γ·ΣQᵢ⁻(s', argmaxₐ Qᵢ(s', a)) − ΣQᵢ(s, aᵢ))²]
//
// Deviations: as IndependentDQN; equation 12's sum begins at agent 1.
func JointDQN(net Net, t Training) System {
	return System{
		Name: "dqn-joint", Sees: Sees{Obs: true}, Agent: FeedForward(jointNetwork(net)), Mixer: Additive, Team: SumOfRewards, Loss: TD, Target: DoubleQ, Train: t,
	}
}

// ownNetworks is figure 2a, one network per agent, stacked.
func ownNetworks(net Net) func(s *model.Scope, in Inputs) *Node {
	return func(s *model.Scope, in Inputs) *Node {
		t, b, n := in.Obs.Shape().Dim(0), in.Obs.Shape().Dim(1), in.Obs.Shape().Dim(2)
		x := eyes(s, net.Conv, byAgent(in.Obs), in) // [agent, time·batch, features]
		x = nn.ReLU(nn.Dense(s.In("fnc1"), x, net.Own[0]))
		x = nn.ReLU(nn.Dense(s.In("fnc2"), x, net.Own[1]))
		q := nn.Dense(s.In("q"), x, in.Spec.Choices())
		return TransposeAllAxes(Reshape(q, n, t, b, in.Spec.Choices()), 1, 2, 0, 3)
	}
}

// jointNetwork is figure 2b: a part per agent, with shared weights unless net.SplitTrunks, then one network.
func jointNetwork(net Net) func(s *model.Scope, in Inputs) *Node {
	return func(s *model.Scope, in Inputs) *Node {
		d := in.Obs.Shape().Dimensions
		t, b, n := d[0], d[1], d[2]
		rows := Reshape(in.Obs, 1, t*b*n, d[3])
		if net.SplitTrunks {
			rows = byAgent(in.Obs)
		}
		x := nn.ReLU(nn.Dense(s.In("fcn_a"), eyes(s, net.Conv, rows, in), net.Trunk))
		if net.SplitTrunks {
			x = TransposeAllAxes(x, 1, 0, 2)
		}
		x = Reshape(x, 1, t*b, n*net.Trunk)
		x = nn.ReLU(nn.Dense(s.In("fcn3"), x, net.Joint[0]))
		x = nn.ReLU(nn.Dense(s.In("fcn4"), x, net.Joint[1]))
		return Reshape(nn.Dense(s.In("q"), x, n*in.Spec.Choices()), t, b, n, in.Spec.Choices())
	}
}

// byAgent brings the agents to the front: [time, batch, agent, obs] → [agent, time·batch, obs].
func byAgent(obs *Node) *Node {
	d := obs.Shape().Dimensions
	return Reshape(TransposeAllAxes(obs, 2, 0, 1, 3), d[2], d[0]*d[1], d[3])
}

// eyes runs the convolutions over the images of each row and joins the vector: [net, row, obs] →
// [net, row, feature].
func eyes(s *model.Scope, channels [2]int, rows *Node, in Inputs) *Node {
	if len(in.Spec.Planes) != 1 {
		exceptions.Panicf("value: %s has %d images in an observation, want 1 for a convolutional network", in.Spec.Name, len(in.Spec.Planes))
	}
	nets, k, p := rows.Shape().Dim(0), rows.Shape().Dim(1), in.Spec.Planes[0]
	image := Slice(rows, AxisRange(), AxisRange(), AxisRange(0, in.Spec.PlaneDim()))
	x := Reshape(TransposeAllAxes(image, 0, 2, 1), nets, p[0], p[1], p[2], k) // rows last, as Conv3 takes them
	x = nn.ReLU(nn.Conv3(s.In("conv1"), x, channels[0], 0, 0))
	x = nn.MaxPool2(nn.ReLU(nn.Conv3(s.In("conv2"), x, channels[1], p[1]/2*2, p[2]/2*2))) // what the pool reads
	x = TransposeAllAxes(Reshape(x, nets, -1, k), 0, 2, 1)
	if in.Spec.PlaneDim() == in.Spec.ObsDim {
		return x
	}
	vector := Slice(rows, AxisRange(), AxisRange(), AxisRangeToEnd(in.Spec.PlaneDim()))
	return Concatenate([]*Node{x, vector}, 2)
}
