package nn

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
)

// Orthogonal draws a weight matrix [fan, out] whose rows or columns, whichever are fewer, are orthogonal and of
// length gain, uniformly among all such (Saxe, McClelland & Ganguli, ICLR 2014).
func Orthogonal(gain float64) Init {
	return func(key rng.Key, fan int, w []float32) {
		rows, cols := fan, len(w)/fan
		few, long := min(rows, cols), max(rows, cols)
		r, basis := key.Rand(), make([][]float64, few)
		for i := range basis {
			v := make([]float64, long)
			for j := range v {
				v[j] = r.NormFloat64()
			}
			for range 2 { // once more, for what rounding has left
				for _, b := range basis[:i] {
					along := dot(v, b)
					for j := range v {
						v[j] -= along * b[j]
					}
				}
			}
			size := math.Sqrt(dot(v, v))
			for j := range v {
				v[j] /= size
			}
			basis[i] = v
		}
		for i := range rows {
			for j := range cols {
				x := basis[min(i, few-1)]
				k := j
				if rows > cols {
					x, k = basis[j], i
				}
				w[i*cols+j] = float32(gain * x[k])
			}
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// Normal draws from a normal distribution of mean 0.
func Normal(deviation float64) Init {
	return func(key rng.Key, _ int, w []float32) {
		r := key.Rand()
		for i := range w {
			w[i] = float32(r.NormFloat64() * deviation)
		}
	}
}

// Constant gives every weight the same value.
func Constant(x float32) Init {
	return func(_ rng.Key, _ int, w []float32) {
		for i := range w {
			w[i] = x
		}
	}
}

// Linear is y = x·w + b for a stack of networks, w made with init and b zero at first: [net, row, in] →
// [net, row, out]. (Dense draws both as PyTorch does.)
func Linear(s *model.Scope, x *Node, out int, init Init) *Node {
	return Add(Project(s, x, out, init), Variable(s, x.Graph(), "b", Zero, 1, x.Shape().Dim(0), 1, out))
}

// Project is y = x·w for a stack of networks: [net, row, in] → [net, row, out].
func Project(s *model.Scope, x *Node, out int, init Init) *Node {
	want(x.Rank() == 3, "Linear takes [net, row, in], got %s", x.Shape())
	nets, in := x.Shape().Dim(0), x.Shape().Dim(2)
	return weigh(x, Variable(s, x.Graph(), "w", init, in, nets, in, out))
}

// LayerNorm brings each row to mean 0 and variance 1 (ε = 1e-5) and scales and shifts it by learned numbers (Ba,
// Kiros & Hinton, 2016), for a stack of networks: [net, row, in].
func LayerNorm(s *model.Scope, x *Node) *Node {
	want(x.Rank() == 3, "LayerNorm takes [net, row, in], got %s", x.Shape())
	nets, in := x.Shape().Dim(0), x.Shape().Dim(2)
	gain := Variable(s, x.Graph(), "gain", Constant(1), in, nets, 1, in)
	shift := Variable(s, x.Graph(), "b", Zero, in, nets, 1, in)
	x = Sub(x, ReduceAndKeep(x, ReduceMean, 2))
	deviation := Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, 2), 1e-5))
	return Add(Mul(Div(x, deviation), gain), shift)
}

// GELU is x·Φ(x), with Φ the normal distribution function, not its usual approximation (Hendrycks & Gimpel, 2016).
func GELU(x *Node) *Node {
	return MulScalar(Mul(x, OnePlus(Erf(MulScalar(x, math.Sqrt2/2)))), 0.5)
}

// Attend is scaled dot-product attention of some heads (Vaswani et al., NeurIPS 2017) between projected queries
// [row, query, width] and keys and values [row, key, width]: → [row, query, width]. With causal, a query reads
// only the keys up to its own position.
func Attend(query, key, value *Node, heads int, causal bool) *Node {
	d := query.Shape().Dimensions
	want(len(d) == 3 && d[2]%heads == 0, "Attend takes [row, query, width] with a width that %d heads divide, got %s", heads, query.Shape())
	split := func(x *Node) *Node { return Reshape(x, d[0], x.Shape().Dim(1), heads, d[2]/heads) }
	w := MulScalar(Einsum("rqhd,rkhd->rhqk", split(query), split(key)), 1/math.Sqrt(float64(d[2]/heads)))
	if causal {
		want(key.Shape().Dim(1) == d[1], "Attend: %d queries for %d keys cannot be causal", d[1], key.Shape().Dim(1))
		future := make([][]float32, d[1])
		for i := range future {
			future[i] = make([]float32, d[1])
			for j := i + 1; j < d[1]; j++ {
				future[i][j] = -1e10
			}
		}
		w = Add(w, Reshape(Const(w.Graph(), future), 1, 1, d[1], d[1]))
	}
	return Reshape(Einsum("rhqk,rkhd->rqhd", SoftmaxOver(w, -1), split(value)), d...)
}

// SoftmaxOver is the softmax over one axis. The library's own becomes another operation on the Go backend, and a program
// must be the same everywhere: runs compare its hash.
func SoftmaxOver(x *Node, axis int) *Node {
	e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, axis))))
	return Div(e, ReduceAndKeep(e, ReduceSum, axis))
}
