package battle

import (
	"fmt"
	"testing"
)

func TestB20Probe(t *testing.T) {
	for _, f := range families {
		for _, w := range []World{f.of(3, 4, 5), f.of(6), f.of(7), f.of(8)} {
			for _, p := range []Profile{Lite, SC2} {
				w := w.WithProfile(p)
				n, fo := play(t, w, w.Near(), 300), play(t, w, w.Focus(), 300)
				fmt.Printf("%s near %.2f/%.0f focus %.2f/%.0f\n", w.name(), n.rate(), n.length(), fo.rate(), fo.length())
			}
		}
	}
}
