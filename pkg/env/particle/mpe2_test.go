package particle

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// recorded is an episode as testdata/beside.py reads it.
type recorded struct {
	Continuous   bool          `json:"continuous"`
	Agents       [][2]float64  `json:"agents"`
	Landmarks    [][2]float64  `json:"landmarks"`
	Actions      [][]any       `json:"actions"`
	Observations [][][]float32 `json:"observations"`
	Rewards      [][]float32   `json:"rewards"`
}

// record plays an episode of random actions, from which the first agents are drawn close together, so that they touch.
func record(t *testing.T, w Spread, episode int64) recorded {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	s := e.(*spread)
	r := rng.New(8).Split("mpe2", episode).Rand()
	out, act := env.NewBatch(s.spec, 1).At(0), env.NewActions(s.spec, 1)
	s.Reset(env.Episode{Rand: r}, out)
	if episode%2 == 1 {
		for i := range s.agents {
			s.agents[i].x, s.agents[i].y = within(r, 0.25), within(r, 0.25)
		}
		s.begin(out)
	}
	rec := recorded{Continuous: w.Controls.Continuous}
	for i, a := range s.agents {
		rec.Agents, rec.Landmarks = append(rec.Agents, [2]float64{a.x, a.y}), append(rec.Landmarks, s.marks[i])
	}
	look := func() {
		seen := make([][]float32, w.Agents)
		for i := range seen {
			seen[i] = append(seen[i], out.Obs[i*s.spec.ObsDim:(i+1)*s.spec.ObsDim]...)
		}
		rec.Observations = append(rec.Observations, seen)
	}
	for look(); !out.Over(); look() {
		env.RandomActions(s.spec, out.Avail, r, act.Discrete)
		env.RandomContinuous(r, act.Continuous)
		var chosen []any
		for i := range s.agents {
			if w.Controls.Continuous {
				chosen = append(chosen, act.Continuous[2*i:2*i+2])
			} else {
				chosen = append(chosen, act.Discrete[i])
			}
		}
		line, err := json.Marshal(chosen) // the numbers are those of this step
		if err != nil {
			t.Fatal(err)
		}
		var kept []any
		if err := json.Unmarshal(line, &kept); err != nil {
			t.Fatal(err)
		}
		rec.Actions = append(rec.Actions, kept)
		s.Step(act, out)
		rec.Rewards = append(rec.Rewards, append([]float32(nil), out.Reward...))
	}
	return rec
}

// withMPE2 is a Python that has the package: the one that MUSTER_MPE2 names, or that in .cache/mpe2, which is made where
// MUSTER_LONG is set. Without, the test is skipped.
func withMPE2(t *testing.T) string {
	t.Helper()
	if python := os.Getenv("MUSTER_MPE2"); python != "" {
		return python
	}
	venv := filepath.Join("..", "..", "..", ".cache", "mpe2")
	python := filepath.Join(venv, "bin", "python")
	if exec.Command(python, "-c", "import mpe2").Run() == nil {
		return python
	}
	if os.Getenv("MUSTER_LONG") != "1" {
		t.Skip("no .cache/mpe2 with the Python package mpe2; MUSTER_LONG=1 makes it, from PyPI")
	}
	for _, line := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{python, "-m", "pip", "install", "-q", "-r", filepath.Join("testdata", "requirements.txt")},
	} {
		if said, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", line, err, said)
		}
	}
	return python
}

// TestMPE2 plays 1,000 episodes beside the Python package: 400 of three agents with discrete and 400 with continuous
// actions, 200 of five. It takes 10 seconds of one core.
func TestMPE2(t *testing.T) {
	python := withMPE2(t)
	path := filepath.Join(t.TempDir(), "episodes.json")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	encoder := json.NewEncoder(w)
	for episode := range int64(1000) {
		world := SpreadMPE2()
		world.Controls.Continuous = episode%5 > 2
		if episode%5 == 2 {
			world.Agents = 5
			world.Controls.Continuous = episode%2 == 0
		}
		if err := encoder.Encode(record(t, world, episode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "beside.py"), path)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var got struct {
		Episodes, Steps     int
		Observation, Reward float64
	}
	if err := json.Unmarshal(said, &got); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	t.Logf("%s", said)
	if got.Episodes != 1000 || got.Steps != 25_000 || !(got.Observation < 1e-5) || !(got.Reward < 1e-5) {
		t.Errorf("differences of %+v, want less than 1e-5 over 1000 episodes", got)
	}
}
