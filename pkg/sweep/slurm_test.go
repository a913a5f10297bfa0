package sweep_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/sweep"
)

func TestScript(t *testing.T) {
	s := begin(t, "grid", 0)
	s.On = sweep.Slurm{Partition: "gpu", Account: "our lab", Time: 90*time.Minute + time.Second, GPUs: 1, CPUs: 4, Memory: 8000, AtOnce: 6, Options: []string{"--nice"}}
	must(t, s.Experiments[1].Run(context.Background())) // is left out
	s.Dir = filepath.Join(t.TempDir(), "it's 5%")
	got, err := s.Script()
	must(t, err)
	here, err := os.Getwd()
	must(t, err)
	want := `#!/bin/bash
#SBATCH --job-name=muster-grid
#SBATCH --array=0,2-11%6
#SBATCH --partition=gpu
#SBATCH --account="our lab"
#SBATCH --time=91
#SBATCH --cpus-per-task=4
#SBATCH --gres=gpu:1
#SBATCH --mem=8000M
#SBATCH --nice
#SBATCH --chdir=` + here + `
#SBATCH --output="` + filepath.Dir(s.Dir) + `/it's 5%%/tasks/%a.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:INT@120
export MUSTER_CHILD='` + filepath.Dir(s.Dir) + `/it'\''s 5%' MUSTER_TASK="$SLURM_ARRAY_TASK_ID"
exec '` + filepath.Dir(s.Dir) + `/it'\''s 5%/program'`
	if head, args, _ := strings.Cut(got, "/program'"); head+"/program'" != want || !strings.Contains(args, "-test.") {
		t.Errorf("script:\n%s\nwant:\n%s and this program's arguments", got, want)
	}
	s.On = sweep.Local(3)
	_, err = s.Script()
	wantLine(t, err, "sweep: grid runs 3 at a time on this machine, want On: sweep.Slurm{…} for a script")
}

// pretend puts commands on the PATH that say what a Slurm would say.
func pretend(t *testing.T, commands map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range commands {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestSlurmRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		commands map[string]string
		want     string
	}{
		"no such partition": {map[string]string{
			"sbatch": "echo 'sbatch: error: invalid partition specified: gpus' >&2\necho 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2\nexit 1",
			"sinfo":  "echo gpu; echo cpu; echo gpu",
		}, `sweep: Slurm refuses the job array: invalid partition specified: gpus; Batch job submission failed: Invalid partition name specified; there is no partition "gpus", but cpu, gpu`},
		"quota": {map[string]string{
			"sbatch": "echo 'sbatch: error: AssocMaxSubmitJobLimit' >&2\necho \"sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\" >&2\nexit 1",
		}, "sweep: Slurm refuses the job array: AssocMaxSubmitJobLimit; Batch job submission failed: Job violates accounting/QOS policy"},
		"no number": {map[string]string{"sbatch": "true"}, `sweep: sbatch tells no job number: ""`},
		"never starts": {map[string]string{
			"sbatch":  "echo 17",
			"squeue":  "echo '0|PENDING|PartitionTimeLimit'; echo '1|PENDING|PartitionTimeLimit'",
			"scancel": `echo "$@" >"$MUSTER_RUNS/cancelled"`,
		}, `sweep: Slurm would never start the tasks of pair (PartitionTimeLimit), so they are cancelled: ask for less (partition "gpus", time limit 100h0m0s`},
		"a task that is killed": {map[string]string{
			"sbatch":   "echo 17",
			"squeue":   "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
			"scontrol": `echo "JobId=18 JobState=OUT_OF_MEMORY Reason=OutOfMemory"`,
		}, "sweep: 2 of 2 experiments of pair have not finished; first fast on test/street5, seed 0: its process ended without a word; Slurm calls the task OUT_OF_MEMORY"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, "pair", 0)
			pretend(t, c.commands)
			s.On = sweep.Slurm{Partition: "gpus", Time: 100 * time.Hour}
			wantLine(t, s.Run(context.Background()), c.want)
			if name == "never starts" {
				data, err := os.ReadFile(filepath.Join(os.Getenv("MUSTER_RUNS"), "cancelled"))
				if err != nil || string(data) != "17\n" {
					t.Errorf("cancelled %q, %v", data, err)
				}
			}
		})
	}
}

// While tasks are in the queue, other experiments or another machine must wait.
func TestQueuedElsewhere(t *testing.T) {
	s := begin(t, "pair", 0)
	pretend(t, map[string]string{"sbatch": "echo 17", "squeue": "echo '0|PENDING|Priority'"})
	s.On = sweep.Slurm{}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	must(t, s.Run(ctx))
	if l := s.Status().Tasks[0]; l.State != run.Waiting || l.Note != "in the queue: Priority" {
		t.Errorf("%s, %q", l.State, l.Note)
	}
	local := made("pair")
	wantLine(t, local.Run(context.Background()), "sweep: 1 tasks of pair are in the queue of Slurm, for other experiments or another machine: Cancel them, or wait")
	fewer := made("pair")
	fewer.On, fewer.Experiments = sweep.Slurm{}, fewer.Experiments[:1]
	wantLine(t, fewer.Run(context.Background()), "for other experiments")
}

// What Slurm says when a task asks to be queued again near its time limit and is refused.
func TestTimeLimitWithoutRequeue(t *testing.T) {
	s := begin(t, "pair", 5*time.Millisecond)
	pretend(t, map[string]string{"scontrol": "echo 'Requested operation is presently disabled for job 31' >&2; exit 1"})
	dir, err := s.Where()
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "tasks"), 0o755))
	program, err := os.Executable()
	must(t, err)
	c, err := run.Spawn(program, filepath.Join(dir, "tasks", "0.log"), dir, 0, "SLURM_JOB_ID=31")
	must(t, err)
	until(t, "on the way", func() bool { return s.Each()[0].Steps > 0 })
	must(t, c.Process.Signal(os.Interrupt))
	if err := c.Wait(); err == nil {
		t.Error("the task ends with status 0")
	}
	task := s.Status().Tasks[0]
	want := "the time limit is near and Slurm does not requeue job 31: Requested operation is presently disabled for job 31; what was reached is saved"
	if task.State != run.HasFailed || !strings.Contains(task.Error, want) || !strings.Contains(strings.Join(task.Log, "\n"), want) {
		t.Errorf("%s, %q, log %q; want %q", task.State, task.Error, task.Log, want)
	}
}

// command runs one of Slurm's commands.
func command(t *testing.T, words ...string) string {
	t.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", words, err, out)
	}
	return strings.TrimSpace(string(out))
}

// On a real Slurm (kernels/test_slurm.sh): tasks are killed, cancelled, requeued and warned, and the node crashes. In
// the end every result equals the local one, bit for bit.
func TestRealSlurm(t *testing.T) {
	crash := os.Getenv("MUSTER_TEST_CRASH")
	if crash == "" {
		t.Skip("needs a Slurm, which kernels/test_slurm.sh starts")
	}
	s := begin(t, "grid", 8*time.Millisecond)
	s.On = sweep.Slurm{Partition: "short", Time: 20 * time.Minute, AtOnce: 6}
	s.Retries = 1
	defer func() {
		if t.Failed() {
			t.Logf("status:\n%s%s\n%s", text(t, s, "text"), command(t, "squeue", "-r"), command(t, "sinfo", "-R"))
		}
	}()
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	at := func(i int) run.Live { return s.Each()[i] }
	underway := func(i int) {
		t.Helper()
		until(t, fmt.Sprintf("task %d running", i), func() bool { return at(i).State == run.Running && at(i).Steps > 100 })
	}
	underway(0)
	dir, err := s.Where()
	must(t, err)
	job := strings.Fields(command(t, "squeue", "-h", "--name=muster-grid", "-o", "%F"))[0]
	command(t, "scancel", "--signal=KILL", job+"_0") // Slurm calls that cancelled: not tried again by itself
	underway(1)
	killed, err := os.FindProcess(at(1).Process)
	must(t, err)
	must(t, killed.Signal(syscall.SIGKILL)) // a failure: tried again
	underway(2)
	command(t, "scontrol", "requeue", job+"_2")
	underway(3)
	// As Slurm warns before the time limit: the task asks to be queued again. scancel is not waited for, since the job may
	// be there no longer when it asks whether the signal came through, and then it tries again for half a minute.
	warn := exec.Command("scancel", "--batch", "--signal=INT", job+"_3")
	must(t, warn.Start())
	until(t, "queued again", func() bool {
		return strings.Contains(command(t, "squeue", "-h", "-r", "-j", job, "-o", "%K %T"), "3 PENDING")
	})
	warn.Process.Kill()
	warn.Wait()
	until(t, "two tasks in the second half running", func() bool {
		n := 0
		for _, l := range s.Each()[4:] {
			if l.State == run.Running && l.Steps > 100 {
				n++
			}
		}
		return n >= 2
	})
	command(t, "bash", crash) // slurmd and all of its processes die, and slurmd comes back
	if err := <-done; err == nil {
		t.Error("a sweep with a cancelled task has no error")
	} else {
		wantLine(t, err, "sweep: 1 of 12 experiments of grid have not finished; first slow on test/street5, seed 0: it was stopped")
	}
	t.Logf("after kills and a crash:\n%s", text(t, s, "text"))
	must(t, s.Run(ctx))
	if got := text(t, s, "text"); !strings.Contains(got, "Sweep grid: 12 experiments, 12 finished") {
		t.Errorf("status:\n%s", got)
	}
	resumed := 0
	for i, l := range s.Each() {
		log, err := os.ReadFile(filepath.Join(l.Dir, "log.txt"))
		must(t, err)
		if strings.Contains(string(log), "resumed at step") {
			resumed++
		} else if i < 4 {
			t.Errorf("task %d was disturbed and has not resumed: %s", i, log)
		}
	}
	if resumed < 6 {
		t.Errorf("%d tasks have resumed, want at least the four that were ended and two of the crash", resumed)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "program*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	t.Setenv("TEST_PACE", "0s")
	alone(t, s)
}

// What a real Slurm refuses, and a sweep that is cancelled by another process than the one that submitted it.
func TestRealSlurmRefuses(t *testing.T) {
	if os.Getenv("MUSTER_TEST_CRASH") == "" {
		t.Skip("needs a Slurm, which kernels/test_slurm.sh starts")
	}
	s := begin(t, "pair", 20*time.Millisecond)
	s.On = sweep.Slurm{Partition: "long"}
	wantLine(t, s.Run(context.Background()), "sweep: Slurm refuses the job array: ", "Invalid partition name", `there is no partition "long", but short`)
	s.On = sweep.Slurm{Memory: 1 << 30}
	wantLine(t, s.Run(context.Background()), "sweep: Slurm refuses the job array: ", "Memory specification can not be satisfied")
	s.On = sweep.Slurm{Time: 100 * time.Hour}
	wantLine(t, s.Run(context.Background()), "would never start the tasks of pair (PartitionTimeLimit), so they are cancelled")
	until(t, "cancelled", func() bool { return command(t, "squeue", "-h", "--name=muster-pair") == "" })

	s.On = sweep.Slurm{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	until(t, "running", func() bool { l := s.Each()[0]; return l.State == run.Running && l.Steps > 0 })
	stop() // of watching only
	must(t, <-done)
	if l := s.Each()[0]; l.State != run.Running {
		t.Errorf("after the watcher has gone, task 0 is %s", l.State)
	}
	other := made("pair")
	other.On = sweep.Slurm{}
	must(t, other.Cancel())
	until(t, "stopped", func() bool {
		list := other.Status().Tasks
		return !slices.ContainsFunc(list, func(l sweep.Task) bool { return l.State == run.Running || l.State == run.Waiting && l.Note != "" })
	})
}
