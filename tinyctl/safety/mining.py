"""Flights from low-discrepancy starts, which of them fail, and which of those anybody could have saved.

A failure here is a crash: the task's `crash` margin, not the box an episode is trained in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import casadi
import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from tinyctl.emitter import emit
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32, Array
from tinyctl.sims.experts.model import find_rest, model_of
from tinyctl.sims.functions import vjp
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws, close_loop
from tinyctl.sims.plant import Plant, Task
from tinyctl.sims.starts import Starts

Parameters = Callable[[Array], Array]  # from numbers in [0, 1] (n, parameters) to parameters of the same shape

DIMENSIONS = 96  # numbers a start may take; beyond them it is drawn at random
MASSES = ("kg", "kg m^2")  # the units of weights and inertias


def crash_kernel(plant: Plant, task: Task) -> Kernel:
    """The kernel of the task whose margin is that to a crash; with the margin's gradient, `margin_vjp`."""
    crash = task.crash or task.margin
    x = casadi.SX.sym("x", len(plant.state_columns(task)))
    margin = casadi.Function("margin", [x], [casadi.densify(crash(x))], ["x"], ["y"])
    return compile_plant(plant, replace(task, margin=crash), [vjp(margin, ("x",))])


def starts(kernel: Kernel, n: int, seed: int, *, scale: float = 1.0, parameters: Parameters | None = None) -> Draws:
    """`n` starts from the task's own distributions, driven by a scrambled Sobol sequence in place of random numbers;
    the distance of a start from the plant's rest is `scale` times as large. `parameters` makes (n, parameters) of
    (n, parameters) numbers in [0, 1]; without it they are nominal.
    """
    plant, task = kernel.plant, kernel.task
    source = Sobol(n, seed)
    nominal = plant.nominal()
    x = np.asarray(task.initial(source, n, nominal), F32)  # type: ignore[arg-type]
    d = task.disturb(source, n, nominal) if plant.disturbances else np.zeros((n, 1), F32)  # type: ignore[arg-type]
    p = np.array([*nominal.values()] or [0.0], F32)
    if parameters is not None:
        p = parameters(source.columns(len(plant.parameters))).astype(F32)
    if scale != 1:
        rest = find_rest(model_of(plant, task)).x.astype(F32)
        still = np.array([task.contract.initial_applied()], F32)
        x = kernel.step(rest + F32(scale) * (x - rest), still, p, d, 0.0)  # no time, but projected
    noise = source.beyond.standard_normal((task.episode_steps, n, task.contract.n_obs), F32)
    return Draws(x, d, p, noise * np.array(task.noise, F32))


@dataclass(frozen=True)
class Mined:
    """Flights of the bare policy: `observations` (times, n, n_obs), and the step of the crash `lost` (n,), infinite
    where there was none."""

    observations: Array
    lost: Array


def mine(policy: Graph, kernel: Kernel, drawn: Draws, delay_s: float) -> Mined:
    """Fly the policy's compiled C from the drawn starts."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        emit(policy, scratch)
        recorder = _Recorder(HostController(Path(scratch)))
        flown = close_loop(kernel, drawn, recorder, delay_s=delay_s, keep=0)
    lost = np.where(flown.survived, np.inf, np.nan_to_num(flown.lost_s) * kernel.task.contract.rate_hz)
    return Mined(np.stack(recorder.seen), lost)


def failures(
    policy: Graph, kernel: Kernel, n: int, seed: int, scale: float, delay_s: float, parameters: Parameters | None = None
) -> Starts:
    """The starts among `n` from which the policy's compiled C crashes, and which were not lost when they began."""
    drawn = starts(kernel, n, seed, scale=scale, parameters=parameters)
    rows = np.isfinite(mine(policy, kernel, drawn, delay_s).lost) & (kernel.margin(drawn.x) > 0)
    p = np.tile(drawn.p, (n, 1)) if drawn.p.ndim == 1 else drawn.p
    return Starts(drawn.x[rows], drawn.d[rows], p[rows])


class _Recorder:
    """A controller, and what it observed."""

    def __init__(self, controller: HostController) -> None:
        self.controller = controller

    def reset(self, n: int) -> None:
        self.controller.reset(n)
        self.seen: list[Array] = []

    def step(self, observations: Array) -> Array:
        self.seen.append(np.array(observations, F32))
        return self.controller.step(observations)


@dataclass(frozen=True)
class Calm:
    """Parameters inside the trained range: nominal, or as domain randomisation draws them."""

    plant: Plant
    task: Task
    randomised: bool

    def __call__(self, numbers: Array) -> Array:
        nominal = self.plant.nominal()
        if not self.randomised:
            return np.tile(np.array([*nominal.values()]), (len(numbers), 1))
        rng = np.random.default_rng(numbers[:1].view(np.uint64).ravel())
        return self.plant.randomise(self.task, rng, len(numbers), nominal)[0]


def heavier(plant: Plant) -> Parameters:
    """Weights and inertias from their nominal values to the upper ends of their ranges; all else as nominal."""
    nominal, high = (np.array([getattr(q, side) for q in plant.parameters]) for side in ("nominal", "high"))
    chosen = np.array([q.unit in MASSES for q in plant.parameters])
    return lambda s: np.where(chosen, nominal + (high - nominal) * s, nominal)


class Sobol:
    """What `Task.initial` and `Task.disturb` ask of a generator, from columns of one Sobol sequence."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.beyond = n, np.random.default_rng([seed, 2])
        power = max(1, int(np.ceil(np.log2(max(n, 2)))))
        self._points = qmc.Sobol(DIMENSIONS, rng=seed).random_base2(power)[:n]
        self._next = 0

    def columns(self, count: int) -> Array:
        """(n, count) numbers in (0, 1)."""
        first, self._next = self._next, self._next + count
        left = self._points[:, first : self._next]
        more = self.beyond.random((self.n, count - left.shape[1]))
        return np.clip(np.concatenate([left, more], axis=1), 1e-9, 1 - 1e-9)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Array:
        shape = np.broadcast_shapes(np.shape(low), np.shape(high), (self.n,) if size is None else np.atleast_1d(size))
        return np.asarray(low) + (np.asarray(high) - low) * self._shaped(shape)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Array:
        shape = (self.n,) if size is None else tuple(np.atleast_1d(size))
        return np.asarray(ndtri(self._shaped(shape)), dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Array:
        return np.asarray(loc) + np.asarray(scale) * self.standard_normal(size)

    def random(self, size: Any = None) -> Array:
        return self.uniform(size=size)

    def integers(self, low: int, high: int | None = None, size: Any = None, *, endpoint: bool = False) -> Array:
        first, last = (0, low) if high is None else (low, high)
        return np.floor(self.uniform(first, last + endpoint, size)).astype(np.int64)

    def _shaped(self, shape: tuple[int, ...]) -> Array:
        shape = tuple(np.broadcast_shapes(shape))
        if shape and shape[0] == self.n:
            return self.columns(int(np.prod(shape[1:]))).reshape(shape)
        return self.beyond.random(shape)
