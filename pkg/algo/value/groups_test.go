package value

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/muster-marl/muster/pkg/nn"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestT13Slots: groups in other slots, with the encoder's weights of the slots exchanged in the same way, say the same.
func TestT13Slots(t *testing.T) {
	sys, a, b := OOM(smallest(), briefly()), newScene(3), newScene(3)
	to := []int32{3, 0, 1, 2} // slot → slot
	for i, slot := range b.slots {
		if slot >= 0 {
			b.slots[i] = to[slot]
		}
	}
	h, k := smallest().Memory, smallest().Encoder
	exchange := func(values map[string]xla.Value) {
		for _, net := range []string{"/online", "/target"} {
			w := values[net+"/agent/encoder/in/w"].Flat.([]float32) // [h; slot] × k
			old := slices.Clone(w)
			for slot, at := range to {
				copy(w[(h+int(at))*k:(h+int(at)+1)*k], old[(h+slot)*k:(h+slot+1)*k])
			}
		}
	}
	want, got, other := a.ask(t, sys, nil, said), b.ask(t, sys, exchange, said), b.ask(t, sys, nil, said)
	for i := range want {
		alike(t, saidNames[i], got[i], want[i])
	}
	if slices.Equal(other[0], want[0]) {
		t.Error("other slots alone change no value: groups are not read")
	}
}

// TestT14Gradients: which loss trains which part, by way of the agents' values, by way of the mixer's first weights, and by
// the loss of similarity and diversity. What is not trained has a gradient of exactly zero.
func TestT14Gradients(t *testing.T) {
	sys := OOM(smallest(), briefly())
	var paths []string
	got := newScene(3).ask(t, sys, nil, func(f *Forward) []*Node {
		in := f.In
		in.Views = splitViews(f.In)
		all := f.All
		all.Views = splitViews(all)
		v := f.Again(all).moments(0, 3)
		q, imagined := f.Chosen(f.Values), ReduceSum(Mul(v.Q, Concatenate([]*Node{f.Taken, f.Taken}, 2)), 3)
		lq, li := f.SquaredError(f.Mix(q, f.Values, f.In)), f.SquaredError(f.Mix(imagined, f.Values, in))
		along := func(loss, q *Node) *Node { return ReduceAllSum(Mul(StopGradient(Gradient(loss, q)[0]), q)) }
		byQ := Add(along(lq, q), along(li, imagined))
		byMixer := Add(f.SquaredError(f.Mix(StopGradient(q), f.Values, f.In)), f.SquaredError(f.Mix(StopGradient(imagined), f.Values, in)))
		none := func(*Forward) *Node { return ScalarZero(q.Graph(), q.DType()) }
		apart := Diverse(none, 1)(f)
		params := nn.Params(f.Online, q.Graph())
		var nodes, out []*Node
		for _, p := range params {
			paths, nodes = append(paths, p.Path()), append(nodes, p.NodeValue(q.Graph()))
		}
		for _, loss := range []*Node{byQ, byMixer, apart} {
			for _, g := range Gradient(loss, nodes...) {
				out = append(out, ReduceAllSum(Abs(g)))
			}
		}
		return out
	})
	want := map[string][3]bool{ // by values, by the mixer, by similarity and diversity
		"agent/fc1": {true}, "agent/attention": {true}, "agent/fc2": {true}, "agent/gru": {true}, "agent/encoder": {false, true, true},
		"agent/decoder": {true}, "mixer/w1/decoder": {false, true}, "mixer/w1/": {false, true}, "mixer/b1": {false, true}, "mixer/w2": {false, true}, "mixer/v": {false, true},
	}
	paths = paths[:len(got)/3] // traced once for each backend call
	for part, w := range want {
		for k, way := range []string{"the values", "the mixer", "similarity and diversity"} {
			sum, n := float32(0), 0
			for i, path := range paths {
				if strings.HasPrefix(path, "/online/"+part) {
					sum, n = sum+got[k*len(paths)+i][0], n+1
				}
			}
			if n == 0 || (sum != 0) != w[k] {
				t.Errorf("%s (%d parameters) is trained by %s with a gradient of %v, want some: %v", part, n, way, sum, w[k])
			}
		}
	}
	for i, path := range paths {
		if !slices.ContainsFunc([]string{"agent/fc1", "agent/attention", "agent/fc2", "agent/gru", "agent/encoder", "agent/decoder", "mixer/"}, func(part string) bool {
			return strings.HasPrefix(path, "/online/"+part)
		}) {
			t.Errorf("parameter %d, %s, is not in the table", i, path)
		}
	}
}

// TestT18Reduces: with generated layers that do not depend on embeddings, and no regard to roles, agents and mixer are
// REFIL's, whatever the groups.
func TestT18Reduces(t *testing.T) {
	w := smallest()
	refil, oom, c := REFIL(0.5, w, briefly()), OOM(w, briefly()), newScene(3)
	refil.Noise, oom.Noise = ofPlaceless, ofPlaceless
	var shared map[string]xla.Value
	spread := func(values map[string]xla.Value) { // from U(−1/√fan, 1/√fan) to numbers of another size for each array
		for path, v := range values {
			for i := range v.Flat.([]float32) {
				v.Flat.([]float32)[i] *= 1 + float32(len(path)%5)/4
			}
		}
		shared = values
	}
	// Where each is another scale: "more" numbers than REFIL's layer has would show as an index out of range.
	want := c.ask(t, refil, spread, said)
	reduce := func(values map[string]xla.Value) {
		for path, v := range values {
			to := v.Flat.([]float32)
			net := path[:len("/online")]
			from := func(path string) []float32 { return shared[net+path].Flat.([]float32) }
			switch rest := path[len(net):]; rest {
			case "/agent/fc1/w":
				clear(to)
				copy(to, from(rest)) // the rows of roles come last
			case "/agent/decoder/w/w", "/agent/decoder/b/w", "/mixer/w1/decoder/w":
				clear(to)
			case "/agent/decoder/w/b":
				copy(to, from("/agent/q/w"))
			case "/agent/decoder/b/b":
				copy(to, from("/agent/q/b"))
			case "/mixer/w1/decoder/b":
				copy(to, append(slices.Clone(from("/mixer/w1/out/w")), from("/mixer/w1/out/b")...))
			default:
				if !strings.HasPrefix(rest, "/agent/encoder/") {
					copy(to, from(rest))
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 2 {
		got := c.ask(t, oom, reduce, said)
		for i := range want {
			alike(t, saidNames[i], got[i], want[i])
		}
		for i, slot := range c.slots { // other groups
			if slot >= 0 {
				c.slots[i] = int32(r.IntN(Slots))
			}
		}
	}
}

// TestScores: agents who may think only of those they see think −∞ of others; weights are between 0 and 1, and 0 of who is
// not there.
func TestScores(t *testing.T) {
	c := newScene(3)
	n, e := sceneAgents, c.spec.Entities
	scores := func(score Score) []float32 {
		sys := OOM(smallest(), briefly())
		sys.Agent = InGroups(smallest(), score)
		return c.ask(t, sys, nil, func(f *Forward) []*Node {
			return []*Node{Where(IsFinite(f.sys.Agent.Scores(f.Online.ResetVisited().In("agent"), f.All)), f.sys.Agent.Scores(f.Online.ResetVisited().In("agent"), f.All), Scalar(f.Reward.Graph(), floatType, -9e9))}
		})[0]
	}
	logits, seen, weights := scores(Logits), scores(OfSeen(Logits)), scores(Weights)
	for i := range logits {
		b, a, j := i/(n*n)%2, i/n%n, i%n
		switch hidden := c.sample.Hidden[i/n*e+j]; {
		case hidden && seen[i] != -9e9, !hidden && seen[i] != logits[i]:
			t.Errorf("agent %d thinks %v of %d, hidden: %v, and %v without regard to that", a, seen[i], j, hidden, logits[i])
		}
		both := c.sample.Present[b*e+a] && c.sample.Present[b*e+j]
		if weights[i] < 0 || weights[i] > 1 || both != (weights[i] > 0) {
			t.Errorf("agent %d weighs %d with %v, both there: %v", a, j, weights[i], both)
		}
	}
}
