package value

import (
	"testing"

	"github.com/muster-marl/muster/pkg/xla"
)

// Weighted QMIX and QTRAN on handMade. Their networks are set by hand, so that each number can be worked out.

// TestWeightedByHand: Q_tot is the sum of the agents' values, Q* is 3 + 2 by the online weights and 4 + 3 = 7 by the
// target ones, whatever happens. In the order of the sample, first steps first:
//
//	y = r + ½·7           4.5, 4.5, 5.5, 4 at an end, 6.5
//	Q_tot − y             0.5, 1.5, 0.5, 3, −4.5
//	Q* − y                0.5, 0.5, −0.5, 1, −1.5
//	greedy and done       (1, 0), (0, 1), (0, 1), (1, 0); in the last step (0, 1) is greedy and (0, 0) done
func TestWeightedByHand(t *testing.T) {
	const joint = (0.25 + 0.25 + 0.25 + 1 + 2.25) / 5.0
	for _, c := range []struct {
		sys        System
		want, full float64 // Q_tot's loss, and how many of the five steps count fully
	}{
		{OWQMIX(0.5, handTraining()), (0.5*0.25 + 0.5*2.25 + 0.5*0.25 + 0.5*9 + 20.25) / 5, 1.0 / 5}, // below its target: the last
		{CWQMIX(0.1, handTraining()), (0.25 + 2.25 + 0.25 + 9 + 0.1*20.25) / 5, 4.0 / 5},             // greedy: all but the last
	} {
		sys := c.sys
		sys.Mixer, sys.Agent, sys.Sees = Additive, readOff(), Sees{Obs: true, State: true}
		l := build(t, sys, toy{3}, xla.Go)
		put(t, l, "/online/central/mixer/", map[string]map[int]float32{"q/b": one(0, 3), "v/out/b": one(0, 2)})
		put(t, l, "/target/central/mixer/", map[string]map[int]float32{"q/b": one(0, 4), "v/out/b": one(0, 3)})
		updated(t, l, handMade(), map[string]float64{
			"central_loss": joint, "loss": c.want + joint, "full_weight": c.full, "td_error": (0.5 + 1.5 + 0.5 + 3 + 4.5) / 5,
		})
	}
}

// TestCentralWeighting: nothing that is done is greedy, so only y > Q*⁻(s, greedy) counts. Q* is 0 and Q*⁻ 3,
// so y = 2.5, 2.5, 3.5, 4 at an end, 4.5.
func TestCentralWeighting(t *testing.T) {
	sys := CWQMIX(0.1, handTraining())
	sys.Mixer, sys.Agent, sys.Sees = Additive, readOff(), Sees{Obs: true, State: true}
	l := build(t, sys, toy{3}, xla.Go)
	put(t, l, "/online/central/mixer/", nil)
	put(t, l, "/target/central/mixer/", map[string]map[int]float32{"q/b": one(0, 3)})
	s := handMade()
	s.Actions = []int32{0, 1 /**/, 1, 1 /**/, 1, 0 /**/, 0, 0 /**/, 0, 0, 0, 0}
	// Q_tot of that: 1+0, 1+2, 1+1, 0+5, 0+2; of the targets the third, fourth and fifth are above 3
	updated(t, l, s, map[string]float64{
		"full_weight": 3.0 / 5, "central_loss": (6.25 + 6.25 + 12.25 + 16 + 20.25) / 5,
		"loss": (0.1*2.25+0.1*0.25+2.25+1+6.25)/5 + (6.25+6.25+12.25+16+20.25)/5,
	})
}

// TestCentralTargets: Q* that adds up its own agents' values is what handMade has for a sum: the greedy actions of the
// other agents, the online ones, are looked up in the target weights.
func TestCentralTargets(t *testing.T) {
	sys := OWQMIX(1, handTraining())
	sys.Mixer, sys.Agent, sys.Sees = Additive, readOff(), Sees{Obs: true, State: true}
	l := build(t, sys, toy{3}, xla.Go)
	for _, path := range []string{"/online/central/mixer/", "/target/central/mixer/"} {
		put(t, l, path, map[string]map[int]float32{ // behind the two of the state the values of the agents; unit 0 of each layer
			"fc1/w": {2 * 256: 1, 3 * 256: 1}, "fc2/w": one(0, 1), "fc3/w": one(0, 1), "q/w": one(0, 1),
		})
	}
	const loss = (9 + 20.25 + 72.25 + 2.25 + 9) / 5
	updated(t, l, handMade(), map[string]float64{"central_loss": loss, "loss": 2 * loss, "td_error": 4.1})
}

// TestQTRANByHand: Q_jt is 5 and 2 for each agent that does action 1 by the online weights, 6 and 2 by the target ones;
// V is 2. In the order of the sample, first steps first:
//
//	Q_jt of what was done  7, 7, 7, 7, 5
//	y                      1 + 4, 1 + 4, 2 + 4, 4 at an end, 3 + 4: one agent of each greedy pair does action 1
//	Σ max Qᵢ − Q_jt + V    5 − 7 + 2, 6 − 7 + 2, 6 − 7 + 2, 7 − 7 + 2, 3 − 7 + 2
//	Σ Qᵢ − Q_jt + V        0, 1, 1, 2, 2 − 5 + 2, of which only what is below 0 counts
func TestQTRANByHand(t *testing.T) {
	sys := QTRAN(2, 0.1, handTraining())
	sys.Agent, sys.Sees = readOff(), Sees{Obs: true, State: true}
	l := build(t, sys, toy{3}, xla.Go)
	for path, bias := range map[string]float32{"/online/mixer/": 5, "/target/mixer/": 6} {
		put(t, l, path, map[string]map[int]float32{
			// Of an agent's memory, action 0 and action 1 the last passes both layers and is the third input behind the
			// two of the state; unit 0 of the three layers.
			"code/in/w": one(2*3+2, 1), "code/out/w": one(2*3+2, 1), "q/first/w": one(4*64, 1),
			"q/rest/in/w": one(0, 1), "q/rest/out/w": one(0, 2), "q/rest/out/b": one(0, bias),
		})
	}
	put(t, l, "/online/central/v/", map[string]map[int]float32{"rest/out/b": one(0, 2)})
	td, opt, other := (4+4+1+9+4)/5.0, (0+1+1+4+4)/5.0, 1/5.0
	updated(t, l, handMade(), map[string]float64{"opt_loss": opt, "nopt_loss": other, "loss": td + 2*opt + 0.1*other})
}
