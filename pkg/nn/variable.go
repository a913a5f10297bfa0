// Package nn holds layers and optimisers as functions on graph nodes.
//
// Networks of one shape are stacked: x is [net, row, …], weights are [net, …], and one call updates all.
// A shared network is the case of one. Variables get their first values on the host, each from a stream of
// its own named by its path and its number in the stack, so that adding a layer or a network changes no
// other weight, and compiling stays cheap.
package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
)

const keyParam = "muster_init"

// NewStore returns a store whose variables are drawn from key's stream "init" + path.
func NewStore(key rng.Key) *model.Store {
	s := model.NewStore()
	s.SetParam("/"+keyParam, key.Split("init"))
	return s
}

// Init fills the weights of one network of a stack; fan is the number of inputs of one output.
type Init func(key rng.Key, fan int, w []float32)

// FanIn draws from U(−1/√fan, 1/√fan), PyTorch's default for dense layers and convolutions, weights and
// biases alike (torch.nn.Linear, torch.nn.Conv2d).
func FanIn(key rng.Key, fan int, w []float32) {
	uniform(key, 1/math.Sqrt(float64(fan)), w)
}

// He draws from U(−√(6/fan), √(6/fan)), which keeps the variance through ReLU (He et al., ICCV 2015).
func He(key rng.Key, fan int, w []float32) { uniform(key, math.Sqrt(6/float64(fan)), w) }

// Zero leaves the weights at zero.
func Zero(rng.Key, int, []float32) {}

func uniform(key rng.Key, bound float64, w []float32) {
	r := key.Rand()
	for i := range w {
		w[i] = float32((2*r.Float64() - 1) * bound)
	}
}

// Variable returns the value of a trainable variable [nets, dims…], made with init where it does not exist yet.
func Variable(s *model.Scope, g *Graph, name string, init Init, fan, nets int, dims ...int) *Node {
	v := s.GetVariable(name)
	if v == nil {
		key := model.MustGetParam[rng.Key](s, keyParam)
		size, path := volume(dims), strings.TrimSuffix(s.Scope(), "/")+"/"+name
		flat := make([]float32, nets*size)
		for i := range nets {
			init(key.Split(path, int64(i)), fan, flat[i*size:(i+1)*size])
		}
		v = s.VariableWithValue(name, tensors.FromFlatDataAndDimensions(flat, append([]int{nets}, dims...)...))
	}
	shaped(v, append([]int{nets}, dims...))
	return v.SetTrainable(true).NodeValue(g)
}

// State returns a variable that no optimiser touches, zero where it does not exist yet.
func State(s *model.Scope, name string, dims ...int) *model.Variable {
	v := s.GetVariable(name)
	if v == nil {
		v = s.VariableWithValue(name, tensors.FromFlatDataAndDimensions(make([]float32, volume(dims)), dims...))
	}
	shaped(v, dims)
	return v.SetTrainable(false)
}

func volume(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// shaped refuses a variable that was loaded or made elsewhere with other dimensions.
func shaped(v *model.Variable, dims []int) {
	want(slices.Equal(v.Shape().Dimensions, dims), "variable %s is there with shape %s, want %v", v.Path(), v.Shape(), dims)
}

// Params returns the trainable variables below a scope that g uses, sorted by path: the order of creation
// differs after a load, and a sum in another order has other last bits.
func Params(s *model.Scope, g *Graph) []*model.Variable {
	var list []*model.Variable
	for v := range s.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, byPath)
	return list
}

func byPath(a, b *model.Variable) int { return strings.Compare(a.Path(), b.Path()) }

// Count is the number of values of the variables below a scope, of all networks of a stack together.
func Count(s *model.Scope) int {
	n := 0
	for v := range s.IterVariables() {
		n += v.Shape().Size()
	}
	return n
}

func want(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Errorf("nn: "+format, args...)) // inside graph functions only; xla makes it an error
	}
}
