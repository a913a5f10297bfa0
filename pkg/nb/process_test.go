package nb

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// The test binary is also the cell: with MUSTER_CELL it is one of these programs.
var cells = map[string]func(){
	"hold": func() {
		Watch(&fake{goal: 3000, hold: 179})
		Watch(&fake{goal: 3000, hold: 179, seed: 1}) // must not start after the interrupt
		fmt.Println("after")
	},
	"show": func() {
		Show(report.HeatMap([][]float64{{1, 2}}, "map"), report.Table{Header: []string{"a"}, Rows: [][]any{{"<b>"}}})
	},
	"watch": func() {
		Watch(&fake{goal: 20})
		fmt.Println("printed")
	},
	"fail": func() { Show(report.Curves(run.All("none/*"), "loss")) },
}

func TestMain(m *testing.M) {
	if cell := cells[os.Getenv("MUSTER_CELL")]; cell != nil {
		cell()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, cell string, env ...string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), append(env, "MUSTER_CELL="+cell, "MUSTER_RUNS="+t.TempDir())...)
	c.WaitDelay = 5 * time.Second
	t.Cleanup(func() {
		if c.ProcessState == nil && c.Process != nil {
			c.Process.Kill()
		}
	})
	return c
}

// runs is the folder of a started cell's runs.
func runs(c *exec.Cmd) string {
	return strings.TrimPrefix(c.Env[len(c.Env)-1], "MUSTER_RUNS=")
}

// reached waits until a started cell has written the line of a step.
func reached(t *testing.T, c *exec.Cmd, step int) {
	t.Helper()
	for range 500 {
		data, _ := os.ReadFile(filepath.Join(runs(c), "dqn/toy/line/0/metrics.jsonl"))
		if bytes.Contains(data, fmt.Appendf(nil, `{"steps":%d,`, step)) {
			time.Sleep(150 * time.Millisecond) // so that frames are being drawn
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the cell did not reach step %d in 10 s", step)
}

// interrupt sends a signal and returns how long the cell took to end.
func interrupt(t *testing.T, c *exec.Cmd, signal os.Signal) time.Duration {
	t.Helper()
	began := time.Now()
	if err := c.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the interrupted cell ends with %v, want status 0", err)
	}
	return time.Since(began)
}

func saved(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(runs(c), "dqn/toy/line/0/saved")); err != nil {
		t.Errorf("the run was not saved: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c := start(t, "hold")
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		reached(t, c, 179)
		interrupt(t, c, signal)
		saved(t, c)
		wants(t, out.String(), "179 / 3000 steps, stopped\n", "stopped at 179 of 3,000 steps; run the cell again to continue\nafter\n")
		if errs.Len() > 0 || strings.Contains(out.String(), "seed 1") {
			t.Errorf("stderr %q, stdout:\n%s", errs.String(), out.String())
		}
	}
}

// At shutdown the kernel is gone before the cell: printing must not kill it before it has saved, nor after.
func TestInterruptWithClosedOutput(t *testing.T) {
	c := start(t, "hold")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	reached(t, c, 179)
	out.Close()
	interrupt(t, c, os.Interrupt)
	saved(t, c)
}

func TestFailureEndsTheProgram(t *testing.T) {
	c := start(t, "fail")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if c.ProcessState.ExitCode() != 1 || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("%v, stdout %q, stderr %q; want status 1 and one line on stderr", err, out.String(), errs.String())
	}
	wants(t, errs.String(), "no runs match none/*")
}

// kernel is the other end of a cell's display pipes, as GoNB has them. A deaf one reads and never answers.
type kernel struct {
	mu     sync.Mutex
	frames []*protocol.DisplayData
	there  string // path of the pipe to it
	back   string
}

func newKernel(t *testing.T, deaf bool) *kernel {
	k := &kernel{there: filepath.Join(t.TempDir(), "gonb_pipe_1"), back: filepath.Join(t.TempDir(), "gonb_pipe_2")}
	for _, p := range []string{k.there, k.back} {
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Skip("no named pipes here:", err)
		}
	}
	go k.serve(deaf)
	return k
}

func (k *kernel) env() []string {
	return []string{protocol.GONB_PIPE_ENV + "=" + k.there, protocol.GONB_PIPE_BACK_ENV + "=" + k.back}
}

func (k *kernel) serve(deaf bool) {
	in, err := os.Open(k.there)
	if err != nil {
		return
	}
	out, err := os.OpenFile(k.back, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	from, to := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		d := new(protocol.DisplayData)
		if from.Decode(d) != nil {
			return
		}
		if ask, ok := d.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
			if !deaf {
				to.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: ask.Value})
			}
			continue
		}
		k.mu.Lock()
		k.frames = append(k.frames, d)
		k.mu.Unlock()
	}
}

func TestShowInNotebook(t *testing.T) {
	k := newKernel(t, false)
	c := start(t, "show", k.env()...)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v, printed %q, want nothing", err, out)
	}
	if len(k.frames) != 2 {
		t.Fatalf("%d displays, want 2", len(k.frames))
	}
	figure, table := k.frames[0], k.frames[1]
	data, err := base64.StdEncoding.DecodeString(figure.Data[protocol.MIMEImagePNG].(string))
	if err != nil {
		t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(data))
	meta, _ := figure.Metadata["image/png"].(map[string]any)
	if err != nil || meta["width"] != size.Width/2 || meta["height"] != size.Height/2 {
		t.Errorf("figure of %d × %d (%v), shown as %v; want half", size.Width, size.Height, err, meta)
	}
	wants(t, figure.Data[protocol.MIMETextPlain].(string), "map: 1 rows × 2 columns")
	wants(t, table.Data[protocol.MIMETextHTML].(string), "<td>&lt;b&gt;</td>")
	wants(t, table.Data[protocol.MIMETextPlain].(string), "<b>")
	if figure.DisplayID != "" || len(table.Data) != 2 {
		t.Errorf("id %q, %d forms of the table", figure.DisplayID, len(table.Data))
	}
}

func TestWatchInNotebook(t *testing.T) {
	k := newKernel(t, false)
	c := start(t, "watch", k.env()...)
	if out, err := c.CombinedOutput(); err != nil || string(out) != "printed\n" {
		t.Fatalf("%v, printed %q", err, out)
	}
	bars, curves := byID(k)
	if len(bars) == 0 || len(curves) == 0 {
		t.Fatalf("%d bars and %d figures, want some of each", len(bars), len(curves))
	}
	wants(t, bars[len(bars)-1].Data[protocol.MIMETextHTML].(string), `<progress value="20" max="20"></progress> 20 / 20 steps, finished`)
	last := curves[len(curves)-1]
	wants(t, last.Data[protocol.MIMETextPlain].(string), "dqn: 0.05 at 20 steps")
	if last.Data[protocol.MIMEImagePNG] == nil {
		t.Error("the last figure has no picture")
	}
}

func byID(k *kernel) (bars, curves []*protocol.DisplayData) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.frames {
		switch f.DisplayID {
		case "train/bar/gonb_pipe_1":
			bars = append(bars, f)
		case "train/curve/gonb_pipe_1":
			curves = append(curves, f)
		}
	}
	return bars, curves
}

func TestInterruptInNotebook(t *testing.T) {
	k := newKernel(t, false)
	c := start(t, "hold", k.env()...)
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	reached(t, c, 179)
	time.Sleep(500 * time.Millisecond)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(bufio.NewReader(pipe))
	if err := c.Wait(); err != nil || string(out) != "stopped at 179 of 3,000 steps; run the cell again to continue\nafter\n" {
		t.Errorf("%v, printed %q", err, out)
	}
	saved(t, c)
	bars, curves := byID(k)
	wants(t, bars[0].Data[protocol.MIMETextHTML].(string), "1,234 steps/s, 3 min left", "env 25 %, update 75 %", "compiling &lt;update&gt;")
	wants(t, bars[len(bars)-1].Data[protocol.MIMETextHTML].(string), "179 / 3000 steps, stopped")
	if n := len(curves); n < 2 || n > 4 { // one while it ran, and the last; no more, since no new numbers came
		t.Errorf("%d figures, want 2", n)
	}
}

// Five seconds after the interrupt the process is killed: a kernel that no longer answers must not cost more.
func TestInterruptWithoutKernel(t *testing.T) {
	for name, env := range map[string][]string{
		"deaf": newKernel(t, true).env(),
		"gone": func() []string { // nobody opens these pipes
			k := &kernel{there: filepath.Join(t.TempDir(), "a"), back: filepath.Join(t.TempDir(), "b")}
			syscall.Mkfifo(k.there, 0o600)
			syscall.Mkfifo(k.back, 0o600)
			return k.env()
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, "hold", env...)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			reached(t, c, 179)
			if took := interrupt(t, c, os.Interrupt); took > 4*time.Second {
				t.Errorf("it took %v to stop", took)
			}
			saved(t, c)
		})
	}
}
