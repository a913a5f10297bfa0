package xla

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Input declares one host array that a program takes.
type Input struct {
	shape shapes.Shape
}

// F32 declares []float32 of these dimensions.
func F32(dims ...int) Input { return Input{shapes.Make(dtypes.Float32, dims...)} }

// I32 declares []int32 of these dimensions.
func I32(dims ...int) Input { return Input{shapes.Make(dtypes.Int32, dims...)} }

// Bool declares []bool of these dimensions.
func Bool(dims ...int) Input { return Input{shapes.Make(dtypes.Bool, dims...)} }

// Program is a compiled graph function over a store of variables. One goroutine at a time may use the
// programs of one store.
type Program struct {
	Name    string
	Seconds float64 // that the compilation took, or loading
	Loaded  bool    // true: compiled earlier and loaded from the cache

	exec   *model.Exec
	inputs []*tensors.Tensor
	args   []any
	out    []any // reused from call to call
	hash   string
	// retrace gives the hash of the Go backend's trace, which most programs with loops are never asked for; nil: hash is it.
	retrace func() (string, error)
}

// Compile builds fn for inputs of fixed shapes and compiles it. What fn panics with, such as a wrong shape,
// is returned as an error. A program that was compiled before is loaded from the cache on disk.
func Compile(d *Device, name string, store *model.Store, fn func(s *model.Scope, in []*graph.Node) []*graph.Node, inputs ...Input) (p *Program, err error) {
	start := time.Now()
	var wrong error           // that fn panicked with, without the library's wrapping
	var outputs []*graph.Node // that fn returned
	traced := func(s *model.Scope, in []*graph.Node) []*graph.Node {
		defer func() {
			if x := recover(); x != nil {
				wrong = oneLine(fmt.Errorf("%v", x))
				panic(wrong)
			}
		}()
		outputs = fn(s, in)
		return outputs
	}
	defer catch(&err, "xla: compiling "+name)
	exec, err := model.NewExec(d.backend, store, traced)
	if err != nil {
		return nil, fmt.Errorf("xla: %s: %w", name, oneLine(err))
	}
	p = &Program{Name: name, exec: exec.WithName(name)}
	dims := make([]shapes.Shape, len(inputs))
	for i, in := range inputs {
		dims[i] = in.shape
		t, err := tensors.FromShapeForBackend(d.backend, 0, in.shape)
		if err != nil {
			return nil, fmt.Errorf("xla: %s: input %d: %w", name, i, oneLine(err))
		}
		p.inputs, p.args = append(p.inputs, t), append(p.args, t)
	}
	var g *graph.Graph
	p.Loaded = fromCache(func() { g, err = exec.Compile(dims...) })
	for _, line := range cacheNotes() {
		d.logf("%s", d.bare(line))
	}
	switch {
	case wrong != nil:
		return nil, fmt.Errorf("xla: compiling %s: %w", name, wrong)
	case err != nil:
		return nil, fmt.Errorf("xla: compiling %s: %w", name, oneLine(err))
	}
	if p.hash = hash(g, store, outputs); hasLoop(g) && d.Name() != "go" {
		p.retrace = func() (string, error) { return goHash(store, fn, dims) }
	}
	p.Seconds = time.Since(start).Seconds()
	done, where := "compiled", ""
	if p.Loaded {
		done, where = "loaded", " from the cache"
	}
	d.logf("%s %s for %s%s in %.2f s (%d nodes)", done, name, d.bare(d.config), where, p.Seconds, len(g.Nodes()))
	return p, nil
}

// catch turns a panic of the library into an error.
func catch(err *error, where string) {
	if x := recover(); x != nil {
		*err = fmt.Errorf("%s: %w", where, oneLine(fmt.Errorf("%v", x)))
	}
}

// Hash stands for the traced program, constants (of up to a million values) included: equal programs have equal hashes,
// on every backend and in every process. A program with loops is traced on the Go backend for it, when it is first
// asked for; one that cannot be has a hash of its own.
func (p *Program) Hash() string {
	if p.retrace != nil {
		if h, err := p.retrace(); err == nil {
			p.hash = h
		}
		p.retrace = nil
	}
	return p.hash
}

// Call copies the arrays to the device, runs the program and returns its outputs: []float32, []int32 or
// []bool, valid until the next Call. Changed variables stay on the device.
func (p *Program) Call(in ...any) (out []any, err error) {
	defer catch(&err, "xla: "+p.Name)
	if len(in) != len(p.inputs) {
		return nil, fmt.Errorf("xla: %s: %d inputs, want %d", p.Name, len(in), len(p.inputs))
	}
	for i, x := range in {
		if err := feed(p.inputs[i], x); err != nil {
			return nil, fmt.Errorf("xla: %s: input %d: %w", p.Name, i, err)
		}
	}
	results, err := p.exec.Call(p.args...)
	if err != nil {
		return nil, fmt.Errorf("xla: %s: %w", p.Name, oneLine(err))
	}
	if p.out == nil {
		p.out = make([]any, len(results))
	}
	for i, t := range results {
		if p.out[i], err = fetch(t, p.out[i]); err != nil {
			return nil, fmt.Errorf("xla: %s: output %d: %w", p.Name, i, oneLine(err))
		}
		if err := t.FinalizeAll(); err != nil {
			return nil, fmt.Errorf("xla: %s: output %d: %w", p.Name, i, oneLine(err))
		}
	}
	return p.out, nil
}

func feed(t *tensors.Tensor, x any) error {
	switch x := x.(type) {
	case []float32:
		return write(t, x)
	case []int32:
		return write(t, x)
	case []bool:
		return write(t, x)
	}
	return fmt.Errorf("%T, want []float32, []int32 or []bool", x)
}

func write[T float32 | int32 | bool](t *tensors.Tensor, x []T) error {
	if len(x) != t.Size() || dtypes.FromGenericsType[T]() != t.DType() {
		return fmt.Errorf("%T of %d, want %d of %s", x, len(x), t.Size(), t.Shape())
	}
	return tensors.MutableFlatData(t, func(flat []T) { copy(flat, x) })
}

// fetch copies a tensor to the host, into old if that has room.
func fetch(t *tensors.Tensor, old any) (any, error) {
	switch t.DType() {
	case dtypes.Float32:
		return read[float32](t, old)
	case dtypes.Int32:
		return read[int32](t, old)
	case dtypes.Int64:
		return read[int64](t, old)
	case dtypes.Bool:
		return read[bool](t, old)
	}
	return nil, fmt.Errorf("type %s, want float32, int32, int64 or bool", t.DType())
}

func read[T float32 | int32 | int64 | bool](t *tensors.Tensor, old any) (any, error) {
	dst, _ := old.([]T)
	if len(dst) != t.Size() {
		dst = make([]T, t.Size())
	}
	err := tensors.ConstFlatData(t, func(flat []T) { copy(dst, flat) })
	return dst, err
}

func init() { graph.MinConstValueSizeToKeep = 1 << 20 } // so that String, and with it hash, shows constants

// hash describes every node of a graph by operation, operands, shape and constants, and says which nodes are
// returned and which become values of variables.
func hash(g *graph.Graph, store *model.Store, outputs []*graph.Node) string {
	h := sha256.New()
	for _, n := range g.Nodes() {
		fmt.Fprintln(h, n.String(), ids(n.Inputs())) // String leaves out the operands of loops and branches
	}
	fmt.Fprintln(h, "returns", ids(outputs))
	var changes []string
	for v := range store.IterVariables() {
		if v.ChangedInGraph(g) {
			changes = append(changes, fmt.Sprintf("%s becomes %d", v.Path(), v.NodeValue(g).Id()))
		}
	}
	slices.Sort(changes) // a loaded store has another order
	fmt.Fprintln(h, changes)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hasLoop reports whether a graph contains a loop, which stands for steps written out on the Go backend.
func hasLoop(g *graph.Graph) bool {
	return slices.ContainsFunc(g.Nodes(), func(n *graph.Node) bool { return n.Type() == graph.NodeTypeWhile })
}

// goHash is the hash of what fn traces on the Go backend.
func goHash(store *model.Store, fn func(s *model.Scope, in []*graph.Node) []*graph.Node, dims []shapes.Shape) (string, error) {
	d, err := Open(Go, 1)
	if err != nil {
		return "", err
	}
	var outputs []*graph.Node
	exec, err := model.NewExec(d.backend, store, func(s *model.Scope, in []*graph.Node) []*graph.Node {
		outputs = fn(s, in)
		return outputs
	})
	if err != nil {
		return "", err
	}
	g, err := exec.Compile(dims...)
	if err != nil {
		return "", err
	}
	return hash(g, store, outputs), nil
}

func ids(nodes []*graph.Node) []graph.NodeId {
	list := make([]graph.NodeId, len(nodes))
	for i, n := range nodes {
		list[i] = n.Id()
	}
	return list
}

// Values copies the variables below a scope path to the host, with their dimensions, by full path.
func Values(store *model.Store, below string) (map[string]Value, error) {
	out, below := map[string]Value{}, strings.TrimSuffix(below, "/")+"/"
	for v := range store.IterVariables() {
		if !strings.HasPrefix(v.Path(), below) || !v.HasValue() {
			continue
		}
		t, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("xla: variable %s: %w", v.Path(), oneLine(err))
		}
		flat, err := fetch(t, nil)
		if err != nil {
			return nil, fmt.Errorf("xla: variable %s: %w", v.Path(), oneLine(err))
		}
		out[v.Path()] = Value{append([]int{}, t.Shape().Dimensions...), flat}
	}
	return out, nil
}

// Value is a variable on the host.
type Value struct {
	Dims []int
	Flat any // []float32, []int32, []int64 or []bool
}

// SetValues gives variables the values, creating those that are not there yet. One of another shape is an error.
func SetValues(store *model.Store, values map[string]Value) error {
	for _, path := range slices.Sorted(maps.Keys(values)) {
		x := values[path]
		t, err := tensorOf(x)
		if err != nil {
			return fmt.Errorf("xla: variable %s: %w", path, err)
		}
		v := store.GetVariable(path)
		if v == nil {
			if _, err := store.CreateVariable(path, t); err != nil {
				return fmt.Errorf("xla: variable %s: %w", path, oneLine(err))
			}
			continue
		}
		if !v.Shape().Equal(t.Shape()) {
			return fmt.Errorf("xla: variable %s has shape %s here and %s there", path, v.Shape(), t.Shape())
		}
		if err := v.SetValue(t); err != nil {
			return fmt.Errorf("xla: variable %s: %w", path, oneLine(err))
		}
	}
	return nil
}

func tensorOf(x Value) (t *tensors.Tensor, err error) {
	defer catch(&err, "values and dimensions")
	switch flat := x.Flat.(type) {
	case []float32:
		return tensors.FromFlatDataAndDimensions(flat, x.Dims...), nil
	case []int32:
		return tensors.FromFlatDataAndDimensions(flat, x.Dims...), nil
	case []int64:
		return tensors.FromFlatDataAndDimensions(flat, x.Dims...), nil
	case []bool:
		return tensors.FromFlatDataAndDimensions(flat, x.Dims...), nil
	}
	return nil, fmt.Errorf("%T, want []float32, []int32, []int64 or []bool", x.Flat)
}
