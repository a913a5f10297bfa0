package value

import (
	"fmt"
	"io"

	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/xla"
)

// ExportONNX writes the network of a policy of this package, as train.Open returns it, as an ONNX model that acts greedily in
// `envs` environments at once. Inputs, as far as the method reads them: obs, float32 [1, env, agent, observation], entities, hidden,
// present, role, last_action, int32 [1, env, agent] (−1 at first), avail, bool [1, env, agent, action], and memory, float32
// [env, agent, width], zero at first; outputs: action, int32 [1, env, agent], and memory_after. The program must be built with -tags onnx (see xla.WriteONNX).
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
	inputs, outputs := a.names()
	return xla.WriteONNX(w, values, a.act, inputs, outputs, a.inputs(envs)...)
}
