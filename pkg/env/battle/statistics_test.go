package battle

import (
	"math"
	"os"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// long says whether the statistical checks play all their episodes.
func long() bool { return os.Getenv("MUSTER_LONG") == "1" }

// tally is what episodes came to.
type tally struct {
	episodes, wins, draws, steps int
}

func (c tally) rate() float64   { return float64(c.wins) / float64(c.episodes) }
func (c tally) length() float64 { return float64(c.steps) / float64(c.episodes) }

// play plays episodes of w with a script.
func play(t testing.TB, w World, script Script, episodes int) (c tally) {
	b, out := begin(t, w, rng.New(1))
	act := make([]int32, b.maxAllies)
	for e := range int64(episodes) {
		key := rng.New(17).Split("env", e)
		out.Terminated, out.Truncated, out.Outcome = false, false, env.Running
		b.Reset(env.Episode{Rand: key.Rand()}, out)
		r := key.Split("act").Rand()
		for !out.Over() {
			script(out, r, env.Actions{Discrete: act})
			b.step(out, act...)
			c.steps++
		}
		c.episodes++
		switch out.Outcome {
		case env.Win:
			c.wins++
		case env.Draw:
			c.draws++
		}
	}
	return c
}

var families = []struct {
	name string
	of   func(...int) World
}{{"sz", SZ}, {"csz", CSZ}, {"mmm", MMM}}

// TestB17MirrorSymmetry: allies that fight like the enemy win half of the battles.
func TestB17MirrorSymmetry(t *testing.T) {
	for _, f := range families {
		for _, w := range []World{f.of(3, 4, 5), f.of(8)} {
			for _, p := range []Profile{SC2, Lite} {
				w, episodes := w.WithProfile(p), 4000
				if w.Mirror = true; p == Lite && !long() {
					episodes = 1000
				}
				t.Run(w.name(), func(t *testing.T) {
					t.Parallel()
					c := play(t, w, w.Random(), episodes)
					t.Logf("win rate %.3f, mean length %.1f, %d episodes", c.rate(), c.length(), episodes)
					// 0.04 is five standard deviations of 4,000 episodes, 2.5 of 1,000
					if math.Abs(c.rate()-0.5) > 0.04 {
						t.Errorf("win rate %.3f, want 0.46 to 0.54", c.rate())
					}
				})
			}
		}
	}
}

// TestB18RandomNeverWins: random actions lose every battle of the families.
func TestB18RandomNeverWins(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := f.of()
			if c := play(t, w, w.Random(), 2000); c.wins != 0 {
				t.Errorf("%d of %d battles are won", c.wins, c.episodes)
			}
		})
	}
}

// TestB19ProfileRatio: SC2's seconds are 1.4 of Lite's, and battles as much longer in steps.
func TestB19ProfileRatio(t *testing.T) {
	w := SZ(3, 4, 5)
	normal := play(t, w, w.Near(), 1000)
	faster := play(t, w.WithProfile(Lite), w.WithProfile(Lite).Near(), 1000)
	ratio := normal.length() / faster.length()
	t.Logf("%.2f steps in SC2, %.2f in Lite, ratio %.3f", normal.length(), faster.length(), ratio)
	if math.Abs(ratio-1.4) > 0.1 {
		t.Errorf("the ratio of lengths is %.3f, want 1.4 ± 0.1", ratio)
	}
}

// TestB21ScriptsBeatRandom: what a learner must beat is far above random play.
func TestB21ScriptsBeatRandom(t *testing.T) {
	for _, f := range families {
		w := f.of(3, 4, 5)
		if near := play(t, w, w.Near(), 200); near.rate() < 0.2 {
			t.Errorf("%s: near wins %.2f, want at least 0.2", f.name, near.rate())
		}
	}
}
