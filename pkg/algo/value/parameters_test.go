package value

import (
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/xla"
)

// TestT9Parameters: the numbers of parameters that follow from the sizes of REFIL's and GoMARL's code, counted by hand
// for entities of 52, 53 and 68 numbers (last action included) and 14, 14 and 22 actions.
func TestT9Parameters(t *testing.T) {
	for _, c := range []struct {
		world              battle.World
		width              Width
		agent, mixer       int // of AQMIX and REFIL
		inGroups, w1, both int // of OOM and SOM: agent, first hypernetwork, agent and mixer
	}{
		{battle.SZ(3, 4, 5), PaperWidth(), 106_574, 306_304, 139_342, 208_672, 577_742},
		{battle.CSZ(3, 4, 5), PaperWidth(), 106_702, 306_816, 139_470, 208_800, 578_382},
		{battle.MMM(3, 4, 5), PaperWidth(), 109_142, 314_496, 158_550, 210_720, 605_142},
		{battle.SZ(3, 4, 5), TinyWidth(), 13_678, 25_408, 0, 0, 0},
	} {
		w, name := c.world.WithLeaders(2), c.world.Family.Types
		for _, s := range []System{AQMIX(c.width, Tiny()), REFIL(0.5, c.width, Tiny())} {
			got := counts(build(t, s, w, xla.Go))
			if got["agent/"] != c.agent || got["mixer/"] != c.mixer {
				t.Errorf("%s of %v: %d in the agent and %d in the mixer, want %d and %d", s.Name, name, got["agent/"], got["mixer/"], c.agent, c.mixer)
			}
		}
		if c.both == 0 {
			continue
		}
		for _, s := range []System{OOM(c.width, Tiny()), SOM(c.width, Tiny())} {
			got := counts(build(t, s, w, xla.Go))
			if got["agent/"] != c.inGroups || got["mixer/w1/"] != c.w1 || got["agent/"]+got["mixer/"] != c.both {
				t.Errorf("%s of %v: %d in the agent, %d in w1, %d in all, want %d, %d and %d",
					s.Name, name, got["agent/"], got["mixer/w1/"], got["agent/"]+got["mixer/"], c.inGroups, c.w1, c.both)
			}
		}
	}
}

// counts are the numbers of parameters of a learner's parts.
func counts(l *learner) map[string]int {
	values, err := xla.Values(l.store, "/online/")
	if err != nil {
		panic(err)
	}
	n := map[string]int{}
	for path, v := range values {
		for _, part := range []string{"agent/", "mixer/", "mixer/w1/"} {
			if strings.HasPrefix(path, "/online/"+part) {
				n[part] += len(v.Flat.([]float32))
			}
		}
	}
	return n
}
