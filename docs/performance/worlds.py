"""The worlds of steer_torch.py, in NumPy: all environments step at once, and end together by the clock. A world shows observations
[environment, agent, number], and pays [environment, agent]."""

import numpy as np


class Penalty:
    """One step: nothing is seen, both are paid the table's entry."""

    agents, obs, state, actions = 2, 1, 0, 3
    table = np.array([[-100, 0, 10], [0, 2, 0], [8, 0, -100]], np.float32)

    def __init__(self, envs, rng):
        self.seen = np.zeros((envs, 2, 1), np.float32)

    def reset(self):
        return self.seen

    def step(self, act):
        return self.seen, np.repeat(self.table[act[:, 0], act[:, 1]][:, None], 2, 1)


class Spread:
    """Three discs that are to cover three landmarks, in all environments at once: velocities change before positions, everybody is paid the
    sum over agents of minus the landmarks' distances and minus overlaps."""

    agents, obs, state, actions = 3, 21, 63, 5
    push = 5 * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], float)

    def __init__(self, envs, rng):
        self.envs, self.rng = envs, rng

    def reset(self):
        self.x = self.rng.uniform(-1, 1, (self.envs, 3, 2))
        self.v = np.zeros_like(self.x)
        self.marks = self.rng.uniform(-0.8, 0.8, (self.envs, 3, 2))
        return self.look()

    def apart(self):
        """From each agent to each: vectors and distances, infinite to itself."""
        d = self.x[:, :, None] - self.x[:, None]
        return d, np.sqrt((d * d).sum(-1)) + np.where(np.eye(3), np.inf, 0)

    def look(self):
        others = -self.apart()[0][:, [[0], [1], [2]], [[1, 2], [0, 2], [0, 1]]]
        rows = lambda y: y.reshape(self.envs, 3, -1)
        number = np.broadcast_to(np.eye(3), (self.envs, 3, 3))
        return np.concatenate([self.v, self.x, rows(self.marks[:, None] - self.x[:, :, None]), rows(others), np.zeros((self.envs, 3, 4)), number],
                              -1).astype(np.float32)

    def step(self, act):
        d, far = self.apart()
        contact = 100 * 1e-3 * np.logaddexp(0, (0.3 - far) / 1e-3) / far
        force = self.push[act] + (contact[..., None] * d).sum(2)
        self.v = self.v * 0.75 + force * 0.1
        self.x = self.x + self.v * 0.1
        to = self.marks[:, None] - self.x[:, :, None]
        near = np.sqrt((to * to).sum(-1)).min(1).sum(-1)
        pay = -3 * near - (self.apart()[1] < 0.3).sum((1, 2))
        return self.look(), np.repeat(pay.astype(np.float32)[:, None], 3, 1)
