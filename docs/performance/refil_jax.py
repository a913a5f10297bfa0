"""One update of REFIL (Iqbal et al., ICML 2021) in JAX on a battle family of up to 8 against 8: 32 episodes of 60 steps, 16 entities of 38
numbers beside the agents' last actions, 14 actions, attention of width 128 with 4 heads, GRU 64, hypernetworks 128, mixer 32; three passes of
the agents (all, within and across imagined groups), mixing of both factorisations, double Q, gradients clipped at 10, RMSprop. --tiny: width
32 with 2 heads, GRU 32, hypernetworks 32, mixer 16, 16 episodes, Adam, TD(0.6). What the passes have in common is computed once.

    v/bin/python docs/performance/refil_jax.py [--tiny] [--ours value.test]          # v as in qmix_jax.py
"""

import jax
import jax.numpy as jnp
import numpy as np

import peer
import turns

T, N, E, FEATURES, A = 60, 8, 16, 38, 14
D = FEATURES + A
GAMMA, SHARE = 0.99, 0.5


class Sizes:
    batch, width, heads, hidden, hyper, mix = 32, 128, 4, 64, 128, 32


class Tiny:
    batch, width, heads, hidden, hyper, mix = 16, 32, 2, 32, 32, 16


def attention(rng, width):
    return {"in": peer.dense(rng, width, 3 * width, bias=False), "out": peer.dense(rng, width, width)}


def parameters(rng, s):
    hyper = lambda: {"x": peer.dense(rng, D, s.hyper), "attention": attention(rng, s.hyper), "out": peer.dense(rng, s.hyper, s.mix)}
    return {
        "agent": {
            "x": peer.dense(rng, D, s.width), "attention": attention(rng, s.width), "in": peer.dense(rng, s.width, s.hidden),
            "gru": peer.gru(rng, s.hidden, s.hidden), "q": peer.dense(rng, s.hidden, A),
        },
        "mixer": {name: hyper() for name in ("w1", "b1", "w2", "v")},
    }


def batch(rng, s):
    b = s.batch
    t = np.arange(T)[:, None]
    lengths = rng.integers(T // 2, T + 1, b)
    lengths[0] = T
    size = rng.integers(3, 6, b)[:, None]
    present = np.concatenate([np.arange(N) < size, np.arange(E - N) < size], 1)
    here = present[:, :N, None] & present[:, None, :]
    see = (rng.random((T + 1, b, N, E)) < 0.7) & here | np.eye(N, E, dtype=bool) & here
    coin = rng.random((b, E)) < rng.random((b, 1))
    avail = (rng.random((T + 1, b, N, A)) < 0.5) & present[:, :N, None]
    avail[..., 0] = True
    return {
        "entities": (rng.standard_normal((T + 1, b, E, FEATURES)) * present[..., None]).astype(np.float32),
        "present": present, "see": see, "same": coin[:, :N, None] == coin[:, None, :], "avail": avail,
        "actions": (rng.integers(0, A, (T, b, N)) * present[:, :N]).astype(np.int32),
        "reward": rng.standard_normal((T, b)).astype(np.float32),
        "ends": (t == lengths - 1).astype(np.float32),
        "mask": (t < lengths).astype(np.float32),
    }


def inputs(x):
    last = jax.nn.one_hot(x["actions"], A, dtype=jnp.float32) * x["present"][:, :N, None]
    last = jnp.concatenate([jnp.zeros_like(last[:1]), last])
    last = jnp.pad(last, ((0, 0), (0, 0), (0, E - N), (0, 0)))
    return jnp.concatenate([x["entities"], last], -1)


def attend(p, x, masks, heads, agents):
    """x [time, batch, entity, width], masks: of each pass who is seen [time or 1, batch, agent, entity]; out [pass, time, batch, agent, width]."""
    w, width = p["in"]["w"], x.shape[-1]
    split = lambda y: y.reshape(*y.shape[:-1], heads, width // heads)
    q, k, v = split(x[:, :, :N] @ w[:, :width]), split(x @ w[:, width : 2 * width]), split(x @ w[:, 2 * width :])
    logits = jnp.einsum("tbnhd,tbehd->tbhne", q, k) * (width // heads) ** -0.5
    out = []
    for mask in masks:
        seen = mask[:, :, None]
        shifted = jnp.where(seen, logits, -1e9)
        weights = jnp.where(seen, jnp.exp(shifted - jax.lax.stop_gradient(shifted.max(-1, keepdims=True))), 0.0)
        weights = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1e-9)
        out.append(jnp.einsum("tbhne,tbehd->tbnhd", weights, v))
    out = jnp.stack(out)
    return peer.apply(p["out"], out.reshape(*out.shape[:-2], width)) * agents


def utilities(p, x, masks, agents, heads, unroll):
    """[pass, time, batch, agent, action]"""
    features = attend(p["attention"], jax.nn.relu(peer.apply(p["x"], x)), masks, heads, agents)
    rows = jax.nn.relu(peer.apply(p["in"], features))
    k, t, b, n, width = rows.shape
    h = peer.run_gru(p["gru"], rows.transpose(1, 0, 2, 3, 4).reshape(t, -1, width), unroll)
    return peer.apply(p["q"], h).reshape(t, k, b, n, A).transpose(1, 0, 2, 3, 4) * agents


class Mixer:
    """Weights of the flexible mixer from the entities x; W1 once for each mask, the first of which shows all."""

    def __init__(self, p, x, masks, agents, heads):
        def hyper(name, masks):
            out = attend(p[name]["attention"], jax.nn.relu(peer.apply(p[name]["x"], x)), masks, heads, agents)
            return peer.apply(p[name]["out"], out) * agents

        self.w1 = jax.nn.softmax(hyper("w1", masks), -1)
        self.b1 = hyper("b1", masks[:1])[0].mean(2)
        self.w2 = jax.nn.softmax(hyper("w2", masks[:1])[0].mean(2), -1)
        self.v = hyper("v", masks[:1])[0].mean((2, 3))

    def mix(self, q, passes):
        """q [pass, time, batch, agent], all agents of these passes together."""
        hidden = jax.nn.elu(jnp.einsum("ptbn,ptbnm->tbm", q, self.w1[passes]) + self.b1)
        return jnp.sum(hidden * self.w2, -1) + self.v


def loss_of(s, unroll, lam):
    def loss(online, target, x):
        entities = inputs(x)
        agents = x["present"][:, :N, None].astype(jnp.float32)
        here = (x["present"][:, :N, None] & x["present"][:, None, :])[None]
        same = x["same"][None]
        q = utilities(online["agent"], entities, [x["see"], x["see"] & same, x["see"] & ~same], agents, s.heads, unroll)
        best = peer.greedy(jax.lax.stop_gradient(q[0, 1:]), x["avail"][1:])
        after = utilities(target["agent"], entities, [x["see"]], agents, s.heads, unroll)[0, 1:]
        later = Mixer(target["mixer"], entities[1:], [here], agents, s.heads)
        values = later.mix(peer.chosen(after, best)[None], slice(0, 1))
        if lam > 0:
            y = peer.td_lambda(x["reward"], x["ends"], x["mask"], values, GAMMA, lam)
        else:
            y = peer.one_step(x["reward"], x["ends"], values, GAMMA)
        y = jax.lax.stop_gradient(y)
        taken = peer.chosen(q[:, :-1], jnp.broadcast_to(x["actions"], (3,) + x["actions"].shape))
        now = Mixer(online["mixer"], entities[:-1], [here, here & same, here & ~same], agents, s.heads)
        total, imagined = now.mix(taken[:1], slice(0, 1)), now.mix(taken[1:], slice(1, 3))
        return (1 - SHARE) * peer.masked_mean((total - y) ** 2, x["mask"]) + SHARE * peer.masked_mean((imagined - y) ** 2, x["mask"])

    return loss


def main():
    p = peer.arguments("")
    p.add_argument("--tiny", action="store_true", help="the small preset")
    args = turns.parse(p)
    s = Tiny if args.tiny else Sizes
    if args.tiny and not args.bench:
        args.bench = "^BenchmarkSequences$/^refil$/^xla"
    if args.ours and not args.bench:
        p.error("--ours at the paper's width needs --bench, the benchmark of an update at that width")
    params, x = parameters(np.random.default_rng(1), s), batch(np.random.default_rng(2), s)
    sizes = [peer.count(params["agent"]), peer.count(params["mixer"])]
    if sizes != ([13678, 25408] if args.tiny else [106574, 306304]):
        raise SystemExit(f"{sizes} parameters")
    optimiser, lam = (peer.adam(1e-3), 0.6) if args.tiny else (peer.rmsprop(5e-4), 0.0)
    peers = [peer.Peer(name, params, loss_of(s, unroll, lam), optimiser, x) for name, unroll in args.variants]
    peer.agree(peers)
    print(f"REFIL, {s.batch} episodes x {T} steps x {N} agents and {E} entities, width {s.width}, {sum(sizes):,} parameters, {'Adam' if args.tiny else 'RMSprop'}")
    peer.race(peers, args)


if __name__ == "__main__":
    main()
