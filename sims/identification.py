"""A plant's parameters from flight logs: nonlinear least squares over short prediction windows, with standard errors.

Every window starts from a state of its own, so that what happens between windows (gusts, a hand) does not matter.
The unknowns are the parameters, the delay of the actions and a constant disturbance an episode; measurement noise is
estimated from the residuals, column by column. What a flight cannot tell apart is found in the eigenvectors of the
information matrix, and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.recording import Episode
from tinyctl.sims.functions import step_vjp_full
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.plant import Array, Plant, Task
from tinyctl.sims.sensitivity import Unknowns, Windows, normal, predict

WINDOW_S = 1.0
SHARES = (0.1, 0.3)  # of the windows, in the fits that lead up to the last
MOST_DELAY = 8  # control periods
ITERATIONS = 40
UNSEEN = 0.1  # a direction of parameters whose relative standard error is larger is not seen
INVOLVED = 0.1  # a parameter belongs to a direction when its share is this large, relative to the largest
DRAWS = 16  # starts from which the first state of a log is sought

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Fitted:
    """One unknown: `value` and `error` (a standard error, None where given) in `unit`, and what it was before."""

    name: str
    unit: str
    value: float
    error: float | None
    nominal: float


@dataclass(frozen=True)
class Identification:
    """What a log says. `parameters` in the plant's order; `delay` in s; `noise` (column -> RMS of the residuals);
    `disturbances` (episodes, nd). `together` lists groups of parameters of which only ratios or sums are seen, each
    with the one held at its nominal value for that."""

    plant: str
    task: str
    parameters: tuple[Fitted, ...]
    delay: Fitted
    disturbances: tuple[tuple[float, ...], ...]
    noise: dict[str, float]
    together: tuple[tuple[str, ...], ...]
    weak: tuple[str, ...]
    samples: int
    windows: int

    def warnings(self) -> tuple[str, ...]:
        """What a person must know before using the figures."""
        held = [
            f"only their ratios are seen: {', '.join(group)}. {group[0]} was held at its nominal value: measure it and "
            f"give it (--fix {group[0]}=VALUE), or fly one episode with a known change "
            f"(--added EPISODE:{group[0]}=VALUE)"
            for group in self.together
        ]
        return (*held, *(f"{name} is hardly seen: excite it more, or fix it" for name in self.weak))

    def values(self) -> dict[str, float]:
        """Parameter values by name."""
        return {q.name: q.value for q in self.parameters}


def identify(
    plant: Plant, task: Task, episodes: Sequence[Episode], *, fixed: Mapping[str, float] | None = None,
    added: Mapping[int, Mapping[str, float]] | None = None, window_s: float = WINDOW_S, fit_delay: bool = True,
    progress: Progress | None = None,
) -> Identification:  # fmt: skip
    """Fit a plant's parameters to `episodes`, the observations and actions of a task at its rate.

    `fixed` parameters keep these values; those of `plant.measured` keep their nominal ones unless they are fixed.
    `added` says by how much parameters are larger in an episode (a known load). Raises `TinyctlError` for unknown
    names, a log shorter than two windows, or one the plant cannot follow.
    """
    fixed, added = dict(fixed or {}), dict(added or {})
    _check_names(plant, fixed, added, len(episodes))
    kernel = compile_plant(plant, task, [step_vjp_full(plant, task)])
    free = [q.name for q in plant.parameters if q.name not in fixed and q.name not in plant.measured and q.high > q.low]
    unknowns = unknowns_of(plant, task, free, len(episodes), fixed, added, fit_delay=fit_delay)
    sigma = np.maximum(np.array(task.noise), 1e-6)
    z, together = unknowns.start(task.contract.latency_s), []
    for share in SHARES:  # short windows forgive wrong parameters
        windows, x = _cut(kernel, unknowns, z, episodes, max(round(share * window_s / task.period_s), 2))
        z, x = _fit(kernel, unknowns, windows, x, z, sigma, progress)
    while True:
        for _ in range(2):  # the second time with the noise that the first one found
            z, x = _fit(kernel, unknowns, windows, x, z, sigma, progress)
            sigma = _noise(kernel, unknowns, windows, x, z)
        last = normal(kernel, unknowns, windows, x, z, sigma)
        covariance, groups, weak = _seen(last.information, free)
        if not groups:
            break
        together.append(groups[0])
        z = np.delete(z, free.index(groups[0][0]))
        free.remove(groups[0][0])
        unknowns = unknowns_of(plant, task, free, len(episodes), fixed, added, fit_delay=fit_delay)
        z[: len(free)] = unknowns.start(0.0)[: len(free)]
    return _result(plant, task, unknowns, windows, z, covariance, sigma, tuple(together), tuple(weak))


def unknowns_of(
    plant: Plant, task: Task, free: Sequence[str], episodes: int, fixed: Mapping[str, float],
    added: Mapping[int, Mapping[str, float]], *, fit_delay: bool = True,
) -> Unknowns:  # fmt: skip
    """The unknowns of a fit of the parameters `free`."""
    names = [q.name for q in plant.parameters]
    base = np.tile([fixed.get(q.name, q.nominal) for q in plant.parameters] or [0.0], (episodes, 1))
    extra = np.zeros_like(base)
    for number, changes in added.items():
        for name, value in changes.items():
            extra[number, names.index(name)] = value
    chosen = [plant.parameters[names.index(name)] for name in free]
    drawn = task.disturb(np.random.default_rng(0), 256, plant.nominal()) if plant.disturbances else np.zeros((1, 0))
    forces = np.maximum(drawn.astype(np.float64).std(axis=0), 1e-12)
    return Unknowns(
        base, extra, tuple(names.index(name) for name in free), tuple(q.low > 0 for q in chosen),
        np.array([q.high - q.low for q in chosen]), fit_delay, forces, task.period_s, task.contract.latency_s,
    )  # fmt: skip


def _check_names(
    plant: Plant, fixed: Mapping[str, float], added: Mapping[int, Mapping[str, float]], episodes: int
) -> None:
    known = [q.name for q in plant.parameters]
    for name, value in (*fixed.items(), *(item for changes in added.values() for item in changes.items())):
        if name not in known:
            raise TinyctlError(f"no parameter {name!r:.40}", where=f"plant {plant.name}",
                               fix=f"one of {', '.join(known)}")  # fmt: skip
        if not math.isfinite(value):
            raise TinyctlError(f"{name} = {value} is not finite")
    if outside := [number for number in added if not 0 <= number < episodes]:
        raise TinyctlError(f"there is no episode {outside[0]}", fix=f"the log has {episodes}, counted from 0")


def _cut(
    kernel: Kernel, unknowns: Unknowns, z: Array, episodes: Sequence[Episode], length: int
) -> tuple[Windows, Array]:
    """The log in windows of `length` samples, and a state at the start of each."""
    task, cut, starts = kernel.task, [], []
    first = np.tile(np.array(task.contract.initial_applied(), np.float32), (MOST_DELAY + 1, 1))
    for number, episode in enumerate(episodes):
        if not (np.isfinite(episode.obs).all() and np.isfinite(episode.act).all()):
            raise TinyctlError("the log has values that are not finite", where=f"episode {number}", fix="cut them out")
        count = len(episode.obs) // length
        if not count:
            continue
        states = _follow(kernel, unknowns, z, episode, number)
        actions = np.concatenate([first, episode.act])
        for k in range(0, count * length, length):
            cut.append((episode.obs[k : k + length], actions[k : k + MOST_DELAY + length], number))
            starts.append(states[k])
    if len(cut) < 2:
        raise TinyctlError(f"the log has less than two windows of {length} samples", fix="fly longer")
    obs, actions, numbers = zip(*cut, strict=True)
    return Windows(np.stack(obs).astype(np.float64), np.stack(actions), np.array(numbers)), np.stack(starts)


def _follow(kernel: Kernel, unknowns: Unknowns, z: Array, episode: Episode, number: int) -> Array:
    """States (samples, nx) along an episode: each the plant's step from the one before, corrected by the least change
    that explains the observation."""
    task, plant = kernel.task, kernel.plant
    p, d = (rows[number].astype(np.float32) for rows in (unknowns.values(z)[0], unknowns.values(z)[2]))
    tries = task.initial(np.random.default_rng(0), DRAWS, plant.nominal()).astype(np.float32)
    action = np.array(task.contract.initial_applied(), np.float32)
    for _ in range(12):
        tries = kernel.step(_corrected(kernel, tries, episode.obs[0]), action, p, d, 0.0)  # projected
    error = np.square((kernel.observe(tries) - episode.obs[0]) / np.maximum(task.typical, 1e-12)).sum(axis=1)
    x = tries[[int(np.argmin(np.where(np.isfinite(error), error, np.inf)))]]
    states = [x[0]]
    for t in range(len(episode.obs) - 1):
        x = kernel.step(x, action, p, d, unknowns.delay_s)
        action = episode.act[t]
        x = kernel.step(x, action, p, d, unknowns.period_s - unknowns.delay_s)
        x = _corrected(kernel, x, episode.obs[t + 1])
        states.append(x[0])
    return np.stack(states)


def _corrected(kernel: Kernel, x: Array, obs: Array) -> Array:
    n, rows = len(x), len(obs)
    eye = np.tile(np.eye(rows, dtype=np.float32), (n, 1))
    shown = kernel.observe_vjp(np.repeat(x, rows, axis=0), eye).reshape(n, rows, -1)
    change = np.linalg.pinv(shown.astype(np.float64), rcond=1e-6) @ (obs - kernel.observe(x))[:, :, None]
    return (x + change[:, :, 0]).astype(np.float32)


def _fit(
    kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array, sigma: Array, progress: Progress | None
) -> tuple[Array, Array]:
    """Levenberg and Marquardt's method on the unknowns and all starts together."""

    def chi2(x: Array, z: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float((((windows.obs - predict(kernel, unknowns, windows, x, z)) / sigma) ** 2).sum())

    damping, least = 1e-3, chi2(x, z)
    if not math.isfinite(least):
        raise TinyctlError("the plant cannot follow this log from its nominal parameters", fix="fix what you know")
    for iteration in range(ITERATIONS):
        made = normal(kernel, unknowns, windows, x, z, sigma, damping)
        size = np.diag(made.information)
        before = least
        while damping < 1e8:
            change = np.linalg.solve(made.information + np.diag(damping * size + 1e-9 * size.max()), made.gradient)
            change /= max(1.0, np.abs(change[: len(unknowns.chosen)]).max(initial=0.0))
            tried_x, tried_z = x + made.at_rest - made.by_z @ change, z + change
            if unknowns.with_delay:
                at = len(unknowns.chosen)
                tried_z[at] = min(max(tried_z[at], 0.0), MOST_DELAY - 1)
            if (now := chi2(tried_x, tried_z)) < least:
                x, z, least, damping = tried_x, tried_z, now, damping / 10
                break
            damping *= 10
        if progress is not None:
            progress(iteration + 1, ITERATIONS, f"residual {math.sqrt(least / windows.obs.size):.3g} sigma")
        if before - least < 1e-5 * before:
            break
        damping = max(damping, 1e-9)
    return z, x


def _noise(kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array) -> Array:
    """The RMS of the residuals of each column, for the degrees of freedom that the fit has used."""
    error = windows.obs - predict(kernel, unknowns, windows, x, z)
    samples = windows.obs.shape[0] * windows.obs.shape[1]
    used = (x.size + unknowns.size) / windows.obs.shape[2]
    return np.maximum(np.sqrt((error**2).sum(axis=(0, 1)) / max(samples - used, 1)), 1e-9)


def _seen(information: Array, free: Sequence[str]) -> tuple[Array, list[tuple[str, ...]], list[str]]:
    """The covariance of all unknowns, groups of parameters that cannot be told apart, and single ones hardly seen."""
    floor = np.diag(np.full(len(information), 1e-6))  # a standard error of 1000 where nothing is known
    covariance = np.linalg.inv(information + floor)
    n = len(free)
    groups: list[tuple[str, ...]] = []
    weak: list[str] = []
    values, vectors = np.linalg.eigh(covariance[:n, :n])
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        if value > UNSEEN**2:
            share = np.abs(vector)
            names = tuple(name for name, s in zip(free, share, strict=True) if s > INVOLVED * share.max())
            if len(names) > 1:
                groups.append(names)
            else:
                weak += names
    return covariance, groups, weak


def _result(
    plant: Plant, task: Task, unknowns: Unknowns, windows: Windows, z: Array, covariance: Array, sigma: Array,
    together: tuple[tuple[str, ...], ...], weak: tuple[str, ...],
) -> Identification:  # fmt: skip
    bare = replace(unknowns, extra=np.zeros_like(unknowns.extra))
    p, delay, d = bare.values(z)
    errors = np.sqrt(np.diag(covariance))
    by_column = dict(zip(unknowns.chosen, np.abs(unknowns.slopes(z)) * errors[: len(unknowns.chosen)], strict=True))
    parameters = tuple(
        Fitted(q.name, q.unit, float(p[0, i]), float(by_column[i]) if i in by_column else None, q.nominal)
        for i, q in enumerate(plant.parameters)
    )
    at = len(unknowns.chosen)
    delay_error = float(errors[at] * unknowns.period_s) if unknowns.with_delay else None
    names = [s.name for s in task.contract.inputs[: task.contract.n_obs]]
    task_name = next((name for name, t in plant.tasks.items() if t is task), "")
    return Identification(
        plant.name, task_name, parameters, Fitted("delay", "s", delay, delay_error, task.contract.latency_s),
        tuple(tuple(map(float, row)) for row in d), dict(zip(names, map(float, sigma), strict=True)), together, weak,
        windows.obs.shape[0] * windows.obs.shape[1], len(windows),
    )  # fmt: skip
