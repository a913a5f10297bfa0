package sweep

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/muster-marl/muster/pkg/run"
)

var errAbsent = errors.New("sweep: Slurm is not here: its commands are not on the PATH; run this on a login node of the cluster, or take On: sweep.Local(2)")

// Slurm is a Machine: a cluster, which gets the sweep as one job array, a task for each experiment. Zero fields leave
// the choice to the cluster. Run submits what is left to do, unless it is in the queue already, and follows it; what is
// submitted goes on without it. The folders of the sweep and of the runs must be seen by all nodes.
type Slurm struct {
	Partition string
	Account   string
	Time      time.Duration // limit of one task; one that comes near it saves and queues again
	Warning   time.Duration // how long before the limit; 0 = two minutes
	CPUs      int           // per task; 0 = 1
	GPUs      int           // per task
	Memory    int           // MB per task
	AtOnce    int           // tasks that may run at the same time
	Options   []string      // more options of sbatch, such as "--constraint=a100"
}

func (o Slurm) String() string {
	if o.Partition == "" {
		return "Slurm"
	}
	return "Slurm, partition " + o.Partition
}

func (o Slurm) warning() time.Duration { return cmp.Or(o.Warning, 2*time.Minute) }

func (o Slurm) check() error {
	switch {
	case o.CPUs < 0 || o.GPUs < 0 || o.Memory < 0 || o.AtOnce < 0 || o.Time < 0 || o.Warning < 0:
		return fmt.Errorf("sweep: Slurm with a negative number, want none: %+v", o)
	case o.Time > 0 && o.Time < 2*o.warning()+time.Minute:
		return fmt.Errorf("sweep: a time limit of %v with a warning %v before, want at least %v: Slurm may warn a minute early, and nothing would be left", o.Time, o.warning(), 2*o.warning()+time.Minute)
	}
	for _, text := range append([]string{o.Partition, o.Account}, o.Options...) {
		if strings.ContainsAny(text, "\n\r") {
			return fmt.Errorf("sweep: option %q of Slurm has several lines", text)
		}
	}
	return nil
}

// Script returns what a sweep on Slurm would give to sbatch now, for the experiments that are left. It submits nothing.
func (s *Sweep) Script() (string, error) {
	o, ok := s.on().(Slurm)
	if !ok {
		return "", fmt.Errorf("sweep: %s runs %s, want On: sweep.Slurm{…} for a script", s.Name, s.on())
	}
	p, err := s.prepare()
	if err != nil {
		return "", err
	}
	var left []int
	for i, l := range s.read(p) {
		if l.State != run.Finished && l.State != run.Hopeless {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return "", fmt.Errorf("sweep: all %d experiments of %s have finished: nothing would be submitted", len(p.tasks), s.Name)
	}
	return o.script(s.Name, p, left), nil
}

func (o Slurm) script(name string, p *plan, tasks []int) string {
	var b strings.Builder
	b.WriteString("#!/bin/bash\n")
	option := func(format string, args ...any) { fmt.Fprintf(&b, "#SBATCH "+format+"\n", args...) }
	folder, _ := os.Getwd()
	array := ranges(tasks)
	if o.AtOnce > 0 {
		array += fmt.Sprintf("%%%d", o.AtOnce)
	}
	option("--job-name=%s", quoted("muster-"+strings.Join(strings.Fields(name), "-")))
	option("--array=%s", array)
	if o.Partition != "" {
		option("--partition=%s", quoted(o.Partition))
	}
	if o.Account != "" {
		option("--account=%s", quoted(o.Account))
	}
	if o.Time > 0 {
		option("--time=%d", int((o.Time+time.Minute-1)/time.Minute)) // minutes
	}
	option("--cpus-per-task=%d", max(1, o.CPUs))
	if o.GPUs > 0 {
		option("--gres=gpu:%d", o.GPUs)
	}
	if o.Memory > 0 {
		option("--mem=%dM", o.Memory)
	}
	for _, text := range o.Options {
		option("%s", text)
	}
	option("--chdir=%s", quoted(folder))
	option("--output=%s", quoted(strings.ReplaceAll(p.dir, "%", "%%")+"/tasks/%a.log"))
	option("--open-mode=append")
	option("--requeue") // after a node failure; the run goes on from its last checkpoint
	option("--signal=B:INT@%d", int(o.warning().Seconds()))
	b.WriteString("export " + run.ChildVariables(shell(p.dir), -1)[0] + " MUSTER_TASK=\"$SLURM_ARRAY_TASK_ID\"\n")
	words := []string{"exec", shell(filepath.Join(p.dir, "program"))}
	for _, a := range os.Args[1:] {
		words = append(words, shell(a))
	}
	b.WriteString(strings.Join(words, " ") + "\n")
	return b.String()
}

// quoted is a value in an #SBATCH line.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t\"'\\") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}

var plain = regexp.MustCompile(`^[\w./:=,@%+-]+$`)

// shell is a word of a command line.
func shell(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ranges writes sorted numbers as sbatch wants them: "0-2,5".
func ranges(list []int) string {
	var parts []string
	for k := 0; k < len(list); {
		end := k
		for end+1 < len(list) && list[end+1] == list[end]+1 {
			end++
		}
		if end == k {
			parts = append(parts, fmt.Sprint(list[k]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", list[k], list[end]))
		}
		k = end + 1
	}
	return strings.Join(parts, ",")
}

// submit gives tasks to Slurm.
func (o Slurm) submit(ctx context.Context, name string, p *plan, tasks []int) error {
	for _, i := range tasks { // what the last process said is over
		p.end(i, ending{State: run.Running, Attempts: p.ending(i).Attempts})
	}
	if _, err := run.KeepProgram(p.dir); err != nil {
		return err
	}
	file := filepath.Join(p.dir, "submit.sh")
	if err := os.WriteFile(file, []byte(o.script(name, p, tasks)), 0o644); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	c := exec.CommandContext(ctx, "sbatch", "--parsable", file)
	c.Env = run.Environment()
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errAbsent
	}
	if err != nil {
		return fmt.Errorf("sweep: Slurm refuses the job array: %s%s", said(errs.Bytes(), err), o.partitions(errs.String()))
	}
	job, _, _ := strings.Cut(strings.TrimSpace(string(out)), ";")
	if job == "" {
		return fmt.Errorf("sweep: sbatch tells no job number: %q", out)
	}
	return p.remember(job)
}

// partitions lists those that there are, when a message complains about one.
func (o Slurm) partitions(message string) string {
	if !strings.Contains(message, "partition") || o.Partition == "" {
		return ""
	}
	out, err := exec.Command("sinfo", "-h", "-o", "%R").Output()
	if err != nil {
		return ""
	}
	list := strings.Fields(string(out))
	slices.Sort(list)
	if list = slices.Compact(list); slices.Contains(list, o.Partition) {
		return ""
	}
	return fmt.Sprintf("; there is no partition %q, but %s", o.Partition, strings.Join(list, ", "))
}

// queued is what squeue says of a task.
type queued struct{ state, reason string }

func (q queued) text() string {
	text := "in the queue"
	if q.reason != "" && q.reason != "None" {
		text += ": " + q.reason
	}
	return text
}

// queue asks what is left of jobs, by task.
func queue(jobs []string) (map[int]queued, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	var errs bytes.Buffer
	c := exec.Command("squeue", "-h", "-r", "-j", strings.Join(jobs, ","), "-o", "%K|%T|%r")
	c.Stderr = &errs
	out, err := c.Output()
	switch {
	case err != nil && strings.Contains(errs.String(), "Invalid job id"): // all have been forgotten
		return nil, nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("sweep: squeue fails: %s", said(errs.Bytes(), err))
	}
	list := map[int]queued{}
	for line := range strings.Lines(string(out)) {
		var task int
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 3 {
			continue
		}
		if _, err := fmt.Sscan(f[0], &task); err == nil {
			list[task] = queued{f[1], f[2]}
		}
	}
	return list, nil
}

// never are reasons for which Slurm keeps a job in the queue for ever, unless somebody changes the cluster or the job.
var never = []string{"PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "JobHeldAdmin"}

// Slurm is asked often at first, when one looks for the first task to start, and rarely later: it serves many.
func pause(since time.Time) time.Duration {
	if time.Since(since) < time.Minute {
		return 2 * time.Second
	}
	return 10 * time.Second
}

// unanswered is how long squeue may fail: a controller is restarted now and then.
const unanswered = 10 * time.Minute

func (o Slurm) run(ctx context.Context, s *Sweep, p *plan, tasks []int) error {
	if err := o.start(ctx, s, p, tasks); err != nil {
		return err
	}
	begun, answered, tries := time.Now(), time.Now(), map[int]int{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause(begun)):
		}
		there, err := s.askQueue(p)
		if err != nil && time.Since(answered) > unanswered {
			return err
		} else if err != nil {
			continue
		}
		answered = time.Now()
		for _, q := range there {
			if slices.Contains(never, q.reason) {
				cancelJobs(p.dir)
				return fmt.Errorf("sweep: Slurm would never start the tasks of %s (%s), so they are cancelled: ask for less (%s)", s.Name, q.reason, o.asks())
			}
		}
		var again []int
		for _, i := range tasks {
			if _, waits := there[i]; !waits && p.lost(i) && tries[i] < s.Retries {
				tries[i]++
				again = append(again, i)
			}
		}
		if len(again) > 0 {
			if err := o.submit(ctx, s.Name, p, again); err != nil {
				return err
			}
		} else if len(there) == 0 {
			return nil
		}
	}
}

// start submits the tasks that are not in the queue yet.
func (o Slurm) start(ctx context.Context, s *Sweep, p *plan, tasks []int) error {
	if _, err := exec.LookPath("sbatch"); err != nil {
		return errAbsent
	}
	there, err := s.askQueue(p)
	if err != nil {
		return err
	}
	var left []int
	for _, i := range tasks {
		if _, waits := there[i]; !waits {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return o.submit(ctx, s.Name, p, left)
}

// asks says what each task wants, for messages.
func (o Slurm) asks() string {
	return fmt.Sprintf("partition %q, time limit %v, %d CPUs, %d GPUs, %d MB", o.Partition, o.Time, max(1, o.CPUs), o.GPUs, o.Memory)
}

// askQueue notes, for those who watch, what squeue says of the sweep's tasks.
func (s *Sweep) askQueue(p *plan) (map[int]queued, error) {
	r, err := p.recorded()
	if err != nil {
		return nil, err
	}
	there, err := queue(r.Jobs)
	if _, cluster := s.on().(Slurm); !cluster && errors.Is(err, errAbsent) { // its folder has come here from a cluster
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.notes = there
	s.mu.Unlock()
	return there, nil
}

// lost reports whether a task that has left the queue failed. For one that did not come to say so it asks Slurm why,
// and writes the answer down. A task that was cancelled has not failed.
func (p *plan) lost(i int) bool {
	e := p.ending(i)
	if e.State == run.HasFailed {
		return true
	}
	if e.State != run.Running {
		return false
	}
	state := "unknown"
	if r, err := p.recorded(); err == nil && len(r.Jobs) > 0 {
		for _, job := range slices.Backward(r.Jobs) {
			out, err := exec.Command("scontrol", "-o", "show", "job", fmt.Sprintf("%s_%d", job, i)).Output()
			if m := jobState.FindSubmatch(out); err == nil && m != nil {
				state = string(m[1])
				break
			}
		}
	}
	e.State, e.Error = run.HasFailed, fmt.Sprintf("its process ended without a word; Slurm calls the task %s", state)
	if state == "CANCELLED" {
		e.State, e.Error = run.Stopped, ""
	}
	p.end(i, e)
	return e.State == run.HasFailed
}

var jobState = regexp.MustCompile(`\bJobState=(\w+)`)

// cancelJobs takes what is left of a sweep's jobs out of the queue.
func cancelJobs(dir string) error {
	r, err := (&plan{dir: dir}).recorded()
	if err != nil || len(r.Jobs) == 0 {
		return err
	}
	there, err := queue(r.Jobs)
	if err != nil || len(there) == 0 {
		return err
	}
	if out, err := exec.Command("scancel", r.Jobs...).CombinedOutput(); err != nil {
		return fmt.Errorf("sweep: scancel fails: %s", said(out, err))
	}
	return nil
}
