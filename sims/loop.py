"""The closed loop of a plant and any controller, with the delay of its computation.

What an episode draws (start, disturbance, parameters, noise) comes from a generator of its own, made from the seed and
the episode's number: it depends neither on the controller nor on how many episodes are flown together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.plant import Array, Plant, Task

if TYPE_CHECKING:
    from tinyctl.specifications.flights import Watch

BATCH = 1000  # episodes flown at once: bounds the memory for noise
Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


class Controller(Protocol):
    """Anything that flies: a policy, a graph, compiled C, an emulated board, a board on a wire."""

    def reset(self, n: int) -> None:
        """Forget everything and serve `n` episodes from now on."""

    def step(self, observations: Array) -> Array:
        """Observations (n, n_obs) float32 to actions (n, n_act) float32; remembers what it returned."""


@runtime_checkable
class Expert(Protocol):
    """A controller that is given the true state, goals included, in place of observations (`sims.experts`)."""

    def reset(self, n: int) -> None:
        """Forget everything and serve `n` episodes from now on."""

    def act(self, x: Array) -> Array:
        """States (n, nx + goals) float32 to actions (n, nu) float32 within the contract's ranges."""


@dataclass(frozen=True)
class Draws:
    """All that is random in `n` episodes: start `x` (n, nx), `d` (n, nd), `p` (n, np) or (np,), `noise`
    (steps, n, n_obs), and the delay `late_s` of sensors and actuators, one number or (n,)."""

    x: Array
    d: Array
    p: Array
    noise: Array
    late_s: float | Array = 0.0


@dataclass(frozen=True)
class Estimate:
    """A mean or a fraction with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Flights:
    """What happened.

    `survived` (n,) bool; `lost_s` (n,) the time of the loss (NaN: none); `cost` (n,) the mean training cost of a
    control period until the loss; `scores` name -> (n,), each of which means something only where the episode survived.
    `times` (steps + 1,) s, `states` (steps + 1, kept, nx) and `actions` (steps, kept, nu), as computed, are those of
    the first episodes. A lost episode stays at its last state inside.
    """

    survived: Array
    lost_s: Array
    cost: Array
    scores: dict[str, Array]
    times: Array
    states: Array
    actions: Array

    def survival(self) -> Estimate:
        """The fraction of episodes that were not lost."""
        return fraction_estimate(int(self.survived.sum()), len(self.survived))

    def score(self, name: str) -> Estimate | None:
        """The mean of a score over the surviving episodes; None when there are none."""
        values = self.scores[name][self.survived]
        return mean_estimate(values) if len(values) else None


def fly(
    plant: Plant, task: Task, controller: Controller | Expert, *, episodes: int = 1000, seed: int = 0,
    delay_s: float = 0.0, variant: str | None = None, randomise: bool = False, keep: int = 8, batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None, watch: Watch | None = None,
) -> Flights:  # fmt: skip
    """Fly `episodes` of `task` with `controller`, whose action takes effect `delay_s` after the observation.

    `variant` names a parameter set of the plant; with `randomise` each episode draws its own parameters and delay, and
    all else as without. The trajectories of the first `keep` episodes are kept. A controller
    slower than a control period starts its next inference at the first period after the one before has ended.
    `progress` is told how many control periods have been flown, and of how many. `batch` episodes are flown at once,
    which changes nothing but the time: a board on a wire serves one. `watch` is shown all of them.
    """
    if episodes < 1:
        raise TinyctlError(f"{episodes} episodes cannot be flown", fix="at least one")
    kernel = compile_plant(plant, task)
    starts = range(0, episodes, batch)
    parts: list[Flights] = []
    for first in starts:
        drawn = draw(plant, task, range(first, min(first + batch, episodes)), seed, variant=variant,
                     randomise=randomise)  # fmt: skip
        done, total = len(parts) * task.episode_steps, len(starts) * task.episode_steps
        tick = partial(_tick, progress, done, total) if progress is not None else None
        kept = max(0, keep - first)
        parts.append(close_loop(kernel, drawn, controller, delay_s=delay_s, keep=kept, tick=tick, watch=watch))
    return Flights(
        survived=np.concatenate([f.survived for f in parts]),
        lost_s=np.concatenate([f.lost_s for f in parts]),
        cost=np.concatenate([f.cost for f in parts]),
        scores={s.name: np.concatenate([f.scores[s.name] for f in parts]) for s in task.scores},
        times=parts[0].times,
        states=np.concatenate([f.states for f in parts], axis=1),
        actions=np.concatenate([f.actions for f in parts], axis=1),
    )


def draw(
    plant: Plant, task: Task, episodes: Sequence[int], seed: int, *, variant: str | None = None, randomise: bool = False
) -> Draws:
    """What the episodes of these numbers draw under `seed`."""
    p = plant.nominal(variant)
    drawn_p = np.tile(np.array([*p.values()] or [0.0], np.float32), (len(episodes), 1))
    late_s = np.full(len(episodes), task.late_s)
    x = np.empty((len(episodes), len(plant.state_columns(task))), np.float32)
    d = np.empty((len(episodes), max(len(plant.disturbances), 1)), np.float32)
    noise = np.empty((task.episode_steps, len(episodes), task.contract.n_obs), np.float32)
    for row, number in enumerate(episodes):
        rng = np.random.default_rng([seed, number])
        x[row], d[row] = (drawn[0] for drawn in draw_start(plant, task, rng, p))
        noise[:, row] = rng.standard_normal(noise[:, row].shape, np.float32)
        if randomise:
            changed, late = plant.randomise(task, np.random.default_rng([seed, number, 1]), 1, p)
            drawn_p[row, : len(p)], late_s[row] = changed[0], late[0]
    noise *= np.array(task.noise, np.float32)
    return Draws(x, d, drawn_p, noise, late_s) if randomise else Draws(x, d, drawn_p[0], noise, task.late_s)


def draw_start(plant: Plant, task: Task, rng: np.random.Generator, p: Mapping[str, float]) -> tuple[Array, Array]:
    """Start (1, nx) and disturbance (1, nd) of one episode; one zero stands for no disturbance at all."""
    x = task.initial(rng, 1, p)
    return x, task.disturb(rng, 1, p) if plant.disturbances else np.zeros((1, 1), np.float32)


def close_loop(
    kernel: Kernel, drawn: Draws, controller: Controller | Expert, *, delay_s: float = 0.0, keep: int = 8,
    tick: Callable[[int], None] | None = None, watch: Watch | None = None,
) -> Flights:  # fmt: skip
    """Fly the drawn episodes together; `tick` is told each control period that was flown.

    Raises `TinyctlError` for actions of a wrong shape or a delay below zero.
    """
    task, period = kernel.task, kernel.task.period_s
    steps, n = len(drawn.noise), len(drawn.x)
    stride = periods_between(delay_s, period)
    missed, rest = split_delay(delay_s + drawn.late_s, period)
    tail = [steps - round(s.last_s / period) for s in task.scores]
    rms = np.array([s.rms for s in task.scores], bool)
    x, alive, lost_s = drawn.x.copy(), np.ones(n, bool), np.full(n, np.nan)
    sums, spent, flown = np.zeros((n, len(task.scores))), np.zeros(n), np.zeros(n)
    states, actions = [x[:keep]], []
    said = [np.tile(np.array(task.contract.initial_applied(), np.float32), (n, 1))] * (int(np.max(missed)) + 2)
    controller.reset(n)
    for k in range(steps):
        fresh = k % stride == 0  # else the controller is still busy, and what it said last holds
        said = [_action(controller, kernel, x, drawn.noise[k]) if fresh else said[0], *said[:-1]]
        before, applied = _late(said, missed + 1), _late(said, missed)
        if watch is not None:
            watch.see(kernel, x, applied)
        if np.any(rest) and before is not applied:
            moved = kernel.step(x, before, drawn.p, drawn.d, rest)
            moved = kernel.step(moved, applied, drawn.p, drawn.d, period - rest)
        else:
            moved = kernel.step(x, applied, drawn.p, drawn.d, period)
        margin = kernel.margin(moved)
        inside = margin > 0  # false for NaN too
        lost_s[alive & ~inside] = (k + 1) * period
        if watch is not None:
            watch.lose(alive & ~inside, margin)
        spent += np.where(alive, kernel.cost(moved, applied, before), 0.0)
        flown += alive
        alive &= inside
        x = np.where(alive[:, None], moved, x)
        if task.scores:
            scored = kernel.score(x)
            sums += np.where(rms, scored * scored, scored) * [k >= start for start in tail]
        states.append(x[:keep])
        actions.append(applied[:keep])
        if tick is not None:
            tick(k + 1)
    if watch is not None:
        watch.see(kernel, x, applied)
        watch.end()
    means = sums / [steps - start for start in tail] if task.scores else sums
    means = np.where(rms, np.sqrt(means), means)
    return Flights(
        alive, lost_s, spent / flown, {s.name: means[:, i] for i, s in enumerate(task.scores)},
        np.arange(steps + 1) * period, np.stack(states), np.stack(actions),
    )  # fmt: skip


def _tick(progress: Callable[[int, int], None], before: int, total: int, periods: int) -> None:
    progress(before + periods, total)


def split_delay(delay_s: float | Array, period_s: float) -> tuple[Any, Any]:
    """(whole control periods, the rest in s) of a delay, or of delays (n,) as (n,) int and (n, 1) float32."""
    if not (np.all(np.isfinite(delay_s)) and np.all(np.asarray(delay_s) >= 0)):
        raise TinyctlError(f"a delay of {delay_s} s is not possible")
    periods = np.round(np.asarray(delay_s) / period_s, 9)  # one of exactly a period must not depend on the last bit
    missed = np.floor(periods).astype(int)
    rest = (periods - missed) * period_s
    return (int(missed), float(rest)) if missed.ndim == 0 else (missed, rest.astype(np.float32)[:, None])


def periods_between(delay_s: float, period_s: float) -> int:
    """Control periods from one inference to the next."""
    busy, more = split_delay(delay_s, period_s)
    return max(1, int(busy) + (more > 0))


def _late(said: Sequence[Array], missed: int | Array) -> Array:
    """What was said so many periods ago, (n, nu), in each episode."""
    return said[missed] if isinstance(missed, int) else np.stack(said)[missed, np.arange(len(missed))]


def fraction_estimate(hits: int, n: int) -> Estimate:
    """Wilson's score interval of a fraction (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    f, zz = hits / n, Z95 * Z95
    centre = (f + zz / (2 * n)) / (1 + zz / n)
    half = Z95 / (1 + zz / n) * math.sqrt(f * (1 - f) / n + zz / (4 * n * n))
    return Estimate(f, max(0.0, centre - half), min(1.0, centre + half))


def mean_estimate(values: Array) -> Estimate:
    """Student's interval of a mean; a single value has no finite one. The quantile is the expansion of Abramowitz and
    Stegun, 26.7.5, within 0.2 % from five degrees of freedom on."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Estimate(mean, -math.inf, math.inf)
    z, v = Z95, n - 1
    t = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    half = t * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half)


def _action(controller: Controller | Expert, kernel: Kernel, x: Array, noise: Array) -> Array:
    said = controller.act(x) if isinstance(controller, Expert) else controller.step(kernel.observe(x) + noise)
    action, shape = np.asarray(said, np.float32), (len(x), kernel.task.contract.n_act)
    if action.shape != shape:
        raise TinyctlError(f"the controller returned {action.shape}, not {shape}")
    return action.copy()
