"""What the peers in JAX share: layers, optimisers, and the update; turns.py holds the watch. Written with JAX alone, as one writes it for
speed: inputs of a recurrent layer in one product, recurrence by lax.scan or unrolled, one jitted function for the whole update, weights
donated."""

import jax
import jax.numpy as jnp
import numpy as np

import turns


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
        with turns.Watch() as w:
            self.first = self.call()
        self.remark = f"; compiled in {w.clock:.1f} s"

    def call(self):
        self.online, self.target, self.state, loss, norm = self.update(self.online, self.target, self.state, self.batch, np.float32(0))
        return float(loss), float(norm)

    def slice(self, updates):
        """Milliseconds per update, by the clock and of processor time."""
        with turns.Watch() as w:
            for _ in range(updates):
                self.call()
        return w.clock * 1000 / updates, w.work * 1000 / updates


VARIANTS = {"scan": False, "unrolled": True}


def arguments(bench):
    p = turns.arguments(bench)
    p.add_argument("--variants", nargs="+", type=lambda v: (v, VARIANTS[v]), default=list(VARIANTS.items()), metavar="VARIANT",
                   help="scan, unrolled or both (the default); unrolled takes a minute or more to compile")
    return p


def race(peers, args):
    turns.race(peers, args, f"JAX {jax.__version__} on {jax.devices()[0].platform}")


def agree(peers):
    """All peers have begun with the same weights and batch: their first loss and gradient norm must be the same."""
    for p in peers[1:]:
        for a, b in zip(p.first, peers[0].first):
            if not abs(a - b) <= 1e-4 * max(1, abs(b)):
                raise SystemExit(f"{p.name} begins with loss and norm {p.first}, {peers[0].name} with {peers[0].first}")


def count(params):
    return sum(int(np.size(x)) for x in jax.tree.leaves(params))
