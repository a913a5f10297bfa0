package value

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/takeout"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/train"
)

// acting feeds a model with saved arrays and prints its actions.
const acting = `
import json, sys, numpy as np, onnxruntime
raw = open(sys.argv[1], "rb").read()
n = int.from_bytes(raw[:8], "little")
def array(name, kind):
    h = json.loads(raw[8:8 + n])[name]
    return np.frombuffer(raw[8 + n + h["data_offsets"][0]:8 + n + h["data_offsets"][1]], kind).reshape(h["shape"])
feed = {"obs": array("obs", "<f4"), "avail": array("avail", "u1").astype(bool)}
print(*onnxruntime.InferenceSession(sys.argv[2]).run(["action"], feed)[0].ravel())
`

// TestONNX needs a build with -tags onnx and a Python with onnxruntime, whose library the writer uses, too:
//
//	MUSTER_ONNX=V/bin/python ONNXRUNTIME_SHARED_LIBRARY_PATH=V/lib/…/onnxruntime/capi/libonnxruntime.so.… go test -tags onnx -run ONNX
//
// Without them, it asks for a clear error.
func TestONNX(t *testing.T) {
	for _, s := range []System{IndependentDQN(TakeoutMini()), JointDQN(TakeoutMini())} {
		w, envs := takeout.Mini(), 8
		e, err := w.New()
		if err != nil {
			t.Fatal(err)
		}
		l, _, err := s.Build(train.Setup{Env: e, Key: rng.New(1), Backend: "go:ops_sequential"})
		if err != nil {
			t.Fatal(err)
		}
		var model bytes.Buffer
		err = ExportONNX(&model, l.Policy(), envs)
		python := os.Getenv("MUSTER_ONNX")
		if python == "" {
			if err == nil || !strings.Contains(err.Error(), "ONNX") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line on what ONNX needs", err)
			}
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		vec, err := env.NewVec(w, envs, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
		if err != nil {
			t.Fatal(err)
		}
		batch, err := vec.Before()
		if err != nil {
			t.Fatal(err)
		}
		spec := e.Spec()
		acts := env.Actions{Discrete: make([]int32, envs*spec.Agents)}
		if err := l.Policy().Act(batch, policy.None{}, policy.Mode{}, rng.New(3), acts); err != nil {
			t.Fatal(err)
		}
		avail := make([]byte, len(batch.Avail))
		for i, ok := range batch.Avail {
			if ok {
				avail[i] = 1
			}
		}
		var data bytes.Buffer
		if err := run.WriteArrays(&data, map[string]run.Array{
			"obs":   {Shape: []int{1, envs, spec.Agents, spec.ObsDim}, Data: batch.Obs},
			"avail": {Shape: []int{1, envs, spec.Agents, spec.Choices()}, Data: avail},
		}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, b := range map[string][]byte{"in": data.Bytes(), "model.onnx": model.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(python, "-c", acting, filepath.Join(dir, "in"), filepath.Join(dir, "model.onnx")).CombinedOutput()
		if want := strings.Trim(fmt.Sprint(acts.Discrete), "[]"); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: onnxruntime acts %s (%v), want %s", s.Name, out, err, want)
		}
		if slices.Min(acts.Discrete) == slices.Max(acts.Discrete) {
			t.Errorf("%s: all agents choose %d, which shows nothing", s.Name, acts.Discrete[0])
		}
		t.Logf("%s: %d bytes of ONNX, actions %v", s.Name, model.Len(), acts.Discrete)
	}
	if err := ExportONNX(&bytes.Buffer{}, nil, 1); err == nil || !strings.Contains(err.Error(), "want a policy of this package") {
		t.Errorf("error %v, want one about the policy", err)
	}
}

// remembering is acting for two steps: what the model says after the first goes into the second.
const remembering = `
import json, sys, numpy as np, onnxruntime
raw = open(sys.argv[1], "rb").read()
n = int.from_bytes(raw[:8], "little")
def array(name, kind):
    h = json.loads(raw[8:8 + n])[name]
    return np.frombuffer(raw[8 + n + h["data_offsets"][0]:8 + n + h["data_offsets"][1]], kind).reshape(h["shape"])
model = onnxruntime.InferenceSession(sys.argv[2])
memory, last = array("memory", "<f4"), array("last", "<i4")
for step in "01":
    feed = {"obs": array("obs" + step, "<f4"), "avail": array("avail" + step, "u1").astype(bool), "last_action": last, "memory": memory}
    last, memory = model.run(["action", "memory_after"], feed)
    print(*last.ravel(), end=" ")
`

// TestONNXRemembers is TestONNX for a method with memory and last actions, over two steps of four environments.
func TestONNXRemembers(t *testing.T) {
	w, envs := shortGroups(), 4
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	constants := small()
	constants.Envs = envs
	l, _, err := QMIX(constants).Build(train.Setup{Env: e, Key: rng.New(1), Backend: "go:ops_sequential"})
	if err != nil {
		t.Fatal(err)
	}
	var model bytes.Buffer
	err = ExportONNX(&model, l.Policy(), envs)
	python := os.Getenv("MUSTER_ONNX")
	if python == "" {
		if err == nil || !strings.Contains(err.Error(), "ONNX") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line on what ONNX needs", err)
		}
		return
	} else if err != nil {
		t.Fatal(err)
	}
	vec, err := env.NewVec(w, envs, func(n int64) rng.Key { return rng.New(2).Split("env", n) })
	if err != nil {
		t.Fatal(err)
	}
	spec, mem := e.Spec(), l.Policy().Memory(envs)
	acts := env.Actions{Discrete: make([]int32, envs*spec.Agents)}
	arrays := map[string]run.Array{
		"memory": {Shape: []int{envs, spec.Agents, 64}, Data: make([]float32, envs*spec.Agents*64)},
		"last":   {Shape: []int{1, envs, spec.Agents}, Data: slices.Repeat([]int32{-1}, envs*spec.Agents)},
	}
	var want []string
	for step := range 2 {
		batch, err := vec.Before()
		if err != nil {
			t.Fatal(err)
		}
		avail := make([]byte, len(batch.Avail))
		for i, ok := range batch.Avail {
			if ok {
				avail[i] = 1
			}
		}
		arrays[fmt.Sprint("obs", step)] = run.Array{Shape: []int{1, envs, spec.Agents, spec.ObsDim}, Data: slices.Clone(batch.Obs)}
		arrays[fmt.Sprint("avail", step)] = run.Array{Shape: []int{1, envs, spec.Agents, spec.Choices()}, Data: avail}
		if err := l.Policy().Act(batch, mem, policy.Mode{}, rng.New(3), acts); err != nil {
			t.Fatal(err)
		}
		want = append(want, strings.Trim(fmt.Sprint(acts.Discrete), "[]"))
		if _, err := vec.Step(acts); err != nil {
			t.Fatal(err)
		}
	}
	var data bytes.Buffer
	if err := run.WriteArrays(&data, arrays); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"in": data.Bytes(), "model.onnx": model.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(python, "-c", remembering, filepath.Join(dir, "in"), filepath.Join(dir, "model.onnx")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != strings.Join(want, " ") {
		t.Errorf("onnxruntime acts %s (%v), want %v", out, err, want)
	}
	if want[0] == want[1] {
		t.Errorf("both steps have the same actions %s, which shows nothing of the memory", want[0])
	}
	t.Logf("%d bytes of ONNX, actions %v", model.Len(), want)
}
