package value

import (
	"fmt"
	"io"

	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/xla"
)

// ExportONNX writes the network of a policy of this package, as train.Open returns it, as an ONNX model that acts greedily in
// `envs` environments at once. Inputs: obs, float32 [1, env, agent, observation], and avail, bool [1, env, agent, action]; output:
// action, int32 [1, env, agent]. The program must be built with -tags onnx (see xla.WriteONNX).
func ExportONNX(w io.Writer, p policy.Policy, envs int) error {
	a, ok := p.(*actor)
	if !ok {
		return fmt.Errorf("value: ONNX of a %T, want a policy of this package", p)
	}
	if envs < 1 {
		return fmt.Errorf("value: ONNX for %d environments, want at least 1", envs)
	}
	values, err := xla.Values(a.acting.Learned, a.acting.Reads)
	if err != nil {
		return err
	}
	return xla.WriteONNX(w, values, a.act, []string{"obs", "avail"}, []string{"action"}, a.inputs(envs)...)
}
