"""Which cases anybody could have saved: an open-loop sequence of actions that keeps the plant whole, found through its
gradients. The plant and its disturbance are known here, and nothing is late, so it is more than a controller can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinyctl.layers.base import F32, Array
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import Controller, Draws, close_loop

AHEAD_S = 0.6
ITERATIONS = 200
LEARNING_RATE = 0.1
DECAY = (0.9, 0.99)  # Adam's
STEEPEST = 1e3
NEAR, WALL = 0.3, F32(30)  # a margin below the one costs so much a unit


def feasible(kernel: Kernel, drawn: Draws, controllers: Sequence[Controller]) -> Array:
    """(n,) bool: a sequence of actions was found that keeps the kernel's margin positive for the whole episode.

    What a controller says in a flight without noise is such a sequence where it survives. For the other starts the
    actions of the first `AHEAD_S` seconds are optimised, and a controller flies on from there. `kernel` is that of
    `mining.crash_kernel`.
    """
    quiet = replace(drawn, noise=np.zeros_like(drawn.noise), late_s=0.0)
    shown = _any_survives(kernel, quiet, controllers)
    rows = np.flatnonzero(~shown)
    if len(rows):
        p = drawn.p[rows] if drawn.p.ndim == 2 else drawn.p
        whole, x = _descend(kernel, drawn.x[rows], drawn.d[rows], p)
        rest = Draws(x, drawn.d[rows], p, quiet.noise[:, rows])
        shown[rows] = whole & _any_survives(kernel, rest, controllers)
    return shown


def _any_survives(kernel: Kernel, drawn: Draws, controllers: Sequence[Controller]) -> Array:
    flown = [close_loop(kernel, drawn, c, keep=0).survived for c in controllers]
    survived: Array = np.logical_or.reduce(flown)
    return survived


def _descend(kernel: Kernel, x: Array, d: Array, p: Array) -> tuple[Array, Array]:
    """Where the plant stayed whole (n,) bool, and its states (n, nx) after `AHEAD_S`, from the starts `x`: by Adam on
    the task's cost and the margin."""
    task, period = kernel.task, kernel.task.period_s
    low, high = (np.array([getattr(s, side) for s in task.contract.outputs], F32) for side in ("low", "high"))
    start, one = np.tile(np.array(task.contract.initial_applied(), F32), (len(x), 1)), np.ones((1, 1), F32)
    u = np.tile(start, (max(1, round(AHEAD_S / period)), 1, 1))
    shown, end = np.zeros(len(x), bool), x.copy()
    mean, square = np.zeros_like(u), np.zeros_like(u)
    for k in range(ITERATIONS):
        states, whole = [x], np.ones(len(x), bool)
        for action in u:
            states.append(kernel.step(states[-1], action, p, d, period))
            whole &= kernel.margin(states[-1]) > 0
        shown |= whole
        end = np.where(whole[:, None], states[-1], end)
        gradient, g = np.zeros_like(u), np.zeros_like(x)
        for t in reversed(range(len(u))):
            g_x, g_u, g_last = kernel.cost_vjp(states[t + 1], u[t], u[t - 1] if t else start, one)
            near = (kernel.margin(states[t + 1]) < NEAR).astype(F32)[:, None]
            g_x += kernel.call("margin_vjp", states[t + 1], -WALL * near)[0]
            g_x, through = kernel.step_vjp(states[t], u[t], p, d, period, g + g_x)
            gradient[t] += through + g_u
            if t:
                gradient[t - 1] += g_last
            size = np.linalg.norm(g_x, axis=1, keepdims=True)
            g = np.nan_to_num(g_x / np.maximum(size / STEEPEST, 1)).astype(F32)  # that of a tumbling plant has no end
        gradient = np.nan_to_num(gradient)
        mean += (1 - DECAY[0]) * (gradient - mean)
        square += (1 - DECAY[1]) * (gradient**2 - square)
        corrected = mean / (1 - DECAY[0] ** (k + 1)) / (np.sqrt(square / (1 - DECAY[1] ** (k + 1))) + 1e-8)
        u = np.clip(u - F32(LEARNING_RATE * (1 - k / ITERATIONS)) * corrected, low, high).astype(F32)
    return shown, end
