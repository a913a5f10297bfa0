//go:build onnx && linux && amd64

package xla

import (
	"fmt"
	"io"
	"os"

	onnx "github.com/gomlx/compute-onnx"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// WriteONNX writes what fn computes with these values as an ONNX model whose inputs and outputs are called in and out; the values
// become constants of the model. GoMLX writes a program that its ONNX Runtime backend has compiled, so the library must be there:
// ONNXRUNTIME_SHARED_LIBRARY_PATH names libonnxruntime.so.
func WriteONNX(w io.Writer, values map[string]Value, fn func(s *model.Scope, in []*graph.Node) []*graph.Node, in, out []string, inputs ...Input) (err error) {
	defer catch(&err, "xla: ONNX")
	if file := os.Getenv("ONNXRUNTIME_SHARED_LIBRARY_PATH"); file == "" {
		return fmt.Errorf("xla: ONNX needs ONNXRUNTIME_SHARED_LIBRARY_PATH=…/libonnxruntime.so; PyPI's onnxruntime has one in onnxruntime/capi")
	} else if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("xla: ONNX: %w", err) // the backend would fetch a library instead
	}
	backend, err := onnx.New("cpu")
	if err != nil {
		return fmt.Errorf("xla: ONNX: %w", oneLine(err))
	}
	defer backend.Finalize()
	backend.(*onnx.Backend).SetKeepModelProto(true)
	store := model.NewStore()
	if err := SetValues(store, values); err != nil {
		return err
	}
	exec, err := model.NewExec(backend, store.WithVariableAsConst(true), fn)
	if err != nil {
		return fmt.Errorf("xla: ONNX: %w", oneLine(err))
	}
	var dims []shapes.Shape
	for _, i := range inputs {
		dims = append(dims, i.shape)
	}
	g, err := exec.Compile(dims...)
	if err != nil {
		return fmt.Errorf("xla: ONNX: %w", oneLine(err))
	}
	if err := onnx.SaveModel(backend, g.Executable(), w, in, out); err != nil {
		return fmt.Errorf("xla: ONNX: %w", oneLine(err))
	}
	return nil
}
