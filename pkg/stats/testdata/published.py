"""Asks rliable 1.2.0 for the statistics of fixed scores, for the tests of pkg/stats to compare with.

python3 -m venv V && V/bin/pip install -r requirements.txt
V/bin/python published.py                    prints rliable.json
V/bin/python published.py --race TEST-BINARY times 10,000 resamples of the IQM over 10 x 20 scores, rliable and
                                           BenchmarkBootstrap of the binary (go test -c ./pkg/stats) by turns
"""
import json
import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np
from rliable import library, metrics

RESAMPLES = 20_000


def scores():
    """Pairs of matrices (runs x tasks) to compare; `atom` is the distance of tied scores, 0 if there are none, None if the
    resamples fall into lumps with gaps between, where percentiles jump and intervals cannot be compared."""
    r = np.random.default_rng(2021)
    learned = np.clip(r.beta(2, 2, (10, 20)) * np.linspace(0.3, 1.6, 20), 0, None)
    yield "ten runs, twenty tasks", learned, learned * 0.9 + r.normal(0, 0.1, (10, 20)), 0
    seven, four = r.normal(0.5, 0.2, (7, 3)), r.normal(0.4, 0.2, (4, 3))
    yield "another number of runs", seven, four, 0
    outliers = seven.copy()
    outliers[2, 1], outliers[5, 0] = 40, -30
    yield "outliers", outliers, four, None
    yield "one task", r.normal(0, 1, (5, 1)), r.normal(0.5, 1, (6, 1)), 0
    ties = r.integers(0, 4, (6, 5)).astype(float)
    yield "ties", ties, r.integers(0, 4, (6, 5)).astype(float), 1
    yield "equal", ties[:3], ties[:3], 1


def interval(ends):
    return [float(v) for v in np.asarray(ends).ravel()]


def case(name, x, y, atom, seed):
    out = {"name": name, "x": x.tolist(), "y": y.tolist(), "atom": atom, "statistics": {}}
    for key, f in {
        "IQM": metrics.aggregate_iqm,
        "Median": metrics.aggregate_median,
        "Mean": metrics.aggregate_mean,
        "Optimality gap": lambda s: metrics.aggregate_optimality_gap(s, 1.0),
    }.items():
        np.random.seed(seed)  # rliable hands no generator on: arch then takes numpy's global one
        point, ends = library.get_interval_estimates({"x": x}, lambda s: np.array([f(s)]), reps=RESAMPLES)
        out["statistics"][key] = {"value": float(point["x"][0]), "interval": interval(ends["x"])}
    point, ends = library.get_interval_estimates(
        {"x,y": (x, y)}, metrics.probability_of_improvement, reps=2000)
    out["improvement"] = {"value": float(point["x,y"]), "interval": interval(ends["x,y"])}
    taus = np.linspace(-0.5, 3, 15)
    share, ends = library.create_performance_profile({"x": x}, taus, reps=RESAMPLES)
    out["profile"] = {"tau": taus.tolist(), "share": share["x"].tolist(), "low": ends["x"][0].tolist(), "high": ends["x"][1].tolist()}
    return out


def efficiency():
    """Sample-efficiency curve of 6 runs x 4 tasks x 12 evaluations."""
    r = np.random.default_rng(7)
    s = np.cumsum(r.normal(0.1, 0.3, (6, 4, 12)), axis=2)
    f = lambda x: np.array([metrics.aggregate_iqm(x[..., frame]) for frame in range(x.shape[-1])])
    point, ends = library.get_interval_estimates({"x": s}, f, reps=5000)
    return {"scores": s.tolist(), "iqm": point["x"].tolist(), "low": ends["x"][0].tolist(), "high": ends["x"][1].tolist()}


def race(binary, rounds=6):
    x = np.random.default_rng(1).random((10, 20))
    ours, theirs = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        library.get_interval_estimates({"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=10_000)
        theirs.append(1000 * (time.perf_counter() - start))
        said = subprocess.run([binary, "-test.run", "^$", "-test.bench", "^BenchmarkBootstrap$", "-test.benchtime", "20x", "-test.cpu", "1"],
                              capture_output=True, text=True, check=True).stdout
        ours.append(float(re.search(r"([\d.]+) ns/op", said)[1]) / 1e6)
    ratios = [b / a for a, b in zip(ours, theirs)]
    for name, values in ("ours, ms", ours), ("rliable, ms", theirs), ("ratio", ratios):
        print(f"{name:12} median {statistics.median(values):8.1f}   range {min(values):8.1f} to {max(values):8.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--race"]:
        race(os.path.abspath(sys.argv[2]))
    else:
        found = {"resamples": RESAMPLES, "cases": [case(*c, seed=i) for i, c in enumerate(scores())], "efficiency": efficiency()}
        print(re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", json.dumps(found, indent=1)))
