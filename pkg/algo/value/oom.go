package value

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/rl"
	"github.com/muster-marl/muster/pkg/team"
)

// OOM is bilateral team formation by order-oriented matching, which is stable (Moslemi & Lee, arXiv 2506.20039, §4.3,
// Algorithm 1): Matched with deferred acceptance. The world needs leaders.
func OOM(w Width, t Training) System {
	sys := Matched(team.OOM(), w, t)
	sys.Name = "oom"
	return sys
}

// SOM is bilateral team formation by score-oriented matching, which is greedy and not stable (Moslemi & Lee, §4.3,
// Algorithm 2). The world needs leaders.
func SOM(w Width, t Training) System {
	sys := Matched(team.SOM(), w, t)
	sys.Name = "som"
	return sys
}

// Matched is REFIL with agents and a mixer that know groups, which the rule forms at each step from the attention's
// logits, and a loss that keeps embeddings alike within groups and apart between them (Moslemi & Lee, §4.4; λ = 0.5 as
// in REFIL):
//
//	L = (1−λ)·L_TD + λ·L_imagined + L_SD
//
// The imagined passes keep the groups of the real one. With team.Random, Fixed or None it tells what matching adds to
// these networks. For other scores set Agent to InGroups(w, Weights) or InGroups(w, OfSeen(Logits)); Group.Every holds
// groups for some steps.
func Matched(rule team.Matcher, w Width, t Training) System {
	sys := REFIL(0.5, w, t)
	sys.Name, sys.Group = "matched-"+rule.Name, Group{Matcher: rule}
	sys.Agent, sys.Mixer = InGroups(w, Logits), FlexibleInGroups(w)
	sys.Loss = Diverse(sys.Loss, 1)
	return sys
}

// Diverse adds, with that weight, the similarity-diversity loss: the mean over steps of rl.SimilarityDiversity, whose
// sum over pairs is not divided by their number (as printed; GoMARL divides it by n² and weighs it with 0.005). It
// trains the encoder of InGroups alone. Reported are "sd_loss", and "sd_grad_norm", the norm of its own gradient: the
// whole gradient, "grad_norm", is clipped as one.
func Diverse(loss Loss, weight float64) Loss {
	return func(f *Forward) *Node {
		e, d := f.Values.Embedding, f.Values.Embedding.Shape().Dimensions
		rows, n := d[0]*d[1], d[2]
		here := Reshape(agents(f.In.Present, f.In), rows, n)
		sum := rl.SimilarityDiversity(Reshape(e, rows, n, d[3]), Reshape(f.In.Group, rows, n, Slots), here)
		sd := f.Mean(Mul(Reshape(sum, d[0], d[1], 1), f.Filled))
		f.Report("sd_loss", sd)
		sd = MulScalar(sd, weight)
		var encoder []*Node
		for _, p := range nn.Params(f.Online.At("agent").At("encoder"), e.Graph()) {
			encoder = append(encoder, p.NodeValue(e.Graph()))
		}
		_, norm := nn.ClipByGlobalNorm(Gradient(sd, encoder...), 1)
		f.Report("sd_grad_norm", norm)
		return Add(loss(f), sd)
	}
}
