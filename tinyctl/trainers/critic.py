"""What comes after a window: a value function that sees what the policy does not.

The policy sees noisy observations and its own memory. The critic sees the observations without noise, the states that
none of them shows (rotor speeds), goals, disturbances, drawn parameters and delays, what is still on its way to the
actuators, and the policy's memory: the future of the closed loop is a function of these. Its gradient at a window's end
joins the window's own.

Short windows with a critic that follows: Xu et al., *Accelerated Policy Learning with Parallel Differentiable
Simulation*, 2022. A critic that sees more than the actor: Pinto et al., *Asymmetric Actor Critic for Image-Based Robot
Learning*, 2017.
"""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.sims.kernel import Kernel
from tinyctl.trainers.base import Tensor, adam_state, columns, random_weights
from tinyctl.trainers.window import After, Window

TRACE = 0.95  # lambda of the targets: how much of them is flown cost, the rest being the copy's opinion
FOLLOW = 0.3  # the part of the way to the trained weights that the copy goes after each window
KEPT = 8  # windows that are learnt from: plants that started together do the same, so one window shows little
STEPS, BATCH, LEARNING_RATE = 16, 256, 3e-3  # Adam's, after each window


class Critic:
    """Tanh layers of the widths `hidden` that estimate the discounted mean cost of what follows, (1 - discount) times
    the discounted sum. What a window is told comes from a copy that follows the trained weights slowly."""

    def __init__(self, window: Window, hidden: tuple[int, ...], discount: float, generator: Any) -> None:
        if not 0 <= discount < 1:
            raise TinyctlError(f"a critic with a discount of {discount}", fix="at least 0 and below 1")
        self.window, self.discount = window, discount
        n, kernel, instants, n_obs = window.n, window.kernel, len(window.x), window.kernel.task.contract.n_obs
        self.unseen = unseen_states(kernel)
        self.observed, self.g_observed = [columns(n_obs, n) for _ in window.x], columns(n_obs, n)
        self.g_x = columns(len(window.x[0]), n)
        self._observe = [kernel.bind("observe", n, [x.T], [y.T]) for x, y in zip(window.x, self.observed, strict=True)]
        self._observe_back = kernel.bind("observe_vjp", n, [window.x[-1].T, self.g_observed.T], [self.g_x.T])
        self.sizes = [len(part) for part in self._parts(0)]
        rows = sum(self.sizes)
        self.seen = columns(instants * rows, n).reshape(instants, rows, n)  # before each period, and at the end
        self.states = np.zeros((KEPT, instants - 1, n, rows), F32)
        self.targets = np.zeros((KEPT, instants - 1, n), F32)
        self.windows, self.samples = np.zeros(1, np.int64), np.zeros(1)  # how many there were
        self.mean, self.squares = np.zeros((rows, 1)), np.zeros((rows, 1))
        self.weights = [w.requires_grad_() for w in random_weights([rows, *hidden, 1], generator)]
        self.copy = [w.detach().clone() for w in self.weights]
        self.optimiser = torch.optim.Adam(self.weights, lr=LEARNING_RATE)

    def _parts(self, t: int) -> list[Array]:
        """What is seen before period `t`."""
        window = self.window
        memory = window.passes[t - 1].next_memory if t else window.memory
        said = [window.said(t - 1 - j) for j in range(window.reach)]
        drawn = [window.p, window.wait, window.missed[None]] if window.randomise else []
        return [self.observed[t], window.x[t][self.unseen], memory, *said, window.d, *drawn]

    def look(self) -> After:
        """See the window that was flown, and tell the gradient of what comes after it: none of a lost plant."""
        window, periods = self.window, len(self.window.passes)
        for t, observe in enumerate(self._observe):
            observe()
            np.concatenate(self._parts(t), out=self.seen[t])
        self.inside = window.kernel.margin(window.x[-1].T) > 0
        end = torch.from_numpy(self.seen[-1]).requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(self.copy, end).sum(), end)
        share = self.discount**periods / (1 - self.discount) / (window.n * periods)
        parts = np.split(np.where(self.inside, gradient.numpy() * F32(share), F32(0)), np.cumsum(self.sizes))
        self.g_observed[:], g_unseen, g_memory, *g_said = parts[: 3 + window.reach]
        self._observe_back()
        self.g_x[self.unseen] += g_unseen
        return After(self.g_x, tuple(g_said), g_memory)

    def learn(self) -> None:
        """Fit the values of what the last windows saw to what followed, TD(lambda). A lost plant goes on costing what
        it did last."""
        kept, cost = int(self.windows[0]) % KEPT, self.window.cost
        self._count(self.seen[:-1, :, self.inside])
        seen = torch.from_numpy(self.seen).transpose(0, 1)
        values = self.value(self.copy, seen.flatten(1)).view(seen.shape[1:]).numpy()
        values[-1] = target = np.where(self.inside, values[-1], cost[-1])
        for t in reversed(range(len(cost))):
            after = (1 - TRACE) * values[t + 1] + TRACE * target
            self.targets[kept, t] = target = (1 - self.discount) * cost[t] + self.discount * after
        self.states[kept] = self.seen[:-1].transpose(0, 2, 1)
        self.windows += 1
        filled = min(int(self.windows[0]), KEPT)
        states, targets = self.states[:filled].reshape(-1, len(self.mean)), self.targets[:filled].reshape(-1)
        known = np.flatnonzero(np.isfinite(targets))
        for which in self.window.rng.choice(known, (STEPS, BATCH)) if len(known) else ():
            self.optimiser.zero_grad()
            values = self.value(self.weights, torch.from_numpy(states[which].T))[0]
            torch.nn.functional.smooth_l1_loss(values, torch.from_numpy(targets[which])).backward()
            self.optimiser.step()
        for copy, weight in zip(self.copy, self.weights, strict=True):
            copy.lerp_(weight.detach(), FOLLOW)

    def state(self) -> dict[str, Array]:
        """All that the next window depends on, as views to be written into."""
        weights = {f"weight_{i}": w.detach().numpy() for i, w in enumerate(self.weights)}
        copies = {f"copy_{i}": w.numpy() for i, w in enumerate(self.copy)}
        own = {name: getattr(self, name) for name in ("states", "targets", "windows", "samples", "mean", "squares")}
        return {**weights, **copies, **own, **adam_state(self.optimiser, self.weights)}

    def _count(self, seen: Array) -> None:
        """Let mean and summed squares include what is seen, (periods, rows, plants) (Chan et al. 1979)."""
        more = seen.shape[0] * seen.shape[2]
        if more:
            total, mean = self.samples + more, seen.mean((0, 2), np.float64)[:, None]
            off = mean - self.mean
            self.squares += ((seen - mean) ** 2).sum((0, 2))[:, None] + off**2 * self.samples * more / total
            self.mean += off * more / total
            self.samples[:] = total

    def value(self, weights: list[Tensor], seen: Tensor) -> Tensor:
        """(1, lanes) of what is seen, (rows, lanes). A row that never changes says nothing."""
        spread = np.sqrt(self.squares / np.maximum(self.samples, 1))
        gain = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 1e-6 * np.abs(self.mean))
        z = torch.from_numpy(gain.astype(F32)) * (seen - torch.from_numpy(self.mean.astype(F32)))
        for i in range(0, len(weights), 2):
            z = torch.addmm(weights[i + 1], weights[i], torch.tanh(z) if i else z)
        return z


def unseen_states(kernel: Kernel) -> Array:
    """The columns of the state that no observation depends on, and the goals: an error does not tell where they go."""
    x = casadi.SX.sym("x", len(kernel.plant.state_columns(kernel.task)))
    depends = casadi.which_depends(kernel.task.observe(x), x, 1, False)
    return np.array([i for i, seen in enumerate(depends) if not seen or i >= len(kernel.plant.states)], int)
