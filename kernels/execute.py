"""Executes notebooks with nbclient and writes them; with --check it writes nothing and compares with what is committed.

Also fails on what must not be committed: big outputs, stderr, kinds of output that GitHub or an export cannot show.
"""
import html, os, re, sys, time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

PLAIN = {"text/plain", "text/html", "image/png"}
ACTIVE = re.compile(r"<(script|style|link|svg|iframe)\b|\sstyle=|https?://", re.I)


def kinds(nb):
    """The shape of the outputs, without numbers that differ between machines."""
    return [[sorted(o.get("data", [o.get("name")])) for o in c.outputs] for c in nb.cells if c.cell_type == "code"]


def compiler(nb):
    """What GoNB says about code that does not compile, without the HTML it is wrapped in."""
    for cell in nb.cells:
        for o in cell.get("outputs", []):
            page = o.get("data", {}).get("text/html", "")
            if "gonb-err-context" in page:
                page = re.sub(r'<style>.*?</style>|<div class="gonb-err-context">.*?</div></div>', "", page, flags=re.S)
                yield re.sub(r"\s*\n\s*", "\n     ", html.unescape(re.sub(r"<[^>]*>", "", page)).strip())


def faults(nb):
    for i, cell in enumerate(nb.cells):
        for o in cell.get("outputs", []):
            data = o.get("data", {})
            if len(str(o)) > 80_000:
                yield f"cell {i}: an output of {len(str(o))} bytes, at most 80000"
            if o.get("name") == "stderr":
                yield f"cell {i} writes to stderr: {o.text[:200]}"
            if set(data) - PLAIN:
                yield f"cell {i}: output of kind {sorted(set(data) - PLAIN)}, allowed are {sorted(PLAIN)}"
            if ACTIVE.search(data.get("text/html", "")):
                yield f"cell {i}: a script, a style or a link in text/html"
    if (size := len(nbformat.writes(nb))) > 300_000:
        yield f"{size} bytes, at most 300000"


def run(path, check):
    start, wrong, nb = time.time(), [], nbformat.read(path, as_version=4)
    committed = kinds(nb)
    folder = {"metadata": {"path": os.path.dirname(os.path.abspath(path))}}  # where Jupyter runs the cells, too
    try:
        NotebookClient(nb, kernel_name="gonb", timeout=900, iopub_timeout=60, record_timing=False, coalesce_streams=True, resources=folder).execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as e:
        wrong += [re.sub(r"\x1b\[[0-9;]*m", "", str(e)), *compiler(nb)]
    wrong += [] if wrong else faults(nb)
    if check and not wrong and kinds(nb) != committed:
        wrong.append("outputs differ in kind from the committed ones: notebooks/open --run it, and look")
    if not check:
        nb.metadata = {"kernelspec": {"display_name": "Go (Muster)", "language": "go", "name": "gonb"},
                       "language_info": {"name": "go", "file_extension": ".go"}}
        nbformat.write(nb, path + ".new")
        os.replace(path + ".new", path)  # a killed run leaves the old notebook
    print(f"{'FAIL' if wrong else 'ok  '} {path} {time.time() - start:.1f} s", *wrong, sep="\n     ", flush=True)
    return not wrong


def main(args):
    paths = [a for a in args if a != "--check"]
    for p in paths:
        if not os.path.isfile(p):
            sys.exit(f"muster: no such notebook: {p}")
    done = [run(p, "--check" in args) for p in paths]
    print(f"{sum(done)} passed, {len(done) - sum(done)} failed")
    sys.exit(not all(done))


if __name__ == "__main__":
    main(sys.argv[1:])
