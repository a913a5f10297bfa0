package battle

import (
	"testing"

	"github.com/muster-marl/muster/pkg/env/envtest"
)

func TestContract(t *testing.T) {
	for _, w := range []World{
		Map("2s3z"), Map("MMM2"), Map("2c_vs_64zg"), SZ(3, 4, 5).WithLeaders(2), MMM(), OneDown(), Random("terran_10_vs_11"),
	} {
		t.Run(w.name(), func(t *testing.T) { envtest.Check(t, w) })
	}
}
