"""Koopman policies: the linear-quadratic regulator of the principal modes of monomials (`tinyctl.koopman`).

At the rest it is the regulator of the plant's Jacobians; farther away its modes bend with the plant, as far as data
bear them out. Which monomials, and data from how far away, is decided in closed loop among those whose modes pass.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import solve_discrete_are

from tinyctl.errors import TinyctlError
from tinyctl.koopman import Modes, decompose
from tinyctl.layers.base import F32, Array
from tinyctl.monomials import layer_of, up_to
from tinyctl.policy import Policy
from tinyctl.sims.experts.lqr import Gain, Weights, gain_at, weights_at
from tinyctl.sims.experts.model import Model, Rest, find_rest, model_of
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import cpu_time, front_layers, policy_of
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.validation import validate

FLIGHTS, HELD = 256, 5  # that tell how far inputs take the plant, and control periods for which each holds one
NUDGE = 1e-5  # of a state, to see how the modes move with it


@dataclass(frozen=True)
class Config:
    """What is lifted, how far from the rest, and what counts as a mode."""

    degree: int = 3
    """Monomials of the scaled observation up to each degree from 2 to this one are tried."""
    periods: tuple[int, ...] = tuple(range(8, 42, 2))
    """Data are drawn from the box that inputs reach from the rest in so many control periods; each is tried."""
    pairs: int = 8192
    """States and inputs, each with the state after a control period; half of them judge the modes."""
    tolerance: float = 0.02
    """The largest share of held-out data that a mode may miss."""
    validation_episodes: int = 250
    """Episodes of each validation, drawn from a seed of their own."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""


def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> TrainResult:
    """The Koopman policy for `task` (the plant's first by default) that does best in the validation episodes. A point
    of the curve is a lift whose modes pass; its cost is their largest residual. Raises `TinyctlError` for a task with
    set-points, and where no lift's modes pass."""
    started, cpu_started = time.perf_counter(), cpu_time()
    chosen = plant.task(task)
    if chosen.goals or chosen.lag_s is not None or chosen.integral_limits:
        raise TinyctlError("a Koopman policy holds one rest, from observations alone",
                           where=f"plant {plant.name}", fix="a task without set-points, lag and integral")  # fmt: skip
    if config.degree < 2 or not config.periods:
        raise TinyctlError(f"degree {config.degree} and {len(config.periods)} periods leave no lift to try",
                           fix="degree at least 2, periods at least one number")  # fmt: skip
    model = model_of(plant, chosen, config.variant)
    gain = gain_at(model, find_rest(model))
    kernel = compile_plant(plant, chosen)
    flights = draw(plant, chosen, range(config.validation_episodes), 2**32 + seed, variant=config.variant)
    tried = [(degree, periods) for degree in range(2, config.degree + 1) for periods in config.periods]
    curve: list[CurvePoint] = []
    best: tuple[tuple[float, float], TrainResult] | None = None
    least = math.inf
    for k, (degree, periods) in enumerate(tried):
        x, u, after = excite(model, gain.rest, periods, config.pairs, np.random.default_rng([seed, periods]))
        policy, missed = policy_by(chosen, model, gain, degree, (x, u, after))
        least = min(least, missed)
        if policy is not None and missed <= config.tolerance:
            point, estimates = validate(kernel, flights, policy, k + 1, missed, started)
            curve.append(point)
            rank = point.survived, -math.inf if math.isnan(point.score) else -point.score
            if best is None or rank > best[0]:
                best = rank, TrainResult(policy, *estimates, (), 0, 0.0, 0.0)
        if progress is not None:
            progress(k + 1, len(tried), curve[-1].survived if curve else math.nan)
    if best is None:
        raise TinyctlError(f"no modes passed: the best lift's miss {least:.1%} of data they were not fitted to",
                           where=f"plant {plant.name}", fix="a higher degree or tolerance, fewer periods")  # fmt: skip
    return replace(best[1], curve=tuple(curve), env_steps=len(tried) * config.pairs, iterations=len(tried),
                   seconds=time.perf_counter() - started, cpu_seconds=cpu_time() - cpu_started)  # fmt: skip


def policy_by(
    task: Task, model: Model, gain: Gain, degree: int, data: tuple[Array, Array, Array]
) -> tuple[Policy | None, float]:
    """The policy of one lift, monomials up to `degree`, from data as of `excite`; and the largest residual of its
    modes, 1 where it does not have them or they cannot be held."""
    front, rest = front_layers(task), gain.rest
    width = front[-1][1].n_out
    layer, _ = layer_of(up_to(width, degree), width)
    assert layer is not None, "the degree is at least 2"

    def lift(x: Array) -> Array:
        return layer.exact(np.array(model.observe(x.T)).T / np.array(task.typical)) - zero

    zero = np.zeros(layer.n_out)
    zero = lift(rest.x[None])[0]
    x, u, after = data
    modes = decompose(lift(x), u - rest.u, lift(after), np.linalg.eigvals(gain.a))
    if modes is None:
        return None, 1.0
    by_state = (lift(rest.x + NUDGE * np.eye(model.nx)) - lift(rest.x - NUDGE * np.eye(model.nx))) / (2 * NUDGE)
    try:
        k = regulate(modes, np.linalg.inv(modes.onto @ by_state.T), weights_at(model, rest)) @ modes.onto
    except np.linalg.LinAlgError:  # modes that do not show the state, or that no input holds
        return None, 1.0
    dense = [torch.from_numpy((-k).astype(F32)), torch.from_numpy((rest.u + k @ zero).astype(F32)[:, None])]
    return policy_of(task, [*front, ("monomials", layer)], dense), float(modes.residuals.max())


def regulate(modes: Modes, shows: Array, weights: Weights) -> Array:
    """The gain (inputs, modes) of the regulator of modes that show the states near the rest by `shows` (nx, modes)."""
    a, b, q, r, s = modes.a, modes.b, shows.T @ weights.q @ shows, weights.r, shows.T @ weights.s
    p = solve_discrete_are(a, b, q, r, s=s)
    return np.asarray(np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a + s.T))


def excite(model: Model, rest: Rest, periods: int, pairs: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """States (pairs, nx), inputs (pairs, nu) and the states after a control period, float64: drawn from the inputs' box
    and from the box of the states that inputs reach from the rest in `periods`."""
    low, high = model.box()
    x, reach = np.tile(rest.x, (FLIGHTS, 1)), np.zeros(model.nx)
    for k in range(periods):
        if k % HELD == 0:
            u = rng.uniform(low, high, (FLIGHTS, model.nu))
        x = np.array(model.step(x.T, u.T)).T
        reach = np.maximum(reach, np.abs(x - rest.x).max(axis=0))
    x, u = rest.x + rng.uniform(-reach, reach, (pairs, model.nx)), rng.uniform(low, high, (pairs, model.nu))
    return x, u, np.array(model.step(x.T, u.T)).T
