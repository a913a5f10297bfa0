package value

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/eval"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/train"
)

// onMaps is PyMARL2 with a quarter of its episodes in a batch and twice its updates, half the work in all, so that a
// million steps take minutes on a processor core.
func onMaps() Training {
	t := PyMARL2()
	t.Batch, t.UpdateEpisodes, t.TargetEvery = 32, 4, 50
	return t
}

// TestMaps compares IQL, VDN and QMIX on two maps, three seeds each (a million steps on 2s3z, 300,000 on 3m); see
// long. QMIX must beat the script that attacks who is nearest (docs/worlds/battle.md has its win rates), and must not stay
// behind VDN by more than seeds differ.
func TestMaps(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int64
		near  float64
	}{{"2s3z", 1_000_000, 0.83}, {"3m", 300_000, 0.54}} {
		rates := map[string][]float64{}
		for _, s := range []System{QMIX(onMaps()), VDN(onMaps()), IQL(onMaps())} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%s/%s/%d", c.name, s.Name, seed), func(t *testing.T) {
					final := long(t, s, battle.Map(c.name), seed, c.steps, train.Eval{Every: c.steps / 20, Episodes: 100, Final: 1000})
					rates[s.Name] = append(rates[s.Name], wins(final))
					t.Logf("win rate %.3f", wins(final))
				})
			}
		}
		qmix, vdn := rates["qmix"], rates["vdn"]
		if len(qmix) < 3 || len(vdn) < 3 {
			continue // only some of them were asked for
		}
		if stats.Mean(qmix) <= c.near {
			t.Errorf("%s: QMIX wins %.3f (mean of %.3f), the script %.2f", c.name, stats.Mean(qmix), qmix, c.near)
		}
		if slices.Max(qmix) < slices.Min(vdn) {
			t.Errorf("%s: every seed of QMIX %.3f is behind every seed of VDN %.3f", c.name, qmix, vdn)
		}
	}
}

// TestHalf is QMIX on 3m with episodes kept in half precision, otherwise as in TestMaps: it must beat the script, too.
func TestHalf(t *testing.T) {
	half := QMIX(onMaps())
	half.Name, half.Train.Half = "qmix-half", true
	var rates []float64
	for seed := range uint64(3) {
		final := long(t, half, battle.Map("3m"), seed, 300_000, train.Eval{Every: 15_000, Episodes: 100, Final: 1000})
		rates = append(rates, wins(final))
	}
	if t.Logf("win rates %.3f", rates); stats.Mean(rates) <= 0.54 {
		t.Errorf("QMIX that remembers in half precision wins %.3f, the script 0.54", stats.Mean(rates))
	}
}

// TestTeams compares methods over entities on battles of 3 to 5 stalkers and zealots, judged on 6, 7 and 8 as well (check T22 of
// the specification): three seeds of 200,000 steps each, with small networks; see long. Pay is divided by that of the
// family's largest battle; with each battle's own (EpisodeScale) random agents earn 4.2, the script that attacks who is
// nearest 15.9, and a method has to earn 8 in the mean.
func TestTeams(t *testing.T) {
	width, short := TinyWidth(), Tiny()
	for _, s := range []System{REFIL(0.5, width, short), AQMIX(width, short), OOM(width, short), SOM(width, short)} {
		w := battle.SZ(3, 4, 5)
		if s.Group.needsLeaders() {
			w = w.WithLeaders(2)
		}
		var earned []float64
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", s.Name, seed), func(t *testing.T) {
				r := finished(t, s, w, seed, 200_000, train.Eval{Every: 50_000, Episodes: 50, Final: 200, Cells: w.Cells(6, 7, 8)})
				for _, cell := range append([]env.Cell{{}}, w.Cells(6, 7, 8)...) {
					e, err := r.Final(cell.Name)
					if err != nil {
						t.Fatal(err)
					}
					if t.Logf("cell %q: win rate %.3f, return %.2f", cell.Name, wins(e), stats.Mean(e.Values("return"))); e.Episodes != 200 {
						t.Errorf("cell %q has %d episodes, want 200", cell.Name, e.Episodes)
					}
				}
				p, err := train.Open(r.Dir, w, s)
				if err != nil {
					t.Fatal(err)
				}
				scaled := w
				scaled.EpisodeScale = true
				e, err := eval.Run(t.Context(), scaled, p, rng.New(seed).Split("scaled", 0), eval.Plan{Episodes: 200, Envs: 8})
				if err != nil {
					t.Fatal(err)
				}
				earned = append(earned, stats.Mean(e.Values("return")))
				t.Logf("by each battle's own scale it earns %.2f", earned[len(earned)-1])
				for _, name := range []string{"loss", "switching_rate", "sd_loss"} {
					curve, err := r.Metrics(name)
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range curve {
						if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || name == "switching_rate" && p.Value > 1 {
							t.Fatalf("%s is %v after %d steps", name, p.Value, p.Steps)
						}
					}
					if name == "loss" || !s.Group.on() {
						continue
					}
					first, last := curve[0].Value, curve[len(curve)-1].Value
					if t.Logf("%s: %.3f at first, %.3f at last", name, first, last); name == "sd_loss" && last >= first || name == "switching_rate" && last <= 0 {
						t.Errorf("%s goes from %.3f to %.3f, want L_SD to fall and leaders to change now and then", name, first, last)
					}
				}
			})
		}
		if len(earned) > 0 && stats.Mean(earned) < 8 {
			t.Errorf("%s earns %.2f, want 8 in the mean", s.Name, earned)
		}
	}
}

// TestMarines is AQMIX with small networks on 3m for 150,000 steps, three seeds; see long. Random agents win nothing, the
// script that attacks who is nearest 0.58.
func TestMarines(t *testing.T) {
	reached, seeds := 0, uint64(3)
	for seed := range seeds {
		final := long(t, AQMIX(TinyWidth(), Tiny()), battle.Map("3m"), seed, 150_000, train.Eval{Every: 30_000, Episodes: 50, Final: 200})
		if t.Logf("seed %d: win rate %.3f", seed, wins(final)); wins(final) >= 0.5 {
			reached++
		}
	}
	if reached < 2 {
		t.Errorf("%d of %d seeds win half of their battles, want 2", reached, seeds)
	}
}

// wins is the share of episodes that were won.
func wins(e *run.Evaluation) float64 { return float64(e.Outcomes["win"]) / float64(e.Episodes) }

// long is the last evaluation of a finished run.
func long(t *testing.T, s System, w env.World, seed uint64, steps int64, e train.Eval) *run.Evaluation {
	t.Helper()
	final, err := finished(t, s, w, seed, steps, e).Final("")
	if err != nil {
		t.Fatal(err)
	}
	return final
}

// finished trains s on w, unless the run is there already, and returns it. It needs MUSTER_LONG=1. With MUSTER_RUNS runs
// are kept and resumed; with MUSTER_RESULTS their summaries are written below that folder. One thread and one worker, so that
// several can run beside one another and give the same numbers.
func finished(t *testing.T, s System, w env.World, seed uint64, steps int64, e train.Eval) *run.Run {
	t.Helper()
	if os.Getenv("MUSTER_LONG") != "1" {
		t.Skip("takes long: needs MUSTER_LONG=1")
	}
	if os.Getenv("MUSTER_RUNS") == "" {
		t.Setenv("MUSTER_RUNS", t.TempDir())
	}
	x := &train.Experiment{Env: w, Method: s, Seed: seed, Steps: steps, Eval: e, Threads: 1, Workers: 1}
	r, _ := result(t, x)
	spec, err := env.Probe(w)
	if err != nil {
		t.Fatal(err)
	}
	if results := os.Getenv("MUSTER_RESULTS"); results != "" {
		if err := r.Thinned(filepath.Join(results, s.Name, filepath.FromSlash(spec.Name), fmt.Sprint(seed)), 60); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
