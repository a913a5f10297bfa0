package value

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestHandMadeLoss: targets, errors, loss, gradient and optimiser step of a sample worked out by hand, through the whole
// engine. y = r + ½·next gives 8, 10.5, 10.5, 7.5, 4 and the errors −3, −4.5, −8.5, −1.5, 3.
func TestHandMadeLoss(t *testing.T) {
	w := func(l *learner) float64 {
		return float64(weights(t, l)["/online/agent/w"].Flat.([]float32)[0])
	}
	l := build(t, additive(), toy{3}, xla.Go)
	updated(t, l, handMade(), map[string]float64{
		"loss":      (9 + 20.25 + 72.25 + 2.25 + 9) / 5,
		"td_error":  (3 + 4.5 + 8.5 + 1.5 + 3) / 5.0,
		"q_value":   (5 + 6 + 2 + 6 + 7) / 5.0,
		"grad_norm": 18.8, // |2/5·(−3·5 − 4.5·6 − 8.5·2 − 1.5·6 + 3·7)|
	})
	// The gradient −18.8 is clipped to −10, whose mean square of RMSProp is 0.01·100 = 1.
	if got := w(l); math.Abs(got-(1+0.1*10/(1+1e-5))) > 1e-5 {
		t.Errorf("the weight becomes %v, want 1.1", got)
	}

	clock := additive()
	clock.Train.TimeOutEnds = true // the first episode's last target is its reward, 3
	updated(t, build(t, clock, toy{3}, xla.Go), handMade(), map[string]float64{"loss": (9 + 20.25 + 1 + 2.25 + 9) / 5})

	// With λ = 1 the targets are returns: 10.5, 7.25, 4.625 backwards from the cut, and 4, 3 from the end.
	whole := additive()
	whole.Train.Lambda = 1
	updated(t, build(t, whole, toy{3}, xla.Go), handMade(), map[string]float64{"loss": (0.140625 + 1.5625 + 72.25 + 9 + 9) / 5})
	none := additive()
	none.Train.Lambda = 1e-9 // the path of λ-returns, at the one-step targets
	updated(t, build(t, none, toy{3}, xla.Go), handMade(), map[string]float64{"loss": (9 + 20.25 + 72.25 + 2.25 + 9) / 5})

	// Agents who learn alone: errors of their own rewards and values.
	alone := IQL(handTraining())
	alone.Sees, alone.Agent = Sees{Obs: true}, readOff()
	a := []float64{2 - (0 + 4), 2 - (2 + 5), 0 - (3 + 3.5), 4 - (1 + 4), 2 - 4}
	b := []float64{3 - (2 + 3), 4 - (2 + 3.5), 2 - (3 + 4), 2 - (1 + 2.5), 5 - 4}
	sum := 0.0
	for i := range a {
		sum += a[i]*a[i] + b[i]*b[i]
	}
	updated(t, build(t, alone, toy{3}, xla.Go), handMade(), map[string]float64{"loss": sum / 10})
}

// flat lists the methods for a fixed team that observes vectors, and entity those over entities, all with the constants t.
func flatMethods(t Training) []System {
	return []System{IQL(t), VDN(t), QMIX(t), QPLEX(t), CWQMIX(0.1, t), OWQMIX(0.5, t), QTRAN(1, 0.1, t)}
}

func entityMethods(t Training) []System {
	return []System{AQMIX(TinyWidth(), t), EntityVDN(TinyWidth(), t), REFIL(0.5, TinyWidth(), t)}
}

// TestPaddingLeavesTheLoss: the same two episodes, once cut to their longest and once with twelve more steps of padding
// that holds other numbers.
func TestPaddingLeavesTheLoss(t *testing.T) {
	constants := handTraining()
	constants.ClipNorm, constants.LR = 1e9, 1e-3
	for _, sys := range flatMethods(constants) {
		short := build(t, sys, toy{3}, xla.Go)
		long := build(t, sys, toy{15}, xla.Go)
		for range 2 { // the second update sees what the first has learnt
			s := handMade()
			want, err := short.Update(s)
			if err != nil {
				t.Fatal(err)
			}
			copied := map[string]float64{}
			for name, x := range want {
				copied[name] = x
			}
			updated(t, long, padded(s, 15), copied)
		}
	}
}

// padded is s with padding up to so many steps.
func padded(s *replay.Sample, steps int) *replay.Sample {
	more, p := (steps-s.Time)*s.Batch, *s
	p.Time = steps
	grow := func(x []float32, each int, with float32) []float32 {
		return append(slices.Clone(x), slices.Repeat([]float32{with}, more*each)...)
	}
	p.Obs, p.State = grow(s.Obs, 4, 9), grow(s.State, 2, -9)
	p.Reward, p.Terminated, p.Truncated, p.Filled = grow(s.Reward, 2, 50), grow(s.Terminated, 1, 0), grow(s.Truncated, 1, 0), grow(s.Filled, 1, 0)
	p.Actions = append(slices.Clone(s.Actions), make([]int32, more*2)...)
	p.Avail = append(slices.Clone(s.Avail), slices.Repeat([]bool{true, false}, more*2)...)
	return &p
}

// TestOnlyWhatWasDoneLearns: the values of actions that nobody chose get no gradient, those that were chosen do. The
// agents are a table of their own for each moment, so that none shares weights with another.
func TestOnlyWhatWasDoneLearns(t *testing.T) {
	for _, sys := range flatMethods(handTraining()) {
		if sys.Name == "qtran" {
			continue // its first loss is about the greedy actions
		}
		sys.Agent, sys.Sees.Last = tableOfMoments(), false
		l := build(t, sys, toy{3}, xla.Go)
		s := handMade()
		before := slices.Clone(weights(t, l)["/online/agent/table"].Flat.([]float32))
		if _, err := l.Update(s); err != nil {
			t.Fatal(err)
		}
		after := weights(t, l)["/online/agent/table"].Flat.([]float32)
		for i := range after { // [moment, batch, agent, action]
			step, action := i/2, int32(i%2)
			done := i < len(s.Actions)*2 && s.Actions[step] == action && s.Filled[step/2] == 1
			if moved := after[i] != before[i]; moved != done {
				t.Errorf("%s: value %d (step %d, episode %d, agent %d, action %d) moved: %v, was done: %v", sys.Name, i, i/8, i/4%2, i/2%2, action, moved, done)
			}
		}
	}
}

// tableOfMoments has a value for each moment, episode, agent and action of handMade.
func tableOfMoments() Agent {
	return Agent{Values: func(s *model.Scope, in Inputs) Values {
		d := in.Avail.Shape().Dimensions // one episode while acting
		w := nn.Variable(s, in.Avail.Graph(), "table", nn.FanIn, 1, 1, 4, 2, 2, 2)
		return Values{Q: Slice(Reshape(w, 4, 2, 2, 2), AxisRange(0, d[0]), AxisRange(0, d[1]))}
	}}
}
