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

// weights builds dense layers of these names, 4 → 3, for a stack of networks and returns what they begin with.
func weights(t *testing.T, d *xla.Device, seed uint64, nets int, names ...string) map[string][]float32 {
	t.Helper()
	store := NewStore(rng.New(seed))
	call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
		var out []*Node
		for _, name := range names {
			out = append(out, Dense(s.In("%s", name), in[0], 3))
		}
		return out
	}, noise("x", nets, 2, 4))
	values, err := xla.Values(store, "/")
	if err != nil {
		t.Fatal(err)
	}
	flat := map[string][]float32{}
	for path, v := range values {
		flat[path] = v.Flat.([]float32)
	}
	return flat
}

// TestVariableStreams: a weight depends on the key, its path and its number in the stack alone.
func TestVariableStreams(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		small := weights(t, d, 1, 2, "a", "b")
		large := weights(t, d, 1, 3, "first", "b", "a") // one network more, one layer more, another order
		for path, w := range small {
			if !equalBits(large[path][:len(w)], w) {
				t.Errorf("%s is %v, and %v in a larger stack", path, w, large[path])
			}
		}
		aw := small["/a/w"]
		for name, other := range map[string][]float32{
			"the next network": aw[12:], "another layer": small["/b/w"], "another seed": weights(t, d, 2, 2, "a")["/a/w"],
			"the bias": small["/a/b"],
		} {
			for i := range other[:3] {
				if aw[i] == other[i] {
					t.Errorf("weight %d is the same for %s", i, name)
				}
			}
		}
	})
}

// TestVariableIsFixed pins the streams: initial weights of later versions must be the same.
func TestVariableIsFixed(t *testing.T) {
	var want [3]float32
	FanIn(rng.New(1).Split("init").Split("/a/w", 1), 4, want[:])
	each(t, func(t *testing.T, d *xla.Device) {
		if got := weights(t, d, 1, 2, "a")["/a/w"][12:15]; !equalBits(got, want[:]) {
			t.Errorf("network 1 begins with %v, want %v from stream init, /a/w, 1", got, want)
		}
	})
}

// TestInit: the mean of |w| of a uniform distribution is half its bound. 10⁴ draws are within 2 % of it
// (standard error 0.6 %).
func TestInit(t *testing.T) {
	for name, c := range map[string]struct {
		init  Init
		bound float64
	}{
		"fan-in": {FanIn, 1 / math.Sqrt(48)},
		"he":     {He, math.Sqrt(6.0 / 48)},
		"zero":   {Zero, 0},
	} {
		w := make([]float32, 10_000)
		c.init(rng.New(5), 48, w)
		var most, sum, mean float64
		for _, x := range wide(w) {
			most, sum, mean = max(most, math.Abs(x)), sum+math.Abs(x)/1e4, mean+x/1e4
		}
		if most > c.bound*1.0000001 || most < 0.99*c.bound || math.Abs(sum-c.bound/2) > 0.01*c.bound || math.Abs(mean) > 0.03*c.bound {
			t.Errorf("%s: |w| ≤ %v with means %v (absolute) and %v, want a uniform draw below %v", name, most, sum, mean, c.bound)
		}
	}
}

// TestFanIn: a dense layer has its inputs as fan, a convolution nine times its channels.
func TestFanIn(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(1))
		call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
			y := Conv3(s.In("conv"), in[0], 50, 0, 0)
			return []*Node{Dense(s.In("dense"), Reshape(y, 2, 2, 50), 60)}
		}, noise("x", 2, 6, 2, 1, 1))
		for path, fan := range map[string]float64{"/conv/w": 54, "/conv/b": 54, "/dense/w": 50, "/dense/b": 50} {
			var most float64
			for _, w := range value(t, store, path) {
				most = max(most, math.Abs(w))
			}
			if bound := 1 / math.Sqrt(fan); most > bound*1.0000001 || most < 0.9*bound {
				t.Errorf("%s: |w| ≤ %v, want nearly 1/√%v", path, most, fan)
			}
		}
	})
}

// TestLoadedVariables are used as they are; another shape is an error.
func TestLoadedVariables(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, c := range []struct {
			dims []int
			want string
		}{
			{[]int{1, 2, 1}, ""},
			{[]int{2, 2, 1}, "nn: variable /w is there with shape (Float32)[2, 2, 1], want [1 2 1]"},
			{[]int{1, 1, 1}, "nn: variable /w is there with shape (Float32)[1, 1, 1], want [1 2 1]"}, // would broadcast
		} {
			store := NewStore(rng.New(1))
			flat := []float32{2, 3, 4, 5}[:volume(c.dims)]
			if err := xla.SetValues(store, map[string]xla.Value{"/w": {Dims: c.dims, Flat: flat}, "/b": {Dims: []int{1, 1, 1}, Flat: []float32{7}}}); err != nil {
				t.Fatal(err)
			}
			out, err := try(t, d, store, func(s *model.Scope, in []*Node) []*Node { return []*Node{Dense(s, in[0], 1)} },
				array{Dims: []int{1, 1, 2}, X: []float32{10, 1}})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				continue
			}
			if want := []any{[]float32{10*2 + 3 + 7}}; err != nil || !reflect.DeepEqual(out, want) {
				t.Errorf("%v, %v, want %v", out, err, want)
			}
		}
	})
}

// TestParams: trainable, used by the graph, and sorted by path whatever the order of creation.
func TestParams(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(1))
		var paths []string
		call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
			g, net, other := in[0].Graph(), s.In("net"), s.In("nets")
			y := Dense(net.In("z"), Dense(net.In("a"), in[0], 2), 2)
			y = Add(y, State(net, "shift", 1, 1, 2).NodeValue(g))
			y = Add(y, Dense(other, in[0], 2)) // beside net, not below it
			for _, v := range Params(net, g) {
				paths = append(paths, v.Path())
			}
			if n := Count(net); n != (2*2+2)*2*3+2 { // two layers of three networks, and the shift
				t.Errorf("net has %d values, want 38", n)
			}
			return []*Node{y}
		}, noise("x", 3, 1, 2))
		if want := []string{"/net/a/b", "/net/a/w", "/net/z/b", "/net/z/w"}; !reflect.DeepEqual(paths, want) {
			t.Errorf("parameters %v, want %v", paths, want)
		}
		paths = nil
		call(t, d, store, func(s *model.Scope, in []*Node) []*Node { // another program uses a part
			y := Dense(s.In("net").In("z"), in[0], 2)
			for _, v := range Params(s, y.Graph()) {
				paths = append(paths, v.Path())
			}
			return []*Node{y}
		}, noise("x", 3, 1, 2))
		if want := []string{"/net/z/b", "/net/z/w"}; !reflect.DeepEqual(paths, want) {
			t.Errorf("parameters of a part %v, want %v", paths, want)
		}
	})
}

// TestCount: 5 filters on 2 channels have 5·2·9 + 5 values, a dense layer from 4 to 3 has 4·3 + 3.
func TestCount(t *testing.T) {
	store := NewStore(rng.New(1))
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
		return []*Node{Conv3(s.In("conv"), in[0], 5, 0, 0), Dense(s.In("dense"), Reshape(in[0], 2, 1, 4), 3)}
	}, noise("x", 2, 2, 2, 1, 1))
	if n, want := Count(store.RootScope()), 2*(5*2*9+5+4*3+3); n != want {
		t.Errorf("%d values in two networks, want %d", n, want)
	}
}
