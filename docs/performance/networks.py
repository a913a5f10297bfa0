"""The networks of steer_torch.py: STEER's transformer and MAPPO's perceptrons. Both act and evaluate what was done; a row is one moment of one
environment, and what is done is shown as 1 at the choice, [row, agent, action]."""

import math

import torch
from torch import nn
from torch.nn import functional as F

D = 64


def linear(fan_in, out, gain=0.01, parts=1, bias=True):
    """Orthogonal weights, of each part apart; zeros as biases."""
    layer = nn.Linear(fan_in, out, bias)
    with torch.no_grad():
        for part in layer.weight.chunk(parts):
            part.copy_(nn.init.orthogonal_(torch.empty_like(part), gain))
        if bias:
            layer.bias.zero_()
    return layer


def active(fan_in, out, bias=True):
    return linear(fan_in, out, math.sqrt(2), bias=bias)


class Block(nn.Module):
    """Pre-norm attention with one head, then two dense layers."""

    fused = True

    def __init__(self, causal):
        super().__init__()
        self.causal, self.norm = causal, nn.LayerNorm(D)
        self.qkv, self.out = linear(D, 3 * D, parts=3), linear(D, D)
        self.feed = nn.Sequential(nn.LayerNorm(D), active(D, D), nn.GELU(), linear(D, D))

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unsqueeze(1).chunk(3, -1)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            logits = q @ k.transpose(-1, -2) * D**-0.5
            if self.causal:
                logits = logits + torch.full(logits.shape[-2:], -math.inf).triu(1)
            y = F.softmax(logits, -1) @ v
        x = x + self.out(y.squeeze(1))
        return x + self.feed(x)


class Steer(nn.Module):
    """state 0: the slot is a learned token."""

    def __init__(self, agents, obs, state, actions):
        super().__init__()
        self.n, self.a = agents, actions
        embed = lambda width: nn.Sequential(nn.LayerNorm(width), active(width, D), nn.GELU())
        head = lambda out: nn.Sequential(active(D, D), nn.GELU(), nn.LayerNorm(D), linear(D, out))
        self.see, self.look = embed(obs), embed(state) if state else None
        if not state:
            self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, D), std=0.02))
        self.done = nn.Sequential(active(actions, D, bias=False), nn.GELU())
        self.place = nn.Parameter(torch.randn(agents + 1, D))
        self.inner, self.outer = Block(False), Block(True)
        self.fuse, self.norm = nn.Sequential(nn.LayerNorm(D), active(D, D), nn.GELU(), linear(D, D)), nn.LayerNorm(D)
        self.policy, self.value = head(actions), head(1)

    def encode(self, obs, state):
        slot = self.look(state).unsqueeze(1) if self.look else self.token.expand(len(obs), 1, D)
        x = self.inner(torch.cat([slot, self.see(obs)], 1))
        return x[:, :1], x[:, 1:]

    def decide(self, g, e, shown, first):
        """Logits and values of the agents from first on, given shown [row, earlier agent, action]."""
        x = self.outer(torch.cat([g, self.done(shown)], 1) + self.place[: shown.shape[1] + 1])
        z = x[:, first:] + e[:, first : shown.shape[1] + 1]
        z = self.norm(z + self.fuse(z))
        return self.policy(z), self.value(z).squeeze(-1)

    def forward(self, obs, state, shown):
        return self.decide(*self.encode(obs, state), shown[:, :-1], 0)

    def act(self, obs, state, draw):
        """Agents choose one after another; draw makes choices (shown) and their log-probabilities of logits."""
        g, e = self.encode(obs, state)
        shown, logps, values = torch.zeros(len(obs), 0, self.a), [], []
        for i in range(self.n):
            logits, value = self.decide(g, e, shown, i)
            choice, logp = draw(logits)
            shown = torch.cat([shown, choice], 1)
            logps.append(logp), values.append(value)
        return shown, torch.cat(logps, 1), torch.cat(values, 1)

    def parts(self):
        return [list(self.parameters())]


class Mappo(nn.Module):
    """One actor for all, which is told the agent's number, and a critic of the state with an output for each agent."""

    def __init__(self, agents, obs, state, actions):
        super().__init__()
        mlp = lambda width, out, gain: nn.Sequential(
            nn.LayerNorm(width), active(width, D), nn.ReLU(), nn.LayerNorm(D), active(D, D), nn.ReLU(), nn.LayerNorm(D), linear(D, out, gain))
        self.n, self.actor, self.critic = agents, mlp(obs + agents, actions, 0.01), mlp(state, agents, 1)

    def forward(self, obs, state, shown=None):
        number = torch.eye(self.n).expand(len(obs), self.n, self.n)
        return self.actor(torch.cat([obs, number], -1)), self.critic(state)

    def act(self, obs, state, draw):
        logits, values = self(obs, state)
        return *draw(logits), values

    def parts(self):
        return [list(self.actor.parameters()), list(self.critic.parameters())]
