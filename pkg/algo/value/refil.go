package value

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
)

// REFIL also learns, with weight lambda, the same return factored over a random split of the entities into two groups
// (Iqbal et al., ICML 2021, equations 5 to 8): each agent is valued once by what it sees of its own group and once by
// what it sees of the other, and both values are mixed:
//
//	L = (1−λ)·L_TD + λ·L_imagined,  L_imagined = E[(mixer(Q within, Q across) − y)²]
//
// lambda is 0.5 in the code. Deviations: none known. Acting never uses the split.
func REFIL(lambda float64, w Width, t Training) System {
	sys := AQMIX(w, t)
	sys.Name, sys.Noise, sys.Loss = "refil", CoinPerEntity, Imagined(lambda)
	return sys
}

// Imagined is REFIL's loss; its System needs CoinPerEntity.
func Imagined(lambda float64) Loss {
	return func(f *Forward) *Node {
		all, in := f.All, f.In
		all.Views, f.In.Also = splitViews(f.All), splitViews(f.In)
		in.Views, in.Also = f.In.Also, f.In.Also
		v := f.Again(all).moments(0, f.Taken.Shape().Dim(0))
		q := ReduceSum(Mul(v.Q, Concatenate([]*Node{f.Taken, f.Taken}, 2)), 3)
		imagined := f.SquaredError(f.Mix(q, f.Values, in))
		f.Report("imagined_loss", imagined)
		return Add(MulScalar(TD(f), 1-lambda), MulScalar(imagined, lambda))
	}
}

// splitViews are the pairs within the groups that the coins make, and those across them, [time, batch, agent, entity].
func splitViews(in Inputs) []*Node {
	same := Equal(ExpandAxes(agents(in.Noise, in), 3), ExpandAxes(in.Noise, 2))
	return []*Node{same, LogicalNot(same)}
}

// CoinPerEntity draws REFIL's split of one episode: p ~ U(0, 1), then for each entity 1 with probability p, else 0.
func CoinPerEntity(r *rand.Rand, _ []bool, entity []float32) {
	p := r.Float64()
	for i := range entity {
		if entity[i] = 0; r.Float64() < p {
			entity[i] = 1
		}
	}
}
