"""What the peers in JAX share: layers, optimisers, and the watch. Written with JAX alone, as one writes it for speed: inputs of a
recurrent layer in one product, recurrence by lax.scan or unrolled, one jitted function for the whole update, weights donated."""

import argparse
import os
import re
import statistics
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np


def dense(rng, fan_in, width, bias=True):
    """Weights and biases uniform in ±1/√fan_in."""
    bound = fan_in**-0.5
    layer = {"w": rng.uniform(-bound, bound, (fan_in, width)).astype(np.float32)}
    if bias:
        layer["b"] = rng.uniform(-bound, bound, (width,)).astype(np.float32)
    return layer


def apply(layer, x):
    y = x @ layer["w"]
    return y + layer["b"] if "b" in layer else y


def gru(rng, fan_in, width):
    bound = width**-0.5
    draw = lambda *shape: rng.uniform(-bound, bound, shape).astype(np.float32)
    return {"w": draw(fan_in, 3 * width), "u": draw(width, 3 * width), "b": draw(3 * width), "c": draw(3 * width)}


def run_gru(p, x, unroll):
    """x [time, rows, fan_in] to hidden states [time, rows, width], torch's gates; zeros at first. unroll: no loop is left."""
    width = p["u"].shape[0]
    inputs = x @ p["w"] + p["b"]

    def step(h, i):
        g = h @ p["u"] + p["c"]
        r = jax.nn.sigmoid(i[:, :width] + g[:, :width])
        z = jax.nn.sigmoid(i[:, width : 2 * width] + g[:, width : 2 * width])
        n = jnp.tanh(i[:, 2 * width :] + r * g[:, 2 * width :])
        h = (1 - z) * n + z * h
        return h, h

    h = jnp.zeros((x.shape[1], width), x.dtype)
    if not unroll:
        return jax.lax.scan(step, h, inputs)[1]
    out = []
    for t in range(x.shape[0]):
        h, _ = step(h, inputs[t])
        out.append(h)
    return jnp.stack(out)


def chosen(q, actions):
    return jnp.take_along_axis(q, actions[..., None], -1)[..., 0]


def greedy(q, avail):
    return jnp.argmax(jnp.where(avail, q, -9999999.0), -1)


def one_step(reward, ends, values, gamma):
    """y_t = r_t + γ(1 − end_t) V_{t+1}; values [time] are those of the next slots."""
    return reward + gamma * (1 - ends) * values


def td_lambda(reward, ends, mask, values, gamma, lam):
    """G_t = λγ G_{t+1} + m_t (r_t + (1 − λ) γ V_{t+1} (1 − end_t)), from the last slot backwards (pymarl2, rl_utils.py)."""

    def step(g, x):
        r, e, m, v = x
        g = lam * gamma * g + m * (r + (1 - lam) * gamma * v * (1 - e))
        return g, g

    last = values[-1] * (1 - jnp.sum(ends, 0))
    return jax.lax.scan(step, last, (reward, ends, mask, values), reverse=True)[1]


def masked_mean(x, mask):
    return jnp.sum(x * mask) / jnp.sum(mask)


def clip(grads, most):
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
    factor = jnp.minimum(1.0, most / (norm + 1e-6))
    return jax.tree.map(lambda g: g * factor, grads), norm


def rmsprop(lr, alpha=0.99, eps=1e-5):
    """torch's: v ← αv + (1 − α)g²; θ ← θ − lr·g/(√v + ε)."""
    def begin(params):
        return {"v": jax.tree.map(jnp.zeros_like, params)}

    def step(params, grads, state):
        v = jax.tree.map(lambda v, g: alpha * v + (1 - alpha) * g * g, state["v"], grads)
        return jax.tree.map(lambda p, g, v: p - lr * g / (jnp.sqrt(v) + eps), params, grads, v), {"v": v}

    return begin, step


def adam(lr, b1=0.9, b2=0.999, eps=1e-8):
    def begin(params):
        zeros = lambda: jax.tree.map(jnp.zeros_like, params)
        return {"m": zeros(), "v": zeros(), "n": jnp.zeros((), jnp.float32)}

    def step(params, grads, s):
        n = s["n"] + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, s["m"], grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, s["v"], grads)
        rate = lr * jnp.sqrt(1 - b2**n) / (1 - b1**n)
        return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + eps), params, m, v), {"m": m, "v": v, "n": n}

    return begin, step


def updater(loss, optimiser, most=10.0):
    """One update: gradients of loss(online, target, batch), clip, optimiser, target copy where copy is 1."""
    begin, step = optimiser

    def update(online, target, state, batch, copy):
        value, grads = jax.value_and_grad(loss)(online, target, batch)
        grads, norm = clip(grads, most)
        online, state = step(online, grads, state)
        target = jax.tree.map(lambda t, o: copy * o + (1 - copy) * t, target, online)
        return online, target, state, value, norm

    return begin, jax.jit(update, donate_argnums=(0, 1, 2))


class Peer:
    """A compiled update with its weights. Inputs are NumPy arrays, handed over at each call as from a replay."""

    def __init__(self, name, params, loss, optimiser, batch):
        begin, self.update = updater(loss, optimiser)
        self.name, self.batch = name, batch
        self.online = jax.tree.map(jnp.array, params)
        self.target = jax.tree.map(jnp.array, params)
        self.state = begin(self.online)
        start = time.perf_counter()
        self.first = self.call()
        self.compiled = time.perf_counter() - start

    def call(self):
        self.online, self.target, self.state, loss, norm = self.update(self.online, self.target, self.state, self.batch, np.float32(0))
        return float(loss), float(norm)

    def slice(self, updates):
        """Milliseconds per update: by the clock, and of processor time, which other programs disturb less."""
        clock, work = time.perf_counter(), time.process_time()
        for _ in range(updates):
            self.call()
        return (time.perf_counter() - clock) * 1000 / updates, (time.process_time() - work) * 1000 / updates


class Ours:
    """A compiled Go test binary whose benchmark reports ms/update."""

    def __init__(self, binary, bench):
        self.name, self.binary, self.bench = "ours", os.path.abspath(binary), bench

    def slice(self, updates):
        out = subprocess.run(
            [self.binary, "-test.run", "^$", "-test.bench", self.bench, "-test.benchtime", f"{updates}x"],
            capture_output=True, text=True, check=True, cwd=os.path.dirname(self.binary)).stdout
        found = re.findall(r"([\d.]+) ms/update", out)
        if len(found) != 1:
            raise SystemExit(f"{self.bench} reports {len(found)} figures of ms/update, want 1:\n{out}")
        return float(found[0]), None


VARIANTS = {"scan": False, "unrolled": True}


def arguments(bench):
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=9, help="slices of each")
    p.add_argument("--updates", type=int, default=10, help="in a slice")
    p.add_argument("--variants", nargs="+", type=lambda v: (v, VARIANTS[v]), default=list(VARIANTS.items()), metavar="VARIANT",
                   help="scan, unrolled or both (the default); unrolled takes a minute or more to compile")
    p.add_argument("--ours", help="compiled Go test binary to take turns with: go test -c -o value.test ./pkg/algo/value")
    p.add_argument("--bench", default=bench, help="its benchmark, a pattern as for go test (%(default)s)")
    return p


def race(runners, args):
    """Slices of all by turns, so that slow minutes hit all alike; medians and ranges, and ratios within each round."""
    if args.ours:
        runners = runners + [Ours(args.ours, args.bench)]
    figures = {r.name: [] for r in runners}
    for r in runners:
        r.slice(2)  # compiled, caches warm
    for _ in range(args.rounds):
        for r in runners:
            figures[r.name].append(r.slice(args.updates))
    print(f"JAX {jax.__version__} on {jax.devices()[0].platform}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; "
          f"{args.rounds} slices of {args.updates} updates by turns")
    best = min((r.name for r in runners if r.name != "ours"), key=lambda n: statistics.median(f for f, _ in figures[n]))
    for r in runners:
        f, work = zip(*figures[r.name])
        line = f"{r.name:10} median {statistics.median(f):8.2f} ms, {min(f):.2f} to {max(f):.2f}"
        if isinstance(r, Peer):
            line += f"; processor time {statistics.median(work):.2f} ms, {min(work):.2f} to {max(work):.2f}; compiled in {r.compiled:.1f} s"
        print(line)
    if args.ours:
        ratios = [a / b for (a, _), (b, _) in zip(figures["ours"], figures[best])]
        print(f"ours / {best}: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


def agree(peers):
    """All peers have begun with the same weights and batch: their first loss and gradient norm must be the same."""
    for p in peers[1:]:
        for a, b in zip(p.first, peers[0].first):
            if not abs(a - b) <= 1e-4 * max(1, abs(b)):
                raise SystemExit(f"{p.name} begins with loss and norm {p.first}, {peers[0].name} with {peers[0].first}")


def count(params):
    return sum(int(np.size(x)) for x in jax.tree.leaves(params))
