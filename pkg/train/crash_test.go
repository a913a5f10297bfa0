package train_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
	"github.com/muster-marl/muster/pkg/train/traintest"
)

// checkpoints are the folders of whole checkpoints, in order.
func checkpoints(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "checkpoint", "*[0-9]"))
	must(t, err)
	return list
}

func TestTornMetrics(t *testing.T) {
	whole := experiment(t.TempDir())
	must(t, whole.Run(context.Background()))
	e := experiment(t.TempDir())
	stopAt(e, 250)
	for _, name := range []string{"metrics.jsonl", "eval.jsonl"} {
		f, err := os.OpenFile(filepath.Join(e.Dir, name), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("{\"steps\":7}\n{\"steps\":9,\"lo")
		must(t, err)
		must(t, f.Close())
	}
	must(t, experiment(e.Dir).Run(context.Background()))
	traintest.Equal(t, e.Dir, whole.Dir)
	if log := read(t, e.Dir, "log.txt"); !strings.Contains(log, "metrics.jsonl: dropped an unfinished last line of 14 bytes") {
		t.Errorf("the log does not tell: %s", log)
	}
}

// Whatever file of the newest checkpoint is damaged, the run goes on from the one before and ends the same.
func TestDamagedNewestCheckpoint(t *testing.T) {
	whole := experiment(t.TempDir())
	must(t, whole.Run(context.Background()))
	for _, part := range []string{"learner", "manifest.json", "experiment", "replay", "records"} {
		for _, finished := range []bool{false, true} {
			e := experiment(t.TempDir())
			stopAt(e, 300)
			before := checkpoints(t, e.Dir)[0]
			if e = experiment(e.Dir); finished {
				must(t, e.Run(context.Background()))
			} else {
				stopAt(e, 150)
			}
			list := checkpoints(t, e.Dir)
			if len(list) != 2 || list[0] != before {
				t.Fatalf("checkpoints %v, want two from %s", list, before)
			}
			file := filepath.Join(list[1], part)
			if part == "records" {
				files, err := filepath.Glob(filepath.Join(e.Dir, "replay", "*"))
				must(t, err)
				if file = files[len(files)-1]; finished {
					continue // nobody needs them, unless the run is to go on
				}
			}
			data := []byte(read(t, file))
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(file, data, 0o644))
			must(t, experiment(e.Dir).Run(context.Background()))
			traintest.Equal(t, e.Dir, whole.Dir)
			log := read(t, e.Dir, "log.txt")
			if want := fmt.Sprintf("checkpoint %s is damaged", strings.TrimLeft(filepath.Base(list[1]), "0")); !strings.Contains(log, want) {
				t.Errorf("%s: the log does not say %q: %s", part, want, log)
			}
		}
	}
}

// TestMain lets this program be the process that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MUSTER_TRAIN_SLOWLY"); dir != "" {
		if err := slow(dir, time.Millisecond).Run(context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func slow(dir string, pause time.Duration) *train.Experiment {
	e := experiment(dir)
	e.Steps, e.CheckpointEvery = 4000, 5*time.Millisecond
	w := small()
	w.bad.step = func(*env.Step) { time.Sleep(pause) }
	e.Env = w
	return e
}

// A process that is killed at any moment, while it saves too, loses nothing but what came after its last checkpoint.
func TestKill(t *testing.T) {
	whole := slow(t.TempDir(), 0)
	whole.CheckpointEvery = -1
	must(t, whole.Run(context.Background()))
	e, r := slow(t.TempDir(), 0), rng.New(7).Split("kill").Rand()
	var reached []string
	for range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "MUSTER_TRAIN_SLOWLY="+e.Dir)
		had := checkpoints(t, e.Dir)
		must(t, child.Start())
		for start := time.Now(); slices.Equal(checkpoints(t, e.Dir), had); time.Sleep(time.Millisecond) {
			if time.Since(start) > 20*time.Second {
				t.Fatal("the child saves nothing")
			}
		}
		time.Sleep(50*time.Millisecond + time.Duration(r.IntN(250_000))*time.Microsecond)
		must(t, child.Process.Kill())
		if err := child.Wait(); err == nil {
			t.Fatal("the child was not killed but has ended: too few steps")
		}
		list := checkpoints(t, e.Dir)
		reached = append(reached, filepath.Base(list[len(list)-1]))
	}
	t.Logf("killed behind %v", reached)
	must(t, e.Run(context.Background()))
	traintest.Equal(t, e.Dir, whole.Dir)
	if left, err := filepath.Glob(filepath.Join(e.Dir, "checkpoint", "*.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// A full disk stops the run with the reason, and the last checkpoint stands. With space again, the run goes on.
func TestFullDisk(t *testing.T) {
	whole := slow(t.TempDir(), 0)
	must(t, whole.Run(context.Background()))
	disk := t.TempDir()
	mount(t, disk, "size=2m")
	e := slow(filepath.Join(disk, "run"), 0)
	filler, steps := filepath.Join(disk, "filler"), 0
	w := small()
	w.bad.step = func(*env.Step) {
		if steps++; steps == 2000 {
			os.WriteFile(filler, make([]byte, 4<<20), 0o644) // as much as fits
		}
	}
	e.Env, e.CheckpointEvery = w, 1
	wantLine(t, e.Run(context.Background()), "no space left on device")
	if e.Progress().Finished {
		t.Error("finished")
	}
	if _, err := train.Open(e.Dir, small(), tabular()); err != nil {
		t.Errorf("the last checkpoint does not stand: %v", err)
	}
	wantLine(t, slow(e.Dir, 0).Run(context.Background()), "no space left on device") // and nothing gets worse
	must(t, os.Remove(filler))

	elsewhere := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(elsewhere, os.DirFS(e.Dir)))
	for _, dir := range []string{e.Dir, elsewhere} {
		must(t, slow(dir, 0).Run(context.Background()))
		traintest.Equal(t, dir, whole.Dir)
		if !strings.Contains(read(t, dir, "log.txt"), "resumed at step") {
			t.Errorf("%s has started anew", dir)
		}
	}
}
