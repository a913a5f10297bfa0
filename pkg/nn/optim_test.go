package nn

import (
	"math"
	"reflect"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestClip: two networks with gradients (3, 4; 12) of norm 13 and (0.3, 0.4; 0) of norm 0.5, and a third without any.
func TestClip(t *testing.T) {
	a := array{Dims: []int{3, 1, 2}, X: []float32{3, 4, 0.3, 0.4, 0, 0}}
	b := array{Dims: []int{3, 1}, X: []float32{12, 0, 0}}
	both := math.Sqrt(13*13 + 0.5*0.5)
	k := 6.5 / both
	each(t, func(t *testing.T, d *xla.Device) {
		for _, c := range []struct {
			name  string
			clip  func([]*Node, float64) ([]*Node, *Node)
			most  float64
			norms []float64
			a, b  []float64
		}{
			{"by network", ClipByNetNorm, 6.5, []float64{13, 0.5, 0}, []float64{1.5, 2, 0.3, 0.4, 0, 0}, []float64{6, 0, 0}},
			{"together", ClipByGlobalNorm, 6.5, []float64{both}, []float64{3 * k, 4 * k, 0.3 * k, 0.4 * k, 0, 0}, []float64{12 * k, 0, 0}},
			{"by network, all below", ClipByNetNorm, 14, []float64{13, 0.5, 0}, wide(a.X), wide(b.X)},
			{"together, below", ClipByGlobalNorm, 14, []float64{both}, wide(a.X), wide(b.X)},
		} {
			out := call(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
				clipped, norm := c.clip(in, c.most)
				return append(clipped, norm)
			}, a, b)
			near(t, c.name+": a", out[0], c.a, 1e-6)
			near(t, c.name+": b", out[1], c.b, 1e-6)
			near(t, c.name+": norm", out[2], c.norms, 1e-6)
			if c.most == 14 && (!reflect.DeepEqual(out[0], a.X) || !reflect.DeepEqual(out[1], b.X)) {
				t.Errorf("%s: %v changes gradients that are small", c.name, out)
			}
		}
		_, err := try(t, d, NewStore(rng.New(1)), func(_ *model.Scope, in []*Node) []*Node {
			clipped, _ := ClipByNetNorm(in, 1)
			return clipped
		}, a, noise("b", 2, 1))
		if err == nil || !strings.Contains(err.Error(), "nn: gradients of stacks of 3 and 2 networks cannot be clipped together") {
			t.Errorf("stacks of 3 and 2: %v", err)
		}
	})
}

// TestAdam does three steps with other gradients and learning rates, against algorithm 1 of Kingma & Ba (2015)
// in float64. The gradient 1e-8 shows that ε stands outside the root.
func TestAdam(t *testing.T) {
	grads := [][]float32{{0.5, -2, 1e-8, 3}, {-0.1, -2, 1e-8, 0}, {0.7, 5, 1e-8, -40}}
	rates := []float32{0.1, 0.1, 0.03}
	start := []float32{1, -1, 0.25, 2}
	adam := DefaultAdam()
	want, m, v := wide(start), make([]float64, 4), make([]float64, 4)
	for k, g := range grads {
		t := float64(k + 1)
		for i := range want {
			gi := float64(g[i])
			m[i] = 0.9*m[i] + 0.1*gi
			v[i] = 0.999*v[i] + 0.001*gi*gi
			mHat, vHat := m[i]/(1-math.Pow(0.9, t)), v[i]/(1-math.Pow(0.999, t))
			want[i] -= float64(rates[k]) * mHat / (math.Sqrt(vHat) + 1e-8)
		}
	}
	forms := []struct {
		moments int
		step    func(s *model.Scope, params []*model.Variable, grads []*Node, lr, step *Node)
	}{
		{4, adam.Step},
		{2, func(s *model.Scope, params []*model.Variable, grads []*Node, lr, step *Node) {
			adam.StepJoined(s, params, Join(grads, 1), lr, step, nil)
		}},
		{2, func(s *model.Scope, params []*model.Variable, grads []*Node, lr, step *Node) {
			adam.StepJoined(s, params, Join(grads, 2), lr, step, Const(lr.Graph(), []bool{true, true}))
		}},
	}
	each(t, func(t *testing.T, d *xla.Device) {
		for _, form := range forms {
			store := NewStore(rng.New(1))
			err := xla.SetValues(store, map[string]xla.Value{
				"/net/x/y": {Dims: []int{2, 2}, Flat: start}, "/net/z": {Dims: []int{2, 2}, Flat: start},
			})
			if err != nil {
				t.Fatal(err)
			}
			p, err := xla.Compile(d, "adam", store, func(s *model.Scope, in []*Node) []*Node {
				net := s.In("net")
				a, b := net.In("x").GetVariable("y"), net.GetVariable("z")
				before := a.NodeValue(in[0].Graph())
				form.step(s.In("adam"), []*model.Variable{a, b}, []*Node{in[0], Neg(in[0])}, in[1], in[2])
				return []*Node{before}
			}, xla.F32(2, 2), xla.F32(), xla.F32())
			if err != nil {
				t.Fatal(err)
			}
			for k, g := range grads {
				if _, err := p.Call(g, rates[k:k+1], []float32{float32(k + 1)}); err != nil {
					t.Fatal(err)
				}
			}
			mirrored := make([]float64, 4) // the opposite gradients give the opposite way
			for i := range mirrored {
				mirrored[i] = 2*float64(start[i]) - want[i]
			}
			values, err := xla.Values(store, "/net")
			if err != nil {
				t.Fatal(err)
			}
			near(t, "x/y", values["/net/x/y"].Flat, want, 2e-6)
			near(t, "z", values["/net/z"].Flat, mirrored, 2e-6)
			moments, err := xla.Values(store, "/adam")
			if err != nil || len(moments) != form.moments {
				t.Errorf("%d moments, want %d (%v)", len(moments), form.moments, err)
			}
		}
	})
}

// TestRMSProp does three steps by hand: gradients 1, 2, −1 from 0 with learning rate 1, α = 0.99 and ε = 1e-5 give
//
//	v = 0.01, 0.0499, 0.059401   θ = −1/0.10001, then −2/0.223393, then +1/0.243733
//
// and a gradient of 1e-6 (v = 1e-14) shows that ε stands outside of the root.
func TestRMSProp(t *testing.T) {
	var optimiser Optimiser = RMSProp{Alpha: 0.99, Epsilon: 1e-5}
	small := -1e-6 / (1e-7 + 1e-5)
	want := [][]float64{{-9.999000, small}, {-18.951829, small}, {-14.848982, small}}
	grads := [][]float32{{1, 1e-6}, {2, 0}, {-1, 0}}
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(1))
		zero := xla.Value{Dims: []int{2}, Flat: []float32{0, 0}}
		if err := xla.SetValues(store, map[string]xla.Value{"/x/y": zero, "/z": zero}); err != nil {
			t.Fatal(err)
		}
		p, err := xla.Compile(d, "rmsprop", store, func(s *model.Scope, in []*Node) []*Node {
			a, b := s.In("x").GetVariable("y"), s.GetVariable("z") // with mean squares of their own
			optimiser.Step(s.In("rms"), []*model.Variable{a, b}, []*Node{in[0], Neg(in[0])}, in[1], in[2])
			return in[:1]
		}, xla.F32(2), xla.F32(), xla.F32())
		if err != nil {
			t.Fatal(err)
		}
		for k, g := range grads {
			if _, err := p.Call(g, []float32{1}, []float32{float32(k + 1)}); err != nil {
				t.Fatal(err)
			}
			got := value(t, store, "/x/y")
			for i, x := range got {
				if math.Abs(x-want[k][i]) > 2e-6*math.Abs(want[k][i]) {
					t.Errorf("step %d: θ = %v, want %v", k+1, got, want[k])
				}
			}
			if other := value(t, store, "/z"); other[0] != -got[0] || other[1] != -got[1] {
				t.Errorf("step %d: opposite gradients give %v and %v", k+1, got, other)
			}
		}
		if v := value(t, store, "/rms/v:x:y")[0]; math.Abs(v-0.059401) > 1e-7 {
			t.Errorf("v = %v, want 0.059401", v)
		}
	})
}

// TestAdamNames: x/y and x_y have moments of their own. (XLA refuses two such names itself.)
func TestAdamNames(t *testing.T) {
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	store := NewStore(rng.New(1))
	if err := xla.SetValues(store, map[string]xla.Value{"/x/y": {Flat: []float32{1}}, "/x_y": {Flat: []float32{1}}}); err != nil {
		t.Fatal(err)
	}
	call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
		DefaultAdam().Step(s.In("adam"), []*model.Variable{s.In("x").GetVariable("y"), s.GetVariable("x_y")}, in[:2], in[0], in[2])
		return in
	}, array{Dims: nil, X: []float32{1}}, array{Dims: nil, X: []float32{2}}, array{Dims: nil, X: []float32{1}})
	moments, err := xla.Values(store, "/adam")
	if err != nil || len(moments) != 4 {
		t.Errorf("%d moments, want 4 (%v)", len(moments), err)
	}
}

// TestTrack: 1e8 + (1e-8 − 1e8) is not 1e-8 in float32, so τ = 1 must copy and not add up.
func TestTrack(t *testing.T) {
	online := []float32{1e-8, 3, float32(math.Copysign(0, -1)), 1.1}
	old := []float32{1e8, 1, 5, -0.3}
	soft := make([]float64, 4)
	for i := range soft {
		soft[i] = float64(old[i]) + 0.005*(float64(online[i])-float64(old[i]))
	}
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(1))
		target := map[string]xla.Value{"/target/a/w": {Dims: []int{4}, Flat: old}, "/target/b": {Dims: []int{4}, Flat: old}}
		err := xla.SetValues(store, map[string]xla.Value{
			"/online/a/w": {Dims: []int{4}, Flat: online}, "/online/b": {Dims: []int{4}, Flat: old}, "/online/more": {Dims: []int{4}, Flat: old},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := xla.SetValues(store, target); err != nil {
			t.Fatal(err)
		}
		p, err := xla.Compile(d, "track", store, func(s *model.Scope, in []*Node) []*Node {
			from, to := s.In("online"), s.In("target")
			b := from.GetVariable("b") // as an optimiser would
			b.SetNodeValue(MulScalar(b.NodeValue(in[0].Graph()), 2))
			Track(from, to, in[0])
			if to.GetVariable("b").Trainable {
				panic("a target is trainable")
			}
			return in
		}, xla.F32())
		if err != nil {
			t.Fatal(err)
		}
		for _, tau := range []float32{0, 0.005, 1} {
			if err := xla.SetValues(store, map[string]xla.Value{"/online/b": {Dims: []int{4}, Flat: old}}); err != nil {
				t.Fatal(err)
			}
			if err := xla.SetValues(store, target); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Call([]float32{tau}); err != nil {
				t.Fatal(err)
			}
			values, err := xla.Values(store, "/")
			if err != nil {
				t.Fatal(err)
			}
			if !equalBits(values["/online/a/w"].Flat, online) {
				t.Errorf("τ = %v changes the online network", tau)
			}
			got := values["/target/a/w"].Flat
			switch tau {
			case 0:
				if !equalBits(got, old) {
					t.Errorf("τ = 0 gives %v, want the old %v", got, old)
				}
			case 1:
				if doubled := []float32{2e8, 2, 10, -0.6}; !equalBits(got, online) || !equalBits(values["/target/b"].Flat, doubled) {
					t.Errorf("τ = 1 gives %v and %v, want the new %v and %v", got, values["/target/b"].Flat, online, doubled)
				}
			default:
				near(t, "τ = 0.005", got, soft, 1e-6)
			}
		}
		if err := xla.SetValues(store, map[string]xla.Value{"/target/c": {Dims: []int{4}, Flat: old}}); err != nil {
			t.Fatal(err)
		}
		_, err = try(t, d, store, func(s *model.Scope, in []*Node) []*Node {
			Track(s.In("online"), s.In("target"), in[0])
			return in
		}, noise("tau"))
		if err == nil || !strings.Contains(err.Error(), "nn: target variable /target/c has no online counterpart") {
			t.Errorf("a target alone: %v", err)
		}
	})
}

func equalBits(got any, want []float32) bool {
	x, ok := got.([]float32)
	for i := range want {
		ok = ok && len(x) == len(want) && math.Float32bits(x[i]) == math.Float32bits(want[i])
	}
	return ok
}
