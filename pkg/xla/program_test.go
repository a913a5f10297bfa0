package xla

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

type function = func(s *model.Scope, in []*Node) []*Node

// constants returns a store with one variable, /w = (1, 2), and more.
func constants(more map[string]Value) *model.Store {
	store := model.NewStore()
	values := map[string]Value{"/w": {[]int{2}, []float32{1, 2}}}
	for path, v := range more {
		values[path] = v
	}
	if err := SetValues(store, values); err != nil {
		panic(err)
	}
	return store
}

// scaled adds up each row of x [row, 2] and returns factor times the sum times w.
func scaled(factor float64) function {
	return func(s *model.Scope, in []*Node) []*Node {
		w := s.GetVariable("w").NodeValue(in[0].Graph())
		sum := ReduceAndKeep(in[0], ReduceSum, 1)
		return []*Node{MulScalar(Mul(sum, ExpandAxes(w, 0)), factor)}
	}
}

func compile(t *testing.T, d *Device, f function, inputs ...Input) *Program {
	t.Helper()
	p, err := Compile(d, t.Name(), constants(nil), f, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompileTurnsPanicsIntoErrors(t *testing.T) {
	var none []int
	each(t, func(t *testing.T, d *Device) {
		for want, f := range map[string]func(in []*Node){
			"an error":          func([]*Node) { panic(errors.New("an error\nwith a stack")) },
			"a text":            func([]*Node) { panic("a text") },
			"out of range":      func([]*Node) { none[len(none)]++ },
			"nil pointer":       func([]*Node) { var s *model.Scope; s.GetVariable("w") },
			"incompatible rank": func(in []*Node) { in[0].AssertDims(2, 3) }, // a wrong shape
		} {
			_, err := Compile(d, "update", model.NewStore(), func(_ *model.Scope, in []*Node) []*Node { f(in); return in }, F32(2))
			if err == nil || !strings.HasPrefix(err.Error(), "xla: compiling update: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, want)
			}
		}
	})
}

func TestCompileLogsItsTime(t *testing.T) {
	each(t, func(t *testing.T, d *Device) {
		var lines []string
		d.Log = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		p := compile(t, d, scaled(1), F32(1, 2))
		compile(t, d, scaled(1), F32(2, 2))
		if want := fmt.Sprintf("compiled %s for %s in %.2f s (", t.Name(), d.config, p.Seconds); len(lines) != 2 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("log %q, want a line for each program as %q", lines, want)
		}
		if p.Seconds <= 0 || p.Seconds > 60 {
			t.Errorf("compiling took %v s", p.Seconds)
		}
	})
}

func TestCallRefuses(t *testing.T) {
	each(t, func(t *testing.T, d *Device) {
		p := compile(t, d, func(_ *model.Scope, in []*Node) []*Node { return in }, F32(2), I32(3), Bool())
		f, i, b := []float32{1, 2}, []int32{1, 2, 3}, []bool{true}
		for _, c := range []struct {
			in   []any
			want string
		}{
			{[]any{f, i}, "2 inputs, want 3"},
			{[]any{f, i, b, b}, "4 inputs, want 3"},
			{[]any{f, i[:2], b}, "input 1: []int32 of 2, want 3 of (Int32)[3]"},
			{[]any{i[:2], i, b}, "input 0: []int32 of 2, want 2 of (Float32)[2]"},
			{[]any{f, f, b}, "input 1: []float32 of 2, want 3 of (Int32)[3]"},
			{[]any{f, i, true}, "input 2: bool, want []float32, []int32 or []bool"},
			{[]any{f, i, nil}, "input 2: <nil>, want []float32, []int32 or []bool"},
		} {
			if _, err := p.Call(c.in...); err == nil || err.Error() != "xla: "+t.Name()+": "+c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
		out, err := p.Call(f, i, b)
		if want := []any{f, i, b}; err != nil || !reflect.DeepEqual(out, want) {
			t.Errorf("after the refusals %v, %v, want %v", out, err, want)
		}
	})
}

// TestCallsKeepApart: outputs and variables that are inputs, or each other, must not share memory with them.
func TestCallsKeepApart(t *testing.T) {
	each(t, func(t *testing.T, d *Device) {
		store := constants(nil)
		p, err := Compile(d, "swap", store, func(s *model.Scope, in []*Node) []*Node {
			w := s.GetVariable("w")
			old := w.NodeValue(in[0].Graph())
			w.SetNodeValue(in[0])
			return []*Node{old, in[0], in[0]}
		}, F32(2))
		if err != nil {
			t.Fatal(err)
		}
		other, err := Compile(d, "read", store, func(s *model.Scope, in []*Node) []*Node {
			return []*Node{Add(s.GetVariable("w").NodeValue(in[0].Graph()), in[0])}
		}, F32(2))
		if err != nil {
			t.Fatal(err)
		}
		old := []float32{1, 2}
		for k := range 4 {
			now := []float32{float32(10 * k), 5}
			in := append([]float32{}, now...)
			out, err := p.Call(in)
			if want := []any{old, now, now}; err != nil || !reflect.DeepEqual(out, want) {
				t.Fatalf("call %d: %v, %v, want %v", k, out, err, want)
			}
			in[0] = -1
			sum, err := other.Call([]float32{100, 100})
			if want := []any{[]float32{now[0] + 100, 105}}; err != nil || !reflect.DeepEqual(sum, want) {
				t.Fatalf("call %d: the variable plus 100 is %v, %v, want %v", k, sum, err, want)
			}
			old = now
		}
	})
}

// TestHash compares one program with itself, traced elsewhere, and with others that differ in one thing.
func TestHash(t *testing.T) {
	big := make([]float32, 1000)
	constant := func(change int) function {
		c := append([]float32{}, big...)
		c[change]++
		return func(_ *model.Scope, in []*Node) []*Node { return []*Node{Add(in[0], Const(in[0].Graph(), c))} }
	}
	loop := func(step float32, swap bool) function { // x, x+step, …; While says nothing of its operands and closures
		return func(_ *model.Scope, in []*Node) []*Node {
			g := in[0].Graph()
			cond := NewClosure(g, func(g *Graph) []*Node {
				i := Parameter(g, "i", in[0].Shape())
				Parameter(g, "x", in[0].Shape())
				return []*Node{LessThan(i, Const(g, float32(3)))}
			})
			body := NewClosure(g, func(g *Graph) []*Node {
				i, x := Parameter(g, "i", in[0].Shape()), Parameter(g, "x", in[0].Shape())
				return []*Node{Add(i, Const(g, float32(1))), Add(x, Const(g, step))}
			})
			a, b := in[0], in[1]
			if swap {
				a, b = b, a
			}
			return While(cond, body, a, b)
		}
	}
	changes := func(path string) function {
		return func(s *model.Scope, in []*Node) []*Node {
			g := in[0].Graph()
			v, u := s.GetVariable("v"), s.GetVariable("u")
			sum := Add(v.NodeValue(g), u.NodeValue(g))
			s.GetVariable(path).SetNodeValue(sum)
			return []*Node{sum}
		}
	}
	one := Value{nil, []float32{1}}
	vars := map[string]Value{"/v": one, "/u": one}
	programs := []struct {
		name   string
		f      function
		inputs []Input
	}{
		{"scaled by 2", scaled(2), []Input{F32(4, 2)}},
		{"scaled by 2.0000002", scaled(2.0000002), []Input{F32(4, 2)}},
		{"other shape", scaled(2), []Input{F32(5, 2)}},
		{"large constant", constant(500), []Input{F32(1000)}},
		{"other large constant", constant(501), []Input{F32(1000)}},
		{"loop", loop(1, false), []Input{F32(), F32()}},
		{"loop, other step", loop(2, false), []Input{F32(), F32()}},
		{"loop, other operands", loop(1, true), []Input{F32(), F32()}},
		{"first", func(_ *model.Scope, in []*Node) []*Node { return in[:1] }, []Input{F32(2), F32(2)}},
		{"second", func(_ *model.Scope, in []*Node) []*Node { return in[1:] }, []Input{F32(2), F32(2)}},
		{"changes v", changes("v"), []Input{F32()}},
		{"changes u", changes("u"), []Input{F32()}},
	}
	seen, backends := map[string]string{}, map[string]string{}
	each(t, func(t *testing.T, d *Device) {
		for _, c := range programs {
			var hashes [2]string
			for k := range hashes {
				p, err := Compile(d, c.name, constants(vars), c.f, c.inputs...)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				hashes[k] = p.Hash()
			}
			if hashes[0] != hashes[1] {
				t.Errorf("%s: %s and, traced again, %s", c.name, hashes[0], hashes[1])
			}
			if other, ok := seen[d.config+hashes[0]]; ok {
				t.Errorf("%q and %q have the same hash", c.name, other)
			}
			if h, ok := backends[c.name]; ok && h != hashes[0] {
				t.Errorf("%s: another hash on another backend", c.name)
			}
			seen[d.config+hashes[0]], backends[c.name] = c.name, hashes[0]
		}
	})
}

// bits trains a small network for some steps and returns the hash of its program and the bits of its
// variables; TestMain prints it for another process.
func bits(config string) (string, error) {
	d, err := Open(config, 2)
	if err != nil {
		return "", err
	}
	return bitsOn(d)
}

func bitsOn(d *Device) (string, error) {
	n := 64 * 64
	w, x := make([]float32, n), make([]float32, n)
	for i := range w {
		w[i], x[i] = float32(math.Sin(float64(i))), float32(math.Cos(float64(i)))
	}
	store := constants(map[string]Value{"/net/w": {[]int{64, 64}, w}})
	p, err := Compile(d, "train", store, func(s *model.Scope, in []*Node) []*Node {
		w := s.In("net").GetVariable("w")
		now := w.NodeValue(in[0].Graph())
		loss := ReduceAllMean(Square(Tanh(MatMul(in[0], now))))
		w.SetNodeValue(Sub(now, MulScalar(Gradient(loss, now)[0], 0.1)))
		return []*Node{loss}
	}, F32(64, 64))
	if err != nil {
		return "", err
	}
	for range 5 {
		if _, err := p.Call(x); err != nil {
			return "", err
		}
	}
	values, err := Values(store, "/net")
	if err != nil {
		return "", err
	}
	var sum uint64 // FNV-1a over the bits
	for _, v := range values["/net/w"].Flat.([]float32) {
		sum = (sum ^ uint64(math.Float32bits(v))) * 1099511628211
	}
	return fmt.Sprintf("%s %x", p.Hash(), sum), nil
}

// TestEqualBits: the same program and inputs give the same hash and bits in every process.
func TestEqualBits(t *testing.T) {
	for _, config := range []string{Go, "xla:cpu"} {
		t.Run(config, func(t *testing.T) {
			needs(t, config)
			first := again(t, "bits "+config)
			if !strings.HasSuffix(first, "<nil>") {
				t.Fatal(first)
			}
			if second := again(t, "bits "+config); second != first {
				t.Errorf("%s in one process, %s in another", first, second)
			}
		})
	}
}

// TestValuesBetweenBackends carries variables from a store of one backend to one of the other, after the first
// has computed them on its device.
func TestValuesBetweenBackends(t *testing.T) {
	needs(t, "xla:cpu")
	more := map[string]Value{
		"/net/a/w": {[]int{2, 3}, []float32{1, -2.5, 3e-30, float32(math.Inf(1)), 5, 6}},
		"/net/n":   {[]int{}, []int32{-7}},
		"/net/big": {[]int{1}, []int64{1 << 40}},
		"/net/on":  {[]int{2}, []bool{true, false}},
		"/nets/w":  {[]int{1}, []float32{9}}, // beside /net, not below it
	}
	for _, c := range [][2]string{{"xla:cpu", Go}, {Go, "xla:cpu"}} {
		from, to := constants(more), model.NewStore()
		d, err := Open(c[0], 2)
		if err != nil {
			t.Fatal(err)
		}
		double := func(s *model.Scope, in []*Node) []*Node {
			w := s.In("net").In("a").GetVariable("w")
			w.SetNodeValue(MulScalar(w.NodeValue(in[0].Graph()), 2))
			return []*Node{w.NodeValue(in[0].Graph())}
		}
		p, err := Compile(d, "double", from, double, F32())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Call([]float32{0}); err != nil {
			t.Fatal(err)
		}
		want := map[string]Value{"/net/n": more["/net/n"], "/net/big": more["/net/big"], "/net/on": more["/net/on"],
			"/net/a/w": {[]int{2, 3}, []float32{2, -5, 6e-30, float32(math.Inf(1)), 10, 12}}}
		for _, below := range []string{"/net", "/net/"} {
			values, err := Values(from, below)
			if err != nil || !reflect.DeepEqual(values, want) {
				t.Fatalf("%s: %v, %v, want %v", below, values, err, want)
			}
			if err := SetValues(to, values); err != nil {
				t.Fatal(err)
			}
			values["/net/a/w"].Flat.([]float32)[0] = 99 // a copy: the store must not see it
		}
		if d, err = Open(c[1], 2); err != nil {
			t.Fatal(err)
		}
		if p, err = Compile(d, "double", to, double, F32()); err != nil {
			t.Fatal(err)
		}
		out, err := p.Call([]float32{0})
		if want := []float32{4, -10, 12e-30, float32(math.Inf(1)), 20, 24}; err != nil || !reflect.DeepEqual(out, []any{want}) {
			t.Errorf("%s to %s: %v, %v, want %v", c[0], c[1], out, err, want)
		}
		all, err := Values(from, "/")
		if err != nil || len(all) != 6 {
			t.Errorf("%d variables below /, want 6 (%v)", len(all), err)
		}
	}
}

func TestSetValuesRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		v    Value
		want string
	}{
		{"shape", Value{[]int{3}, []float32{1, 2, 3}}, "xla: variable /w has shape (Float32)[2] here and (Float32)[3] there"},
		{"type", Value{[]int{2}, []int32{1, 2}}, "xla: variable /w has shape (Float32)[2] here and (Int32)[2] there"},
		{"size", Value{[]int{2}, []float32{1, 2, 3}}, "xla: variable /w: "},
		{"unknown type", Value{[]int{2}, []string{"a", "b"}}, "xla: variable /w: []string, want []float32"},
	} {
		store := constants(nil)
		err := SetValues(store, map[string]Value{"/w": c.v})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line %s", c.name, err, c.want)
		}
		got, err := Values(store, "/")
		if want := []float32{1, 2}; err != nil || !reflect.DeepEqual(got["/w"].Flat, want) {
			t.Errorf("%s: /w is %v afterwards, %v, want %v", c.name, got["/w"], err, want)
		}
	}
}

// TestFetchRefuses: what a program returns must be of a type that the host side knows.
func TestFetchRefuses(t *testing.T) {
	each(t, func(t *testing.T, d *Device) {
		p := compile(t, d, func(_ *model.Scope, in []*Node) []*Node {
			return []*Node{Const(in[0].Graph(), tensors.FromScalar(uint64(1)))}
		}, F32())
		if _, err := p.Call([]float32{0}); err == nil || !strings.Contains(err.Error(), "output 0: type Uint64, want float32, int32, int64 or bool") {
			t.Errorf("uint64: %v", err)
		}
	})
}
