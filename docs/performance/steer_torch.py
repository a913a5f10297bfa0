"""Training of STEER (Zhang et al., ICML 2024) and MAPPO (Yu et al., NeurIPS 2022) in PyTorch, on one core, as long as the benchmarks
Train/… of pkg/algo/ppo: 20,000 plays of Penalty(-100) in rollouts of 100 plays, or 32,000 steps of particle spread in rollouts of 128
environments × 25 steps. Eager code, written for speed: weights of query, key and value in one product, the fused attention (an eighth
less time on spread than its two products, --products), the fused Adam, a rollout's values and probabilities kept from acting.

    python -m venv v && v/bin/pip install --no-deps -r docs/performance/requirements-torch.txt      # Python 3.11
    v/bin/python docs/performance/steer_torch.py {steer-game,steer-spread,mappo-spread} --core 1 [--ours ppo.test]

With --ours by turns with ours, which needs the backend's variables (root=$PWD; . kernels/env.sh) and go test -c -o ppo.test ./pkg/algo/ppo.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import turns
from networks import Block, Mappo, Steer
from worlds import Penalty, Spread

GAMMA, LAMBDA = 0.99, 0.95

# A task: its world and network, environments × steps of a rollout, rollouts, epochs, learning rate, clip range, entropy coefficient at a share of
# the run, least probability, whether a step ends the task (else the clock does, and what comes next counts), one mean of advantages or one each.
TASKS = {
    "steer-game": (Penalty, Steer, 100, 1, 200, 5, 5e-4, 0.2, lambda s: max(0.01, 1 - 0.99 * s / 0.7), 0.03, True, False),
    "steer-spread": (Spread, Steer, 128, 25, 10, 10, 7e-4, 0.05, lambda s: 0.01, 0, False, True),
    "mappo-spread": (Spread, Mappo, 128, 25, 10, 10, 7e-4, 0.05, lambda s: 0.01, 0, False, True),
}
COUNTS = {"steer-game": 68_422, "steer-spread": 74_222, "mappo-spread": 6_389 + 8_833}  # by hand: of STEER's specification, and of the layers
BENCH = {"steer-game": "steer$/^skewed-penalty", "steer-spread": "steer$/^spread", "mappo-spread": "mappo$/^spread"}


def train(task, seed):
    """The network, and the mean return of an episode in each rollout."""
    world, network, envs, steps, rollouts, epochs, lr, clip, entropy, floor, ends, together = TASKS[task]
    torch.manual_seed(seed)
    w, net = world(envs, np.random.default_rng(seed)), network(world.agents, world.obs, world.state, world.actions)
    if (count := sum(p.numel() for p in net.parameters())) != COUNTS[task]:
        raise SystemExit(f"{count} parameters, want {COUNTS[task]}")
    adam = torch.optim.Adam(net.parameters(), lr=lr, eps=1e-5, fused=True)
    weight = mean = square = 0.0  # running statistics of value targets
    deviation = lambda: math.sqrt(max(square / weight - (mean / weight) ** 2, 0.01)) if weight else 0.1

    def logs(logits):
        return F.log_softmax(logits, -1) if not floor else torch.log((1 - floor) * F.softmax(logits, -1) + floor / world.actions)

    def draw(logits):
        logp = logs(logits)
        choice = (logp.exp() / torch.empty_like(logp).exponential_()).argmax(-1, keepdim=True)
        return torch.zeros_like(logp).scatter_(-1, choice, 1), logp.gather(-1, choice).squeeze(-1)

    look = lambda seen: (torch.from_numpy(seen), torch.from_numpy(seen.reshape(envs, -1)))
    returns = []
    for rollout in range(rollouts):
        kept, rewards, seen = [], [], w.reset()
        with torch.no_grad():
            for _ in range(steps):
                obs, state = look(seen)
                shown, logp, value = net.act(obs, state, draw)
                seen, pay = w.step(shown.argmax(-1).numpy())
                kept.append((obs, state, shown, logp, value))
                rewards.append(torch.from_numpy(pay))
            of = lambda v: v * deviation() + (mean / weight if weight else 0)
            values = [of(k[-1]) for k in kept] + [torch.zeros_like(value) if ends else of(net.act(*look(seen), draw)[-1])]
        returns.append(float(sum(r.mean() for r in rewards)))
        advantage, later = [], 0
        for t in reversed(range(steps)):
            later = rewards[t] + GAMMA * values[t + 1] - values[t] + GAMMA * LAMBDA * later
            advantage.insert(0, later)
        advantage = torch.cat(advantage)
        target = advantage + torch.cat(values[:-1])
        obs, state, shown, logp, value = (torch.cat(x) for x in zip(*kept))
        if together:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-5)
        else:
            advantage = (advantage - advantage.mean(0)) / advantage.std(0, correction=0).clamp(min=0.05 * deviation() if weight else 1e-8)
        moments = float(target.mean()), float((target * target).mean())
        for epoch in range(epochs):
            weight, mean, square = (0.99999 * a + 1e-5 * b for a, b in zip((weight, mean, square), (1, *moments)))
            y = (target - mean / weight) / deviation()
            logits, v = net(obs, state, shown)
            every = logs(logits)
            ratio = ((every * shown).sum(-1) - logp).exp()
            if rollout == epoch == 0 and float((ratio.detach() - 1).abs().max()) > 1e-3:
                raise SystemExit(f"{task}: what is done has other probabilities in the update than while acting")
            gain = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
            error = lambda v: F.huber_loss(v, y, reduction="none", delta=10.0)
            loss = torch.max(error(v), error(value + (v - value).clamp(-clip, clip))).mean() - gain
            loss = loss + entropy(rollout / rollouts) * (every.exp() * every).sum(-1).mean()
            adam.zero_grad()
            loss.backward()
            for part in net.parts():
                nn.utils.clip_grad_norm_(part, 10.0)
            adam.step()
    return net, returns


class Peer:
    def __init__(self, task, threads):
        self.name, self.task, self.threads, self.seed = f"torch-{threads}", task, threads, 0

    def slice(self, trainings):
        """Seconds for one training, which must have learned something."""
        torch.set_num_threads(self.threads)
        with turns.Watch() as w:
            for _ in range(trainings):
                self.seed += 1
                self.check(*train(self.task, self.seed))
        return w.clock / trainings, w.work / trainings

    def check(self, net, returns):
        if self.task == "steer-game":
            best = lambda logits: (F.one_hot(logits.argmax(-1), 3).float(), logits.max(-1).values)
            with torch.no_grad():
                self.learned = net.act(torch.zeros(1, 2, 1), None, best)[0].argmax(-1)[0].tolist()
            good = self.learned == [0, 2] and np.mean(returns[-20:]) > 7
        else:
            first, last = np.mean(returns[:3]), np.mean(returns[-3:])  # each known to ± 2
            self.learned = [round(float(first), 1), round(float(last), 1)]
            good = -150 < first < -130 and last > first
        if not good:
            raise SystemExit(f"{self.task} has not learned: {self.learned}, returns from {returns[0]:.1f} to {returns[-1]:.1f}")

    @property
    def remark(self):
        return f"; {'greedy joint action' if self.task == 'steer-game' else 'returns of the first and last three rollouts'} {self.learned}"


def main():
    p = turns.arguments(None, rounds=5, size=1, of="trainings", package="ppo")
    p.add_argument("task", choices=TASKS)
    p.add_argument("--threads", type=int, nargs="+", default=[1], help="of PyTorch, each a peer of its own (%(default)s)")
    p.add_argument("--products", action="store_true", help="attention as two matrix products, as codes of such methods have it")
    args = turns.parse(p)
    Block.fused = not args.products
    ours = args.ours and turns.Ours(args.ours, args.bench or f"^BenchmarkTrain$/^{BENCH[args.task]}$", ("train-s", "train-cpu-s"))
    print(f"{args.task}: {COUNTS[args.task]:,} parameters, {'20,000 plays' if args.task == 'steer-game' else '32,000 steps'} a training")
    turns.race([Peer(args.task, n) for n in args.threads], args, f"PyTorch {torch.__version__}", "s", ours, warm=0)


if __name__ == "__main__":
    main()
