"""How a peer and a Go benchmark of ours are compared: in slices by turns, so that slow minutes hit all alike. Printed are medians, ranges,
and the ratio within each round. Needs nothing but Python; what a peer needs is its own affair."""

import argparse
import os
import re
import statistics
import subprocess
import time

CORES = os.sched_getaffinity(0)  # that this program was started on


class Watch:
    """with Watch() as w: …; then w.clock and w.work are the seconds that passed, by the clock and of processor time, which other programs
    disturb less."""

    def __enter__(self):
        self.clock, self.work = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.clock, self.work = time.perf_counter() - self.clock, time.process_time() - self.work


class Ours:
    """A compiled Go test binary whose benchmark reports a figure by the clock and perhaps the same of processor time, named units."""

    def __init__(self, binary, bench, units=("ms/update", "cpu-ms/update"), times=None):
        self.name, self.binary, self.bench = "ours", os.path.abspath(binary), bench
        self.units, self.times = units, times  # times: runs of the benchmark in a slice, if its size does not say

    def slice(self, size):
        out = subprocess.run(
            [self.binary, "-test.run", "^$", "-test.bench", self.bench, "-test.benchtime", f"{self.times or size}x"],
            capture_output=True, text=True, check=True, cwd=os.path.dirname(self.binary),
            preexec_fn=lambda: os.sched_setaffinity(0, CORES)).stdout
        found = [re.findall(rf"([\d.]+) {re.escape(unit)}", out) for unit in self.units]
        if len(found[0]) != 1 or len(found[1]) > 1:
            raise SystemExit(f"{self.bench} reports {[len(f) for f in found]} figures of {self.units}, want 1 of each:\n{out}")
        return float(found[0][0]), float(found[1][0]) if found[1] else None


def arguments(bench, rounds=9, size=10, of="updates", package="value"):
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=rounds, help="slices of each (%(default)s)")
    p.add_argument(f"--{of}", type=int, default=size, dest="size", help="in a slice (%(default)s)")
    p.add_argument("--core", type=int, help="hold the peers to this core; ours keeps those that this program was started on")
    p.add_argument("--ours", help=f"compiled Go test binary to take turns with: go test -c -o {package}.test ./pkg/algo/{package}")
    p.add_argument("--bench", default=bench, help="its benchmark, a pattern as for go test (%(default)s)")
    p.set_defaults(of=of)
    return p


def parse(p):
    """The arguments; from here on this program and the threads that it will start are held to --core."""
    args = p.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    return args


def race(peers, args, about, unit="ms", ours=None, warm=2):
    """Slices of all by turns. A peer has a name and slice(size), which returns two figures: by the clock and of processor time, or None for
    that. ours: if not as arguments say. warm: size of a slice before the first, that compiles and fills caches."""
    if args.ours and ours is None:
        ours = Ours(args.ours, args.bench)
    runners = peers + [ours] * bool(args.ours)
    figures = {r.name: [] for r in runners}
    for r in runners * bool(warm):
        r.slice(warm)
    for _ in range(args.rounds):
        for r in runners:
            figures[r.name].append(r.slice(args.size))
    cores = len(os.sched_getaffinity(0))
    print(f"{about}, {cores} of {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {args.rounds} slices of {args.size} {args.of} by turns")
    for r in runners:
        clock, work = zip(*figures[r.name])
        line = f"{r.name:10} {spread(clock)} {unit}"
        if None not in work:
            line += f"; of processor time {spread(work)}"
        print(line + getattr(r, "remark", ""))
    for p in peers * bool(args.ours):
        for k, kind in enumerate(("", ", processor time")):
            pairs = [(a[k], b[k]) for a, b in zip(figures["ours"], figures[p.name])]
            if all(None not in pair for pair in pairs):
                print(f"ours / {p.name}{kind}: {spread([a / b for a, b in pairs])}")


def spread(figures):
    digits = 0 if min(figures) >= 1000 else 2
    return f"median {statistics.median(figures):.{digits}f}, {min(figures):.{digits}f} to {max(figures):.{digits}f}"
