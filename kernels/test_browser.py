"""The first notebook in JupyterLab, as a user sees it: in a headless Chromium, whose path is the only argument.

A shortened copy trains in a temporary folder, under the kernel and the set-up of this repository. Twice a server starts on
it: the first is killed while the cell trains, the second goes on with that run, is interrupted, goes on again and finishes.
Pictures of the page go to .cache/artifacts. Needs playwright (notebooks/requirements-test.txt) and /proc.
"""
import contextlib, glob, json, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.request, uuid

from playwright.sync_api import sync_playwright

from test_kernel import ROOT, alive, gone, wait

STEPS = ("80_000", "24_000")  # what the notebook trains, and what this test does; shorter, a slow machine draws too few figures
GOAL = int(STEPS[1])
SHOTS = os.path.join(ROOT, ".cache", "artifacts")
SLOW = 120 if os.environ.get("GOMLX_BACKEND", "xla").startswith("xla") else 1200  # seconds; on a quiet machine it takes a tenth
TRAIN, FIGURE, TABLE, REPLAY = 1, 2, 3, 4  # code cells, counted from the imports

CELLS = """() => jupyterapp.shell.currentWidget.content.widgets.filter(w => w.model.type === 'code').map(({node}) => ({
	prompt: node.querySelector('.jp-InputPrompt')?.textContent ?? '',
	text: [...node.querySelectorAll('.jp-OutputArea-output')].map(o => o.innerText).join('\\n'),
	failed: node.querySelector('[data-mime-type*=stderr], [data-mime-type*=error]') !== null,
	bar: [...node.querySelectorAll('progress')].map(p => [p.value, p.max])[0],
	rows: node.querySelectorAll('table tr').length,
	images: [...node.querySelectorAll('img')].map(i => [i.src, i.naturalWidth, i.width]),
}))"""

KERNEL = """() => {
	const kernel = jupyterapp.shell.currentWidget?.sessionContext.session?.kernel
	return [kernel?.connectionStatus, kernel?.status]
}"""
ACTIVATE = """cell => {
	const notebook = jupyterapp.shell.currentWidget.content
	notebook.activeCellIndex = notebook.widgets.indexOf(notebook.widgets.filter(w => w.model.type === 'code')[cell])
}"""


def shorten(target):
    """A copy without outputs, so that all that is seen later was drawn by this test."""
    with open(os.path.join(ROOT, "notebooks", "00_start.ipynb")) as f:
        notebook = json.load(f)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    for cell in code:
        cell.update(outputs=[], execution_count=None)
    source = "".join(code[TRAIN]["source"])
    assert source.count(STEPS[0]) == 1, f"the training cell of 00_start should say {STEPS[0]} once:\n{source}"
    code[TRAIN]["source"] = source.replace(*STEPS)
    with open(target, "w") as f:
        json.dump(notebook, f)


def metrics(run):
    with open(os.path.join(run, "metrics.jsonl")) as f:
        return [json.loads(line) for line in f]


def saved(run):
    """The steps of the last checkpoint, whose manifest is written last; 0 without one."""
    for manifest in sorted(glob.glob(os.path.join(run, "checkpoint", "*", "manifest.json")), reverse=True):
        with open(manifest) as f:
            json.load(f)
        return int(os.path.basename(os.path.dirname(manifest)))
    return 0


@contextlib.contextmanager
def server(folder, mark):
    """JupyterLab as notebooks/open starts it, without the settings of the user: process and address of the copy."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    token = uuid.uuid4().hex
    own = {k: os.path.join(folder, k) for k in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    env = {**os.environ, **own, "MUSTER_MARK": mark, "MUSTER_RUNS": os.path.join(folder, "runs"), "TMPDIR": folder}
    with open(os.path.join(folder, "server.log"), "w") as log:
        process = subprocess.Popen(
            [os.path.join(ROOT, "notebooks", "open"), "--no-browser", "--expose-app-in-browser", f"--port={port}", "--ServerApp.port_retries=0",
             f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={os.path.join(folder, 'notebooks')}"],
            env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    address = f"http://127.0.0.1:{port}"

    def answers():
        assert process.poll() is None, "JupyterLab did not start:\n" + open(log.name).read()
        try:
            return urllib.request.urlopen(f"{address}/api", timeout=5).status == 200
        except OSError:
            return False
    try:
        wait(answers, SLOW, "an answer of JupyterLab")
        yield process, f"{address}/lab/tree/00_start.ipynb?token={token}&reset"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class Page:
    """The notebook in a browser window."""

    def __init__(self, browser):
        self.page = browser.new_page(viewport={"width": 1300, "height": 3200})
        self.page.set_default_timeout(SLOW * 1000)
        self.errors, self.seen = [], []
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(f"{m.text} ({m.location.get('url')})"))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))

    def load(self, address):
        self.page.goto(address)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        # Before it has a kernel, JupyterLab forgets what it is told to run.
        wait(lambda: self.page.evaluate(KERNEL)[0] == "connected", SLOW, "a kernel for the notebook")
        self.wait(lambda cells: sum(":" in c["prompt"] for c in cells) > REPLAY, "all cells of the notebook")

    def command(self, name):  # the braces: what it returns ends with the cell
        self.page.evaluate("name => { jupyterapp.commands.execute(name) }", name)

    def wait(self, condition, what, seconds=SLOW):
        """Until the condition holds for the code cells, which it returns."""
        def holds():
            self.page.wait_for_timeout(200)
            self.seen = self.page.evaluate(CELLS)
            return condition(self.seen)
        try:
            wait(holds, seconds, what)
        except AssertionError as e:
            raise AssertionError(f"{e}; the training cell shows {[(c['prompt'], c['text']) for c in self.seen[TRAIN:FIGURE]]}") from None
        return self.seen

    def idle(self):
        return self.wait(lambda cells: not any("*" in c["prompt"] for c in cells) and self.page.evaluate(KERNEL)[1] == "idle", "the end of the last cell")

    def changes(self, number):
        """Waits until the figure of the training cell has changed so often while it trains; returns the steps seen."""
        images, steps = set(), []

        def enough(cells):
            cell = cells[TRAIN]
            if not cell["bar"] or not cell["bar"][0]:  # it prepares
                return False
            assert cell["bar"][0] < GOAL, f"training ended after {max(0, len(images) - 1)} changes of the live figure, {number} were expected"
            if "*" in cell["prompt"]:
                steps.append(cell["bar"][0])
                images.update(i[0] for i in cell["images"])
            return len(images) > number
        self.wait(enough, f"{number} changes of the live figure")
        return steps

    def shot(self, name):
        path = os.path.join(SHOTS, f"browser-{name}.png")
        self.page.screenshot(path=path)
        print(f"     {os.path.relpath(path, ROOT)}", flush=True)


@contextlib.contextmanager
def notebook(browser, address):
    page = Page(browser)
    try:
        page.load(address)
        yield page
    except Exception:
        page.shot("failed")
        print("     errors on the console:", page.errors)
        raise
    finally:
        page.page.close()


def killed(browser, folder, run, mark):
    """A server that is killed while a cell trains leaves no process, and a run that can go on."""
    with server(folder, mark) as (process, address), notebook(browser, address) as page:
        page.command("notebook:run-all-cells")
        page.changes(0)
        assert not page.errors, page.errors
        process.kill()
        process.wait()
        gone(mark)
    assert 0 < metrics(run)[-1]["steps"] <= saved(run) < GOAL, f"metrics until step {metrics(run)[-1]['steps']}, checkpoint of {saved(run)}, goal {GOAL}"


def trained(browser, folder, run, mark):
    """That run goes on, is interrupted, goes on again, and is shown as it is on disk."""
    before, at = metrics(run), saved(run)
    with server(folder, mark) as (process, address), notebook(browser, address) as page:
        page.command("notebook:run-all-cells")
        steps = page.changes(2)
        assert min(steps) >= at, f"the run was saved at step {at} and began again at {min(steps)}"
        page.shot("training")

        page.page.click('[data-command="notebook:interrupt-kernel"]')
        cell = page.wait(lambda cells: "*" not in cells[TRAIN]["prompt"], "the end of the interrupted cell", 6)[TRAIN]
        stop = re.search(r"stopped at ([\d,]+) of [\d,]+ steps; run the cell again to continue", cell["text"])
        assert stop and not cell["failed"], f"after the interrupt the cell says {cell['text']!r}"
        at = int(stop[1].replace(",", ""))
        assert cell["bar"] == [at, GOAL] and saved(run) == at, f"{stop[0]}, bar {cell['bar']}, checkpoint of {saved(run)}"
        page.idle()
        page.shot("stopped")
        middle = metrics(run)

        page.page.evaluate(ACTIVATE, TRAIN)
        page.command("notebook:run-all-below")  # with the active one
        page.wait(lambda cells: "*" in cells[TRAIN]["prompt"], "the cell running again")
        steps = page.changes(0)
        assert min(steps) >= at, f"the run was stopped at step {at} and began again at {min(steps)}"
        page.wait(lambda cells: "*" not in cells[TRAIN]["prompt"], "the end of training")
        cells = page.idle()
        page.shot("finished")
        lines = metrics(run)
        assert lines[:len(middle)] == middle and middle[:len(before)] == before, "the run rewrote what it had logged before it stopped"
        finished(page, folder, cells, lines)
        assert not page.errors, page.errors
        process.terminate()
        gone(mark)


def finished(page, folder, cells, lines):
    """The last numbers of the run are on the page, and in the notebook that it saves."""
    assert lines[-1]["steps"] == GOAL and cells[TRAIN]["bar"] == [GOAL, GOAL] and "finished" in cells[TRAIN]["text"], (lines[-1], cells[TRAIN])
    assert not any(c["failed"] for c in cells), cells
    assert [len(c["images"]) for c in cells] == [0, 1, 1, 0, 1] and cells[TABLE]["rows"] > 10, cells
    for cell, scale in (TRAIN, 2), (FIGURE, 2), (REPLAY, 1):
        _, natural, width = cells[cell]["images"][0]
        assert 0 < natural == scale * width, f"a figure of {natural} pixels is shown {width} wide, 1/{scale} of it was expected"
    page.command("docmanager:save")
    page.wait(lambda _: "table" in str(outputs(folder)[TABLE:]), "the saved notebook")
    for cell, metric in {TRAIN: "loss", FIGURE: "train_total_reward"}.items():
        figure = next(o["data"] for o in outputs(folder)[cell] if "image/png" in o["data"])
        assert cells[cell]["images"][0][0].endswith("," + "".join(figure["image/png"]).strip()), "the figure on the page is not the one that was saved"
        text = "".join(figure["text/plain"])
        window = int((re.search(r"Moving mean over (\d+) logged points", text) or [0, 1])[1])
        end = [line[metric] for line in lines if metric in line][-(window + 1) // 2:]  # the mean is centred
        want = f": {sum(end) / len(end):.4g} at {GOAL:,} steps"
        assert want in text, f"the figure of {metric} should end with{want[1:]}, it says: {text}"


def outputs(folder):
    """The outputs of the code cells of the notebook on disk."""
    with open(os.path.join(folder, "notebooks", "00_start.ipynb")) as f:
        return [c["outputs"] for c in json.load(f)["cells"] if c["cell_type"] == "code"]


def main():
    failed = 0
    os.makedirs(SHOTS, exist_ok=True)
    for old in glob.glob(os.path.join(SHOTS, "browser-*.png")):
        os.remove(old)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=sys.argv[1])
        os.mkdir(os.path.join(folder, "notebooks"))
        shorten(os.path.join(folder, "notebooks", "00_start.ipynb"))
        run = os.path.join(folder, "runs", "dqn-joint", "takeout", "mini-v4", "1")
        for name, test in {"killed server": killed, "interrupt, resume, finish": trained}.items():
            mark, begin = uuid.uuid4().hex, time.time()
            try:
                test(browser, folder, run, mark)
                wait(lambda: not [f for f in os.listdir(folder) if f.startswith("muster.")], 3, "removal of temporary files")
                print(f"ok   {name} ({time.time() - begin:.1f} s)", flush=True)
            except Exception as e:  # of playwright, too
                failed += 1
                print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
                for pid in alive(mark):
                    os.kill(pid, signal.SIGKILL)
                break
        browser.close()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
