"""Life and death of the kernel: cells run, the interrupt button reaches them, and nothing outlives Jupyter.

Needs what notebooks/open --prepare has set up, and /proc. Every process of a test carries its mark in the environment.
"""
import os, signal, subprocess, sys, tempfile, time, uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ["JUPYTER_PATH"] = ROOT
GRACE = 8  # seconds: the guard looks once a second and gives a cell five to save

# Saves when it is interrupted, as a training cell does, and is silent: its pipes may be gone.
SAVES = """import ("os"; "os/signal"; "time")
%%
c := make(chan os.Signal, 1)
signal.Notify(c, os.Interrupt)
os.WriteFile(os.Getenv("MUSTER_MARK_FILE"), []byte("running"), 0o600)
<-c
time.Sleep(time.Second)
os.WriteFile(os.Getenv("MUSTER_MARK_FILE"), []byte("saved"), 0o600)
"""
STUBBORN = SAVES.replace("<-c\n", "<-c; time.Sleep(time.Hour)\n")


# Goes on until it is stopped, as a detached run does; what holds its folder is stopped by nb.Stop from another kernel.
DETACHED = """import (
	"context"
	"fmt"
	"os"

	"github.com/muster-marl/muster/pkg/nb"
	"github.com/muster-marl/muster/pkg/run"
)

type long struct{}

func (long) Where() (string, error) { return run.Path("long", "test", 0), nil }
func (long) Progress() run.Progress { return run.Progress{} }
func (l long) Run(ctx context.Context) error {
	dir, _ := l.Where()
	release, err := run.Hold(dir)
	if err != nil {
		return err
	}
	defer release()
	_, err = os.MkdirTemp("", "works")
	fmt.Println(err)
	os.WriteFile(os.Getenv("MUSTER_MARK_FILE"), []byte("running"), 0o600)
	<-ctx.Done()
	return os.WriteFile(os.Getenv("MUSTER_MARK_FILE"), []byte("saved"), 0o600)
}
%%
nb.Detach(long{})
"""
STOP = """import "github.com/muster-marl/muster/pkg/nb"
%%
nb.Stop("long/test/0")
"""


def alive(mark):
    """Living processes that carry the mark, without this one: number and command line."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                marked = f"MUSTER_MARK={mark}".encode() in f.read().split(b"\0")
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if marked and int(pid) != os.getpid():
                    found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass  # it has just ended
    return found


def wait(condition, seconds, what):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, f"{what} not within {seconds} s"
        time.sleep(0.1)


def gone(mark, seconds=GRACE):
    try:
        wait(lambda: not alive(mark), seconds, "end of all processes")
    except AssertionError as e:
        raise AssertionError(f"{e}: {alive(mark)}") from None


def start():
    from jupyter_client.manager import start_new_kernel
    return start_new_kernel(kernel_name="gonb", startup_timeout=60)


def stdout(client, code):
    text = []
    reply = client.execute_interactive(code, timeout=120, output_hook=lambda m: text.append(m["content"].get("text", "")))
    return "".join(text), reply["content"]["status"]


def content(path):
    return open(path).read() if os.path.exists(path) else ""


def test_cells(mark, path):
    manager, client = start()
    out, status = stdout(client, '%%\nfmt.Println("x", os.Getenv("MUSTER_RUNS"))')
    runs = os.environ.get("MUSTER_RUNS", os.path.join(ROOT, "notebooks", "runs"))
    assert (out, status) == (f"x {runs}\n", "ok"), (out, status)
    out, status = stdout(client, '%%\nfmt.Println("y"')
    assert status == "error", status  # does not compile

    # The interrupt button: the cell ends, the kernel goes on.
    client.execute(SAVES)
    wait(lambda: content(path) == "running", 60, "start of the cell")
    manager.interrupt_kernel()
    wait(lambda: content(path) == "saved", 5, "saving")
    out, status = stdout(client, '%%\nfmt.Println("z")')
    assert (out, status) == ("z\n", "ok"), (out, status)

    client.stop_channels()
    manager.shutdown_kernel()
    gone(mark)


def test_restart(mark, path):
    """Jupyter's restart does not wait for the cell; the guard does."""
    manager, client = start()
    client.execute(SAVES)
    wait(lambda: content(path) == "running", 60, "start of the cell")
    manager.restart_kernel(now=False)
    wait(lambda: content(path) == "saved", GRACE, "saving")
    client.wait_for_ready(timeout=60)
    assert stdout(client, '%%\nfmt.Println("z")') == ("z\n", "ok")
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    gone(mark)


def test_detached(mark, path):
    """A detached run outlives its kernel and its files, and another kernel stops it."""
    os.environ["MUSTER_RUNS"] = os.path.join(os.path.dirname(path), "runs")
    try:
        manager, client = start()
        out, status = stdout(client, DETACHED)
        assert status == "ok" and out.startswith("long/test/0 runs on its own now"), (out, status)
        client.stop_channels()
        manager.shutdown_kernel()
        wait(lambda: len(alive(mark)) == 1, GRACE, "end of all but the detached run")
        time.sleep(2)
        assert len(alive(mark)) == 1 and content(path) == "running", (alive(mark), content(path))
        manager, client = start()
        out, status = stdout(client, STOP)
        assert (out, status) == ("long/test/0: stopped\n", "ok") and content(path) == "saved", (out, status, content(path))
        assert content(os.path.join(os.environ["MUSTER_RUNS"], "long", "test", "0", "output.txt")) == "<nil>\n"
        client.stop_channels()
        manager.shutdown_kernel()
        gone(mark)
    finally:
        del os.environ["MUSTER_RUNS"]


def killed_server(cell):
    def test(mark, path):
        """A server that is killed says nothing to anybody: the guard notices, and the cell may still save."""
        server = subprocess.Popen([sys.executable, __file__, "--serve", cell])
        wait(lambda: content(path) == "running", 90, "start of the cell")
        assert any("gonb" in c for c in alive(mark).values()), alive(mark)
        server.send_signal(signal.SIGKILL)
        server.wait()
        gone(mark)
        assert content(path) == ("saved" if cell == SAVES else "running"), content(path)
    return test


def main():
    if sys.argv[1:2] == ["--serve"]:
        _, client = start()
        client.execute(sys.argv[2])
        time.sleep(600)
    tests = {"cells, interrupt, shutdown": test_cells, "restart": test_restart, "detached": test_detached,
             "killed server": killed_server(SAVES), "killed server, stubborn cell": killed_server(STUBBORN)}
    if sys.argv[1:]:
        tests = {name: tests[name] for name in sys.argv[1:]}
    failed = 0
    for name, test in tests.items():
        mark, begin = uuid.uuid4().hex, time.time()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "mark")
            os.environ.update(MUSTER_MARK=mark, MUSTER_MARK_FILE=path, TMPDIR=folder)
            try:
                test(mark, path)
                wait(lambda: not [f for f in os.listdir(folder) if f.startswith("muster.")], 3, "removal of temporary files")
                print(f"ok   {name} ({time.time() - begin:.1f} s)", flush=True)
            except AssertionError as e:
                failed += 1
                print(f"FAIL {name}: {e}", flush=True)
                for pid in alive(mark):
                    os.kill(pid, signal.SIGKILL)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
