"""One update of QMIX with recurrent agents (Rashid et al., ICML 2018; sizes and constants of PyMARL on 2s3z) in JAX: 32 episodes of
60 steps, 5 agents, observations of 80 numbers beside last action and agent's number, state of 120, 11 actions, GRU 64, mixer 32 with
hypernetworks of two layers of 64; double Q, one-step targets, gradients clipped at 10.

    python -m venv v && v/bin/pip install -r docs/performance/requirements.txt      # Python 3.12
    v/bin/python docs/performance/qmix_jax.py                                        # scan and unrolled

By turns with ours, which needs the backend's variables (root=$PWD; . kernels/env.sh):

    go test -c -o value.test ./pkg/algo/value && v/bin/python docs/performance/qmix_jax.py --ours value.test
"""

import jax
import jax.numpy as jnp
import numpy as np

import peer
import turns

T, B, N, OBS, STATE, A, H, MIX, HYPER = 60, 32, 5, 80, 120, 11, 64, 32, 64
GAMMA = 0.99


def parameters(rng):
    d = peer.dense
    return {
        "agent": {"in": d(rng, OBS + A + N, H), "gru": peer.gru(rng, H, H), "q": d(rng, H, A)},
        "mixer": {
            "w1": [d(rng, STATE, HYPER), d(rng, HYPER, N * MIX)], "b1": d(rng, STATE, MIX),
            "w2": [d(rng, STATE, HYPER), d(rng, HYPER, MIX)], "v": [d(rng, STATE, MIX), d(rng, MIX, 1)],
        },
    }


def batch(rng):
    lengths = rng.integers(T // 2, T + 1, B)
    lengths[0] = T
    t = np.arange(T)[:, None]
    avail = rng.random((T + 1, B, N, A)) < 0.6
    avail[..., 1] = True
    return {
        "obs": rng.standard_normal((T + 1, B, N, OBS)).astype(np.float32),
        "state": rng.standard_normal((T + 1, B, STATE)).astype(np.float32),
        "avail": avail,
        "actions": rng.integers(0, A, (T, B, N)).astype(np.int32),
        "reward": rng.standard_normal((T, B)).astype(np.float32),
        "ends": (t == lengths - 1).astype(np.float32),
        "mask": (t < lengths).astype(np.float32),
    }


def inputs(x):
    last = jax.nn.one_hot(x["actions"], A, dtype=jnp.float32)
    last = jnp.concatenate([jnp.zeros_like(last[:1]), last])
    number = jnp.broadcast_to(jnp.eye(N, dtype=jnp.float32), (T + 1, B, N, N))
    return jnp.concatenate([x["obs"], last, number], -1).reshape(T + 1, B * N, -1)


def utilities(p, x, unroll):
    h = peer.run_gru(p["gru"], jax.nn.relu(peer.apply(p["in"], x)), unroll)
    return peer.apply(p["q"], h).reshape(T + 1, B, N, A)


def mixed(p, q, state):
    two = lambda layers: peer.apply(layers[1], jax.nn.relu(peer.apply(layers[0], state)))
    w1 = jnp.abs(two(p["w1"])).reshape(*q.shape[:2], N, MIX)
    hidden = jax.nn.elu(jnp.einsum("tbn,tbnm->tbm", q, w1) + peer.apply(p["b1"], state))
    return jnp.sum(hidden * jnp.abs(two(p["w2"])), -1) + two(p["v"])[..., 0]


def loss_of(unroll):
    def loss(online, target, x):
        rows = inputs(x)
        q = utilities(online["agent"], rows, unroll)
        best = peer.greedy(jax.lax.stop_gradient(q[1:]), x["avail"][1:])
        after = peer.chosen(utilities(target["agent"], rows, unroll)[1:], best)
        y = peer.one_step(x["reward"], x["ends"], mixed(target["mixer"], after, x["state"][1:]), GAMMA)
        total = mixed(online["mixer"], peer.chosen(q[:-1], x["actions"]), x["state"][:-1])
        return peer.masked_mean((total - jax.lax.stop_gradient(y)) ** 2, x["mask"])

    return loss


def main():
    p = peer.arguments("^BenchmarkSequences$/^qmix$/^xla")
    p.add_argument("--adam", action="store_true", help="PyMARL2's Adam at 1e-3 instead of PyMARL's RMSprop at 5e-4")
    args = turns.parse(p)
    params, x = parameters(np.random.default_rng(1)), batch(np.random.default_rng(2))
    n = peer.count(params)  # by hand from the layers of pymarl/modules
    if n != (96 * 64 + 64) + (2 * 64 * 192 + 2 * 192) + (64 * 11 + 11) + (7744 + 64 * 160 + 160) + (7744 + 64 * 32 + 32) + 3872 + (3872 + 33):
        raise SystemExit(f"{n} parameters")
    optimiser = peer.adam(1e-3) if args.adam else peer.rmsprop(5e-4)
    peers = [peer.Peer(name, params, loss_of(unroll), optimiser, x) for name, unroll in args.variants]
    peer.agree(peers)
    print(f"QMIX, {B} episodes x {T} steps x {N} agents, {n:,} parameters, {'Adam' if args.adam else 'RMSprop'}")
    peer.race(peers, args)


if __name__ == "__main__":
    main()
