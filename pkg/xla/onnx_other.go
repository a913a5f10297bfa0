//go:build !(onnx && linux && amd64)

package xla

import (
	"fmt"
	"io"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// WriteONNX needs a program built with -tags onnx on x86-64 Linux: GoMLX's writer links C and is experimental.
func WriteONNX(io.Writer, map[string]Value, func(s *model.Scope, in []*graph.Node) []*graph.Node, []string, []string, ...Input) error {
	return fmt.Errorf("xla: ONNX is not in this program, want one built with -tags onnx on linux/amd64")
}
