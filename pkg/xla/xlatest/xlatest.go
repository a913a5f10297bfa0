// Package xlatest compiles and calls graphs in tests, on each backend that is found.
package xlatest

import (
	"math"
	"reflect"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/muster-marl/muster/pkg/xla"
)

// Backends lists the pure-Go backend, and XLA where a plugin is installed.
func Backends(t testing.TB) []string {
	if c := xla.Config(); c != xla.Go {
		return []string{xla.Go, c}
	}
	t.Log("no XLA plugin: only the pure-Go backend is tested")
	return []string{xla.Go}
}

// Each runs a test on the pure-Go backend and, where a plugin is found, on XLA, with two threads.
func Each(t *testing.T, f func(t *testing.T, d *xla.Device)) {
	for _, config := range []string{xla.Go, "xla:cpu"} {
		t.Run(config, func(t *testing.T) {
			if found := xla.Config(); config != xla.Go && !strings.HasPrefix(found, "xla") {
				t.Skipf("XLA is not tested: the backend here is %s", found)
			}
			d, err := xla.Open(config, 2)
			if err != nil {
				t.Fatal(err)
			}
			f(t, d)
		})
	}
}

// Array is a host array with its dimensions.
type Array struct {
	Dims []int
	X    []float32
}

// Try compiles f, with the variables of store, and calls it once.
func Try(t *testing.T, d *xla.Device, store *model.Store, f func(s *model.Scope, in []*Node) []*Node, in ...Array) ([]any, error) {
	t.Helper()
	var inputs []xla.Input
	var args []any
	for _, a := range in {
		inputs, args = append(inputs, xla.F32(a.Dims...)), append(args, a.X)
	}
	p, err := xla.Compile(d, t.Name(), store, f, inputs...)
	if err != nil {
		return nil, err
	}
	return p.Call(args...)
}

// Call is Try for what must not fail.
func Call(t *testing.T, d *xla.Device, store *model.Store, f func(s *model.Scope, in []*Node) []*Node, in ...Array) []any {
	t.Helper()
	out, err := Try(t, d, store, f, in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// OnGo calls a graph of any inputs on the Go backend.
func OnGo(t *testing.T, store *model.Store, f func(s *model.Scope, in []*Node) []*Node, inputs []xla.Input, values ...any) []any {
	t.Helper()
	d, err := xla.Open(xla.Go, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := xla.Compile(d, t.Name(), store, f, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Call(values...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Near wants got, an output, to be want; the tolerance is absolute for small numbers and relative for large ones.
func Near(t *testing.T, what string, got any, want []float64, tolerance float64) {
	t.Helper()
	x, ok := got.([]float32)
	if !ok || len(x) != len(want) {
		t.Fatalf("%s: %T of %d values, want %d", what, got, reflect.ValueOf(got).Len(), len(want))
	}
	for i := range x {
		if d := math.Abs(float64(x[i]) - want[i]); !(d <= tolerance*(1+math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, x[i], want[i])
		}
	}
}
