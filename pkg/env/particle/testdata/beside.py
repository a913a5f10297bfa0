"""Plays the episodes of a file with the Python package mpe2, from the same states with the same actions, and prints how
far observations, rewards and positions are from those in the file.

    python3 -m venv V && V/bin/pip install -r requirements.txt && V/bin/python beside.py EPISODES.json

Each line of the file is an episode: continuous (true or false), agents and landmarks (positions at the beginning),
actions [step][agent] (a choice, or two numbers), observations [step][agent][...] (the first is before any action) and
rewards [step][agent].
"""

import json
import sys

import numpy as np
from mpe2 import simple_spread_v3


def play(env, episode):
    """Returns the largest difference of an observation and of a reward in one episode."""
    env.reset(seed=0)
    world = env.unwrapped.world
    for entity, at in zip(world.agents + world.landmarks, episode["agents"] + episode["landmarks"]):
        entity.state.p_pos = np.array(at)
        entity.state.p_vel = np.zeros(2)
    names = env.possible_agents
    seen = rewarded = 0.0
    for t, want in enumerate(episode["observations"]):
        for name, o in zip(names, want):
            seen = max(seen, np.abs(env.unwrapped.observe(name) - np.array(o)).max())
        if t == len(episode["actions"]):
            break
        for name, act in zip(names, episode["actions"][t]):
            if episode["continuous"]:  # pairs of one-sided pushes: x = [2] - [1], y = [4] - [3]
                x, y = act
                act = np.array([0, max(-x, 0), max(x, 0), max(-y, 0), max(y, 0)], dtype=np.float32)
            env.step(act)
        for name, r in zip(names, episode["rewards"][t]):
            rewarded = max(rewarded, abs(env.unwrapped.rewards[name] - r))
    if not all(env.unwrapped.truncations.values()):
        raise SystemExit("the episode is not over")
    return seen, rewarded


def main():
    envs, worst, episodes, steps = {}, [0.0, 0.0], 0, 0
    with open(sys.argv[1]) as lines:
        for line in lines:
            episode = json.loads(line)
            kind = episode["continuous"], len(episode["agents"]), len(episode["actions"])
            if kind not in envs:
                envs[kind] = simple_spread_v3.env(N=kind[1], max_cycles=kind[2], continuous_actions=kind[0])
            difference = play(envs[kind], episode)
            if not all(np.isfinite(difference)):
                raise SystemExit(f"episode {episodes} has differences of {difference}")
            worst = [max(a, float(b)) for a, b in zip(worst, difference)]
            episodes, steps = episodes + 1, steps + kind[2]
    print(json.dumps({"episodes": episodes, "steps": steps, "observation": worst[0], "reward": worst[1]}))


main()
