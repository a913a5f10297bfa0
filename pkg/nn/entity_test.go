package nn

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/xla"
)

// crowd is an input of EntityAttention: x [row, entity, width], and what is hidden and absent, 1 = true.
type crowd struct {
	rows, masks, queries, entities, width, heads int
	x, hidden, absent                            array
}

// newCrowd draws entities, hides about a third of them, and always all of them from the last query of row 0.
func newCrowd(rows, masks, queries, entities, width, heads int) crowd {
	c := crowd{rows, masks, queries, entities, width, heads,
		noise("x", rows, entities, width), noise("hidden", rows, masks, queries, entities), noise("absent", rows, queries)}
	for i, u := range c.hidden.X {
		c.hidden.X[i] = 0
		if row, query := i/(masks*queries*entities), i/entities%queries; u > 0.3 || row == 0 && query == queries-1 {
			c.hidden.X[i] = 1
		}
	}
	for i, u := range c.absent.X {
		c.absent.X[i] = 0
		if u > 0.5 && i > queries {
			c.absent.X[i] = 1
		}
	}
	return c
}

// attend is the layer over inputs x, hidden and absent.
func (c crowd) attend(s *model.Scope, in []*Node) (out, logits *Node) {
	set := func(x *Node) *Node { return GreaterThan(x, ZerosLike(x)) }
	return EntityAttention(s.In("att"), in[0], c.queries, set(in[1]), set(in[2]), c.heads)
}

// plain is the layer from its definition, for one query at a time.
func (c crowd) plain(x, w, wOut, bOut []float64) (out, logits []float64) {
	n, d := c.width, c.width/c.heads
	column := func(row, entity, col int) (sum float64) { // of x·W_in
		for i := range n {
			sum += x[(row*c.entities+entity)*n+i] * w[i*3*n+col]
		}
		return sum
	}
	logit := func(row, query, entity, head int) (sum float64) {
		for i := range d {
			sum += column(row, query, head*d+i) * column(row, entity, n+head*d+i)
		}
		return sum / math.Sqrt(float64(d))
	}
	for row := range c.rows {
		for query := range c.queries {
			for entity := range c.entities {
				most := math.Inf(-1)
				for head := range c.heads {
					most = max(most, logit(row, query, entity, head))
				}
				logits = append(logits, most)
			}
		}
		for mq := range c.masks * c.queries {
			query := mq % c.queries
			read := make([]float64, n)
			for head := range c.heads {
				var weight []float64
				total := 0.0
				for entity := range c.entities {
					e := math.Exp(logit(row, query, entity, head))
					if c.hidden.X[(row*c.masks*c.queries+mq)*c.entities+entity] > 0 {
						e = 0
					}
					weight, total = append(weight, e), total+e
				}
				for entity, e := range weight {
					for i := head * d; i < head*d+d && e > 0; i++ {
						read[i] += e / total * column(row, entity, 2*n+i)
					}
				}
			}
			for o := range n {
				sum := bOut[o]
				for i := range n {
					sum += read[i] * wOut[i*n+o]
				}
				if c.absent.X[row*c.queries+query] > 0 {
					sum = 0
				}
				out = append(out, sum)
			}
		}
	}
	return out, logits
}

// TestEntityAttention compares values with the plain definition, and gradients with finite differences of it.
func TestEntityAttention(t *testing.T) {
	each(t, func(t *testing.T, d *xla.Device) {
		for _, c := range []crowd{newCrowd(3, 1, 3, 5, 6, 2), newCrowd(2, 3, 2, 4, 4, 4), newCrowd(2, 1, 2, 2, 3, 1)} {
			name := fmt.Sprintf("%d rows, %d masks, %d of %d entities, %d heads", c.rows, c.masks, c.queries, c.entities, c.heads)
			store := NewStore(rng.New(3))
			up := noise("up", c.rows, c.masks, c.queries, c.width)
			got := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
				out, logits := c.attend(s, in)
				g := out.Graph()
				out.AssertDims(c.rows, c.masks, c.queries, c.width)
				logits.AssertDims(c.rows, c.queries, c.entities)
				by := []*Node{in[0]}
				for _, v := range Params(s, g) { // sorted: out/b, out/w, w
					by = append(by, v.NodeValue(g))
				}
				return append([]*Node{out, logits}, Gradient(ReduceAllSum(Mul(out, in[3])), by...)...)
			}, c.x, c.hidden, c.absent, up)
			x, w, wOut, bOut := wide(c.x.X), value(t, store, "/att/w"), value(t, store, "/att/out/w"), value(t, store, "/att/out/b")
			out, logits := c.plain(x, w, wOut, bOut)
			near(t, name+": out", got[0], out, 1e-5)
			near(t, name+": logits", got[1], logits, 1e-5)
			loss := func() (sum float64) {
				y, _ := c.plain(x, w, wOut, bOut)
				for i, y := range y {
					sum += float64(up.X[i]) * y
				}
				return sum
			}
			near(t, name+": dx", got[2], differences(x, loss), 1e-5)
			near(t, name+": db", got[3], differences(bOut, loss), 1e-5)
			near(t, name+": dW_out", got[4], differences(wOut, loss), 1e-5)
			near(t, name+": dW_in", got[5], differences(w, loss), 1e-5)
		}
	})
}

// TestEntityAttentionBlind: queries that see nothing get the output bias, and no gradient goes to what they do not see.
func TestEntityAttentionBlind(t *testing.T) {
	c := newCrowd(2, 1, 3, 5, 4, 2)
	for i := range c.hidden.X {
		c.hidden.X[i] = 1
	}
	for i := range c.x.X {
		c.x.X[i] *= 100 // large logits
	}
	clear(c.absent.X)
	c.absent.X[1] = 1
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(3))
		got := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
			out, _ := c.attend(s, in)
			w := s.At("att").GetVariable("w").NodeValue(out.Graph())
			return append([]*Node{out}, Gradient(ReduceAllSum(Square(out)), in[0], w)...)
		}, c.x, c.hidden, c.absent)
		var want []float64
		for q := range c.rows * c.queries {
			bias := value(t, store, "/att/out/b")
			if q == 1 {
				clear(bias)
			}
			want = append(want, bias...)
		}
		near(t, "out", got[0], want, 0)
		near(t, "dx", got[1], make([]float64, len(c.x.X)), 0)
		near(t, "dW_in", got[2], make([]float64, 4*12), 0)
	})
}

// TestEntityAttentionOrder: neither the order of those that only are seen, nor hidden slots behind them, whatever they
// hold, change what agents read.
func TestEntityAttentionOrder(t *testing.T) {
	const rows, queries, entities, more, width = 4, 3, 7, 5, 8
	c := newCrowd(rows, 1, queries, entities, width, 2)
	order := append([]int{0, 1, 2}, 5, 3, 6, 4)
	moved, padded := newCrowd(rows, 1, queries, entities, width, 2), newCrowd(rows, 1, queries, entities+more, width, 2)
	padded.absent = c.absent
	for i := range padded.x.X {
		padded.x.X[i] *= 50
	}
	for i := range padded.hidden.X {
		padded.hidden.X[i] = 1
	}
	for row := range rows {
		for e, from := range order {
			copy(moved.x.X[(row*entities+e)*width:][:width], c.x.X[(row*entities+from)*width:][:width])
			copy(padded.x.X[(row*(entities+more)+e)*width:][:width], c.x.X[(row*entities+e)*width:][:width])
			for q := range queries {
				at := row*queries + q
				moved.hidden.X[at*entities+e] = c.hidden.X[at*entities+from]
				padded.hidden.X[at*(entities+more)+e] = c.hidden.X[at*entities+e]
			}
		}
	}
	each(t, func(t *testing.T, d *xla.Device) {
		store := NewStore(rng.New(3))
		read := func(c crowd) []float64 {
			got := call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
				out, _ := c.attend(s, in)
				return []*Node{out}
			}, c.x, c.hidden, c.absent)
			return wide(got[0].([]float32))
		}
		first := read(c)
		for what, other := range map[string]crowd{"another order": moved, "more slots": padded} {
			for i, y := range read(other) {
				if math.Abs(y-first[i]) > 1e-5 {
					t.Fatalf("%s: out[%d] = %v, before %v", what, i, y, first[i])
				}
			}
		}
	})
}

// TestEntityAttentionWeights: 65,664 values at width 128 (torch's count), all below 1/√128.
func TestEntityAttentionWeights(t *testing.T) {
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	c, store := newCrowd(1, 1, 1, 1, 128, 4), NewStore(rng.New(1))
	call(t, d, store, func(s *model.Scope, in []*Node) []*Node {
		out, _ := c.attend(s, in)
		return []*Node{out}
	}, c.x, c.hidden, c.absent)
	if n := Count(store.RootScope()); n != 65_664 {
		t.Errorf("%d values, want 65,664", n)
	}
	for _, path := range []string{"/att/w", "/att/out/w", "/att/out/b"} {
		most, bound := 0.0, 1/math.Sqrt(128)
		for _, w := range value(t, store, path) {
			most = max(most, math.Abs(w))
		}
		if most > bound || most < 0.9*bound {
			t.Errorf("%s: |w| ≤ %v, want nearly %v", path, most, bound)
		}
	}
}

func TestEntityAttentionRefuses(t *testing.T) {
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	set := func(x *Node) *Node { return GreaterThan(x, ZerosLike(x)) }
	for want, c := range map[string]struct {
		x, hidden, absent []int
		queries           int
		float             bool
	}{
		"nn: EntityAttention takes x [row, entity, width] with a width that 2 heads divide, got (Float32)[2, 5, 3]":                               {[]int{2, 5, 3}, []int{2, 3, 5}, []int{2, 3}, 3, false},
		"nn: EntityAttention: 6 of 5 entities cannot ask":                                                                                         {[]int{2, 5, 4}, []int{2, 6, 5}, []int{2, 6}, 6, false},
		"nn: EntityAttention takes hidden (Bool)[row, mask, query, entity] with 3 queries beside x (Float32)[2, 5, 4], got (Bool)[2, 1, 5, 3]":    {[]int{2, 5, 4}, []int{2, 5, 3}, []int{2, 3}, 3, false},
		"nn: EntityAttention takes hidden (Bool)[row, mask, query, entity] with 3 queries beside x (Float32)[2, 5, 4], got (Float32)[2, 1, 3, 5]": {[]int{2, 5, 4}, []int{2, 3, 5}, []int{2, 3}, 3, true},
		"nn: EntityAttention takes absent (Bool)[row, query] with 3 queries beside x (Float32)[2, 5, 4], got (Bool)[2, 5]":                        {[]int{2, 5, 4}, []int{2, 3, 5}, []int{2, 5}, 3, false},
	} {
		_, err := try(t, d, NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node {
			hidden := set(in[1])
			if c.float {
				hidden = in[1]
			}
			out, _ := EntityAttention(s, in[0], c.queries, hidden, set(in[2]), 2)
			return []*Node{out}
		}, noise("x", c.x...), noise("hidden", c.hidden...), noise("absent", c.absent...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// BenchmarkEntityAttention is forward and backward of 32 episodes of 60 steps with 16 entities, 8 of them agents, at the
// widths of REFIL and of a small network, with one mask and with REFIL's three.
func BenchmarkEntityAttention(b *testing.B) {
	for _, shape := range [][3]int{{128, 4, 1}, {128, 4, 3}, {32, 2, 1}, {32, 2, 3}} {
		b.Run(fmt.Sprintf("width=%d/masks=%d", shape[0], shape[2]), func(b *testing.B) {
			c := newCrowd(32*60, shape[2], 8, 16, shape[0], shape[1])
			d, err := xla.Open("", 2)
			if err != nil {
				b.Fatal(err)
			}
			p, err := xla.Compile(d, "attention", NewStore(rng.New(1)), func(s *model.Scope, in []*Node) []*Node {
				y, _ := c.attend(s, in)
				by := []*Node{in[0]}
				for _, v := range Params(s, y.Graph()) {
					by = append(by, v.NodeValue(y.Graph()))
				}
				loss := ReduceAllSum(Square(y))
				out := []*Node{loss}
				for _, g := range Gradient(loss, by...) {
					out = append(out, ReduceAllSum(Square(g)))
				}
				return out
			}, xla.F32(c.x.Dims...), xla.F32(c.hidden.Dims...), xla.F32(c.absent.Dims...))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := p.Call(c.x.X, c.hidden.X, c.absent.X); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
