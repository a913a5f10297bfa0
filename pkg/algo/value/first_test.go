package value

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/xla"
)

// first runs this program again: a new process builds a method (dqn: independent DQN for takeout Mini, V = 4; qmix: that of
// PyMARL on 2s3z, 60 steps), and makes updates.
// It returns the seconds from opening the backend to the end of the first update, whether that program came from
// the cache, and the bits of all variables after ten updates.
func first(t testing.TB, method, cache string) (seconds float64, loaded bool, bits string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFirstUpdateChild$", "-test.v")
	cmd.Env = append(os.Environ(), "VALUE_TEST_FIRST="+method, "MUSTER_CACHE="+cache)
	out, err := cmd.Output()
	if err == nil {
		_, rest, _ := strings.Cut(string(out), "first update ")
		_, err = fmt.Sscan(rest, &seconds, &loaded, &bits)
	}
	if err != nil {
		t.Fatalf("%v after %s", err, out)
	}
	return seconds, loaded, bits
}

// TestFirstUpdateChild is what first runs.
func TestFirstUpdateChild(t *testing.T) {
	if os.Getenv("VALUE_TEST_FIRST") == "" {
		t.Skip("run by TestFirstUpdate in a process of its own")
	}
	var w env.World = takeout.Mini()
	sys := IndependentDQN(TakeoutMini())
	if os.Getenv("VALUE_TEST_FIRST") == "qmix" {
		w, sys = battle.Map("2s3z"), QMIX(PyMARL())
	}
	var sample *replay.Sample
	if l := build(t, sys, w, xla.Go); sys.Agent.Memory > 0 {
		sample = synthetic(l, 60)
	} else {
		sample = filled(t, l, w)
	}
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	m, _, err := sys.Build(train.Setup{Env: e, Key: rng.New(1), Backend: "xla:cpu"})
	if err != nil {
		t.Fatal(err)
	}
	l := m.(*learner)
	var seconds float64
	for k := range 10 {
		if _, err := l.Update(sample); err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			seconds = time.Since(start).Seconds()
		}
	}
	values, err := xla.Values(l.store, "/")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("first update %g %v %x\n", seconds, l.updates[[2]int{sample.Time, sample.Batch}].Loaded, sha256.Sum256(fmt.Append(nil, values)))
}

// TestFirstUpdate: the update that a new process loads from the cache changes the same bits as the compiled one.
func TestFirstUpdate(t *testing.T) {
	if c := xla.Config(); c != "xla:cpu" {
		t.Skip("no XLA plugin: programs are compiled for XLA only")
	}
	folder, want := filepath.Join(t.TempDir(), "cache"), ""
	for k, cache := range []string{"off", folder, folder} {
		seconds, loaded, bits := first(t, "dqn", cache)
		t.Logf("process %d: first update after %.2f s, loaded %v", k, seconds, loaded)
		if want == "" {
			want = bits
		}
		if bits != want || loaded != (k == 2 && runtime.GOOS == "linux") {
			t.Errorf("process %d: loaded %v, bits %s, want %s", k, loaded, bits, want)
		}
	}
}

// BenchmarkFirstUpdate is the time from opening the backend to the end of the first update in a new process, with
// the cache of compiled programs empty and filled, in turn.
func BenchmarkFirstUpdate(b *testing.B) {
	if c := xla.Config(); c != "xla:cpu" || runtime.GOOS != "linux" {
		b.Skip("no XLA plugin, or no cache")
	}
	for _, method := range []string{"dqn", "qmix"} {
		b.Run(method, func(b *testing.B) {
			warm := filepath.Join(b.TempDir(), "warm")
			first(b, method, warm)
			var spent [2]float64
			n := 0
			for b.Loop() {
				for k, cache := range []string{filepath.Join(b.TempDir(), fmt.Sprint(n)), warm} {
					seconds, loaded, _ := first(b, method, cache)
					if loaded != (k == 1) {
						b.Fatalf("cache %s: loaded %v", cache, loaded)
					}
					spent[k] += seconds
				}
				n++
			}
			b.ReportMetric(spent[0]/float64(n), "cold-s")
			b.ReportMetric(spent[1]/float64(n), "warm-s")
			b.ReportMetric(spent[0]/spent[1], "cold/warm")
		})
	}
}
