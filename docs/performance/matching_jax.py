"""AQMIX and REFIL on REFIL's group-matching game, written a second time: is it our code that needs so many updates?

The rules are those of pkg/env/matching, the networks those of TestT20GroupMatching in pkg/algo/value without last actions
(attention of width 64, linear mixer, double Q, one-step targets, the clock's end bootstrapped), all in one compiled loop:
8 environments, batches of transitions instead of episodes. --splits is how many of REFIL's random splits a batch has:
with episodes there is one for each, whatever their length.

    python matching_jax.py [--refil] [--splits 16] [--optimiser rmsprop --lr 5e-4 --target 200 --every 32]
"""
import argparse

import jax
import jax.numpy as jnp
import numpy as np

ap = argparse.ArgumentParser()
ap.add_argument("--refil", action="store_true")
ap.add_argument("--steps", type=int, default=100_000)
ap.add_argument("--every", type=int, default=16, help="steps per update")
ap.add_argument("--batch", type=int, default=256, help="transitions")
ap.add_argument("--splits", type=int, default=256)
ap.add_argument("--optimiser", default="adam", choices=["adam", "rmsprop"])
ap.add_argument("--lr", type=float, default=2e-3)
ap.add_argument("--target", type=int, default=50, help="updates between target copies")
ap.add_argument("--seed", type=int, default=0)
arg = ap.parse_args()
AGENTS, CELLS, MOVES, LIMIT, ENVS, WIDTH, HEADS, KEPT = 4, 6, 3, 50, 8, 64, 4, 60_000


def together(cell, group):
    def one(g):
        mine = group == g
        return ~mine.any(-1) | (jnp.where(mine, cell, CELLS).min(-1) == jnp.where(mine, cell, -1).max(-1))
    return one(0).astype(int) + one(1).astype(int)


def fresh(key, n):
    order, first, place = jax.random.split(key, 3)
    rank = jnp.argsort(jax.random.uniform(order, (n, AGENTS)), -1)
    group = jnp.where(rank < jax.random.randint(first, (n, 1), 0, AGENTS), 0, 1)
    cell = jax.random.randint(place, (n, AGENTS), 0, CELLS)
    return cell, group, jnp.zeros(n, int), together(cell, group)


def see(state):
    cell, group = state[:2]
    number = jnp.broadcast_to(jnp.eye(AGENTS), (*cell.shape, AGENTS))
    return jnp.concatenate([jax.nn.one_hot(cell, CELLS), jax.nn.one_hot(group, 2), number], -1)


def play(key, state, act):
    cell, group, t, before = state
    slips, other = jax.random.split(key)
    act = jnp.where(jax.random.uniform(slips, act.shape) < 0.1, jax.random.randint(other, act.shape, 0, MOVES), act)
    cell = (cell + act - 1) % CELLS
    now = together(cell, group)
    won = now == 2
    return (cell, group, t + 1, now), -0.1 + 2.5 * (now - before), won, ~won & (t + 1 >= LIMIT)


def dense(key, i, o):
    w, b = jax.random.split(key)
    return jax.random.uniform(w, (i, o), minval=-1, maxval=1) / np.sqrt(i), jax.random.uniform(b, (o,), minval=-1, maxval=1) / np.sqrt(i)


def attention(key, o):
    k = jax.random.split(key, 4)
    return {"first": dense(k[0], CELLS + 2 + AGENTS, WIDTH), "qkv": dense(k[1], WIDTH, 3 * WIDTH)[0], "out": dense(k[2], WIDTH, WIDTH), "last": dense(k[3], WIDTH, o)}


def attend(p, x, seen, then):
    """[batch, entity, k] and what is seen [batch, agent, entity] to [batch, agent, out]."""
    h = jax.nn.relu(x @ p["first"][0] + p["first"][1])
    q, k, v = (z.reshape(*z.shape[:-1], HEADS, -1) for z in jnp.split(h @ p["qkv"], 3, -1))
    logits = jnp.einsum("bqhd,behd->bhqe", q, k) / np.sqrt(WIDTH // HEADS)
    w = jax.nn.softmax(jnp.where(seen[:, None], logits, -1e9), -1) * seen.any(-1)[:, None, :, None]
    y = jnp.einsum("bhqe,behd->bqhd", w, v).reshape(h.shape)
    return then(y @ p["out"][0] + p["out"][1]) @ p["last"][0] + p["last"][1]


def values(p, x, seen):
    return attend(p["agent"], x, seen, jax.nn.relu)


def mix(p, q, x, views):
    w = jnp.concatenate([attend(p["w"], x, seen, lambda y: y).mean(-1) for seen in views], -1)
    everybody = jnp.ones_like(views[0])
    return (jax.nn.softmax(w, -1) * q).sum(-1) + attend(p["v"], x, everybody, lambda y: y).mean((-1, -2))


def pick(q, act):
    return jnp.take_along_axis(q, act[..., None], -1)[..., 0]


def loss(p, target, key, x, act, reward, ends, after):
    all_ = jnp.ones((len(x), AGENTS, AGENTS), bool)
    best = values(p, after, all_).argmax(-1)
    y = jax.lax.stop_gradient(reward + 0.99 * (1 - ends) * mix(target, pick(values(target, after, all_), best), after, [all_]))
    out = jnp.mean((mix(p, pick(values(p, x, all_), act), x, [all_]) - y) ** 2)
    if not arg.refil:
        return out
    coin, share = jax.random.split(key)
    coins = jax.random.uniform(coin, (arg.splits, AGENTS)) < jax.random.uniform(share, (arg.splits, 1))
    coins = jnp.repeat(coins, len(x) // arg.splits, 0)
    same = coins[:, :, None] == coins[:, None]
    q = jnp.concatenate([pick(values(p, x, seen), act) for seen in (same, ~same)], -1)
    return (out + jnp.mean((mix(p, q, x, [same, ~same]) - y) ** 2)) / 2


def descend(p, grads, slots, t):
    """Clipping to a norm of 10, then Adam, or torch's RMSprop, at update t."""
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
    grads = jax.tree.map(lambda g: g * jnp.minimum(1, 10 / norm), grads)
    keep, fade = (0.9, 0.999) if arg.optimiser == "adam" else (0.0, 0.99)
    m = jax.tree.map(lambda m, g: keep * m + (1 - keep) * g, slots[0], grads)
    v = jax.tree.map(lambda v, g: fade * v + (1 - fade) * g * g, slots[1], grads)
    m_scale, v_scale, tiny = (1 - keep**t, 1 - fade**t, 1e-8) if arg.optimiser == "adam" else (1, 1, 1e-5)
    return jax.tree.map(lambda w, m, v: w - arg.lr * m / m_scale / (jnp.sqrt(v / v_scale) + tiny), p, m, v), (m, v)


def step(carry, i):
    p, target, slots, state, kept, key, made = carry
    key, explore, random, world, new, draw, split = jax.random.split(key, 7)
    x = see(state)
    epsilon = 1 - 0.95 * jnp.minimum(1, i * ENVS / 5000)
    act = values(p, x, jnp.ones((ENVS, AGENTS, AGENTS), bool)).argmax(-1)
    act = jnp.where(jax.random.uniform(explore, act.shape) < epsilon, jax.random.randint(random, act.shape, 0, MOVES), act)
    state, reward, won, late = play(world, state, act)
    row = (i * ENVS + jnp.arange(ENVS)) % KEPT
    kept = tuple(b.at[row].set(v) for b, v in zip(kept, (x, act, reward, won.astype(jnp.float32), see(state))))
    over = won | late
    state = tuple(jnp.where(over[:, None] if b.ndim > 1 else over, a, b) for a, b in zip(fresh(new, ENVS), state))

    def update(c):
        p, target, slots, made = c
        j = jax.random.randint(draw, (arg.batch,), 0, jnp.minimum((i + 1) * ENVS, KEPT))
        made = made + 1
        p, slots = descend(p, jax.grad(loss)(p, target, split, *(b[j] for b in kept)), slots, made.astype(jnp.float32))
        return p, jax.tree.map(lambda a, b: jnp.where(made % arg.target == 0, a, b), p, target), slots, made

    due = (i * ENVS > 1000) & (i * ENVS // arg.every != (i + 1) * ENVS // arg.every)
    p, target, slots, made = jax.lax.cond(due, update, lambda c: c, (p, target, slots, made))
    return (p, target, slots, state, kept, key, made), None


@jax.jit
def judge(p, key):
    def move(c, _):
        state, key, on, total, solved = c
        key, k = jax.random.split(key)
        state, reward, won, late = play(k, state, values(p, see(state), jnp.ones((400, AGENTS, AGENTS), bool)).argmax(-1))
        return (state, key, on & ~(won | late), total + reward * on, solved | (won & on)), None
    begin, key = jax.random.split(key)
    on = jnp.ones(400, bool)
    out = jax.lax.scan(move, (fresh(begin, 400), key, on, jnp.zeros(400), ~on), None, LIMIT)[0]
    return out[4].mean(), out[3].mean()


def main():
    k = jax.random.split(jax.random.key(arg.seed), 5)
    p = {"agent": attention(k[0], MOVES), "w": attention(k[1], 32), "v": attention(k[2], 32)}
    x = jnp.zeros((KEPT, AGENTS, CELLS + 2 + AGENTS))
    zero = jax.tree.map(jnp.zeros_like, p)
    carry = (p, p, (zero, zero), fresh(k[3], ENVS), (x, jnp.zeros((KEPT, AGENTS), int), jnp.zeros(KEPT), jnp.zeros(KEPT), x), k[4], jnp.array(0))
    run, part = jax.jit(lambda c, i: jax.lax.scan(step, c, i)[0]), arg.steps // ENVS // 10
    for n in range(10):
        carry = run(carry, jnp.arange(n * part, (n + 1) * part))
        solved, total = judge(carry[0], jax.random.key(99))
        print(f"{(n + 1) * part * ENVS} steps, {int(carry[6])} updates: solved {float(solved):.3f}, return {float(total):.2f}", flush=True)


main()
