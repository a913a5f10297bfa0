"""EPyMARL's own QMIX (https://github.com/uoe-agents/epymarl at cbc38c0, none of whose code is here) from end to end, as Train/pymarl of
pkg/algo/value: one environment, an update on 32 episodes after each, agents with GRU 64 that see their last action and number. Worlds:

  free      of 2s3z's shapes, whose step costs nothing and whose episodes are as long as ours: a lower bound of EPyMARL's time, whatever world
            it plays
  smaclite  SMAClite's 2s3z (https://github.com/uoe-agents/smaclite at 0d6abbe), a simulator in NumPy: EPyMARL as one would use it

    python -m venv v && v/bin/pip install --no-deps -r docs/performance/requirements-torch.txt      # Python 3.11
    v/bin/python docs/performance/qmix_epymarl.py epymarl smaclite [--worlds free smaclite] --core 1 [--ours value.test]

where epymarl and smaclite are folders with these repositories (EPyMARL imports SMAClite in any case). With --ours by turns with ours, which
needs the backend's variables (root=$PWD; . kernels/env.sh) and go test -c -o value.test ./pkg/algo/value; its slice is always 5,000 steps,
after 20,000 unmeasured ones.
"""

import logging
import os
import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import torch
import yaml

import turns

AGENTS, ACTIONS, OBS, STATE, LIMIT = 5, 11, 80, 120, 120
# Of 865 episodes of ours with ε = 0.6, as in Train/pymarl: the middles of twentieths of their sorted lengths. Their mean, 57, is that of
# Train/pymarl.
LENGTHS = [43, 44, 45, 46, 47, 47, 48, 49, 50, 51, 52, 53, 54, 56, 58, 61, 66, 72, 82, 120]


class Free:
    """What the runner asks of an environment. Nothing is computed: observations, state and available actions are the same arrays throughout."""

    n_agents, episode_limit = AGENTS, LIMIT

    def __init__(self, lengths, seed=None, **_):
        self.rng, self.lengths = np.random.default_rng(seed), lengths
        self.obs, self.state = [np.full(OBS, 0.5, np.float32)] * AGENTS, np.full(STATE, 0.5, np.float32)
        self.avail = [[1] * ACTIONS] * AGENTS

    def get_env_info(self):
        return {"state_shape": STATE, "obs_shape": OBS, "n_actions": ACTIONS, "n_agents": AGENTS, "episode_limit": LIMIT}

    def reset(self, **_):
        self.left = int(self.rng.choice(self.lengths))

    def step(self, actions):
        self.left -= 1
        return self.obs, float(self.left % 2), self.left == 0, False, {}

    get_obs = lambda self: self.obs
    get_state = lambda self: self.state
    get_avail_actions = lambda self: self.avail
    close = lambda self: None


class Peer:
    """EPyMARL's loop in a thread, which stops at the beginning of an episode as soon as a slice is over."""

    def __init__(self, name, root, world, network, threads):
        self.name, self.threads = name, threads
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.wanted, self.steps, self.ready, self.lengths, self.failure = 0, 0, False, [], None
        threading.Thread(target=self.run, args=(root, world, network), daemon=True).start()

    def run(self, root, world, network):
        import envs  # EPyMARL's, like the next
        import run

        class Told:
            """The world, which says when an episode begins and when a step is made."""

            def __init__(told, **settings):
                settings.pop("common_reward"), settings.pop("reward_scalarisation")
                told.world = world(seed=1, **settings)

            def __getattr__(told, name):
                return getattr(told.world, name)

            def reset(told, **how):
                self.begin()
                return told.world.reset(**how)

            def step(told, actions):
                self.steps += 1
                return told.world.step(actions)

        try:
            torch.manual_seed(1), np.random.seed(1)
            envs.REGISTRY[self.name] = Told
            settings = {}
            for part in ("default", "algs/qmix"):
                with open(os.path.join(root, "src", "config", f"{part}.yaml")) as f:
                    settings |= yaml.safe_load(f)
            settings |= {"env": self.name, "env_args": {}, "use_cuda": False, "device": "cpu"}
            settings |= {"t_max": 10**9, "test_interval": 10**9, "test_nepisode": 1}  # judged once, at the beginning
            if network == "gru":
                settings |= {"use_rnn": True, "obs_last_action": True}
            logger = SimpleNamespace(console_logger=logging.getLogger("epymarl"), log_stat=lambda *_: None, print_recent_stats=lambda: None)
            run.run_sequential(SimpleNamespace(**settings), logger)
        except BaseException as e:
            self.failure = e
            self.done.release()

    def begin(self):
        """An episode, and the update after the one before, is over."""
        self.wanted -= 1
        if self.wanted <= 0:
            self.done.release()
            self.go.acquire()
            torch.set_num_threads(self.threads)  # which other peers change

    def slice(self, episodes):
        """Steps per second, by the clock and of processor time, with an update after each episode."""
        if not self.ready:
            self.reach()
            self.advance(34)  # a batch is there, and an episode of judging is over
            self.ready = True
        before = self.steps
        with turns.Watch() as w:
            self.advance(episodes)
        made = self.steps - before
        self.lengths.append(made / episodes)
        self.remark = f"; episodes of {np.mean(self.lengths):.0f} steps"
        return made / w.clock, made / w.work

    def advance(self, episodes):
        self.wanted = episodes
        self.go.release()
        self.reach()

    def reach(self):
        self.done.acquire()
        if self.failure:
            raise SystemExit(f"{self.name}: {self.failure!r}")


def main():
    p = turns.arguments("^BenchmarkTrain$/^pymarl$", rounds=3, size=60, of="episodes")
    p.add_argument("epymarl", help="folder with EPyMARL")
    p.add_argument("smaclite", help="folder with SMAClite")
    p.add_argument("--worlds", nargs="+", choices=["free", "smaclite"], default=["free"], help="each a peer of its own (%(default)s)")
    p.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="of the free world's episodes, drawn alike (%(default)s)")
    p.add_argument("--threads", type=int, nargs="+", default=[1], help="of PyTorch, each a peer of its own (%(default)s; EPyMARL takes one)")
    p.add_argument("--network", choices=["gru", "shipped"], default="gru", help="shipped: without memory and last action, as EPyMARL's file says")
    args = turns.parse(p)
    warnings.simplefilter("ignore")  # of worlds that are not installed
    sys.path[:0] = [os.path.join(args.epymarl, "src"), args.smaclite]
    from envs.smaclite_wrapper import SMACliteWrapper

    worlds = {"free": lambda **s: Free(args.lengths, **s), "smaclite": lambda **s: SMACliteWrapper(map_name="2s3z", time_limit=LIMIT, **s)}
    peers = [Peer(f"{name}-{n}", args.epymarl, worlds[name], args.network, n) for name in args.worlds for n in args.threads]
    ours = args.ours and turns.Ours(args.ours, args.bench, ("steps/s", "steps/cpu-s"), times=1)
    turns.race(peers, args, f"EPyMARL's QMIX with PyTorch {torch.__version__}", "steps/s", ours, warm=0)


if __name__ == "__main__":
    main()
