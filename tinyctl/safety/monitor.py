"""The monitor: a tiny classifier of "this closed loop is about to fail", taught on mined flights.

The states from which a flight reaches a failure within the horizon are those of the reachability monitor of
arXiv:2410.21736, found backward from mined failures. It is a logistic regression on leaky means of a few observation
columns and squares, few enough to be computed at every step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyctl.layers.base import Array
from tinyctl.safety.guard import SCORE, Monitor, groups_of
from tinyctl.safety.mining import Mined
from tinyctl.sims.plant import Task

RATE_S = 0.15  # the time constant of the leaky means
VALUES = 4  # that the monitor reads
IN_TIME_S = 0.3  # an alarm less long before the failure comes too late
STRIDE = 5  # of the steps that are taught
LEAST = 10  # samples of failing flights
SAMPLES = 2000  # of each class, on which the columns are chosen
NEWTON = 12
RIDGE = 1e-3


def fit_monitor(
    mined: dict[str, Mined], task: Task, horizon_s: float, false_alarms: float, false_negatives: float
) -> tuple[Monitor, float]:
    """The monitor, and the share of failing flights without an alarm in time.

    Where hardly anything fails there is nothing to learn: the monitor reads nothing then, and is silent.

    Half of the mined flights teach it. The threshold is the conformal quantile of the highest scores, in time, of the
    failing flights among the others, at the budget of false negatives; where that would interfere with more than the
    allowed share of the flights inside the trained range, it is that of these.
    """
    from tinyctl.safety.making import conformal

    rate_hz = task.contract.rate_hz
    rate = float(np.float32(1 - np.exp(-1 / (RATE_S * rate_hz))))
    rest = np.array([[s.on_nan for s in task.contract.inputs[: task.contract.n_obs]]])
    means = {name: leaky(m.observations, rest, rate) for name, m in mined.items()}
    x, y = [], []
    for name, m in mined.items():
        half = len(m.lost) // 2
        left = (m.lost - np.arange(len(m.observations))[:, None])[::STRIDE, :half]
        sample, failing = means[name][::STRIDE, :half], (left > 0) & (left <= horizon_s * rate_hz)
        x.append(sample[failing])
        y.append(np.ones(int(failing.sum())))
        if name == "inside":
            calm = np.isinf(left)
            x.append(sample[calm])
            y.append(np.zeros(int(calm.sum())))
    features, labels = np.concatenate(x), np.concatenate(y)
    if labels.sum() < LEAST:
        return silent(task.contract.n_obs), 0.0
    size = features.std(axis=0) + 1e-9
    every = np.concatenate([np.arange(first + count - task.judged.get(name, count), first + count)
                            for name, first, count in groups_of(task.contract)])  # fmt: skip
    chosen = choose(features / size, labels, [*every, *(every + task.contract.n_obs)])
    weights, _ = logistic(features[:, chosen] / size[chosen], labels)
    scaled = tuple(float(w) for w in weights[:-1] / size[chosen])
    monitor = Monitor(task.contract.n_obs, tuple(chosen), scaled, float(weights[-1]), rate, 0.0)
    quiet, lows = np.zeros(0), np.zeros(0)
    for name, m in mined.items():
        half = len(m.lost) // 2
        score = np.clip(means[name][:, half:][:, :, chosen] @ np.array(scaled) + monitor.bias, -SCORE, SCORE)
        end = m.lost[half:] - IN_TIME_S * rate_hz
        score[np.arange(len(score))[:, None] >= end] = -SCORE
        crashes = np.isfinite(end)
        lows = np.concatenate([lows, score.max(axis=0)[crashes]])
        if name == "inside":
            quiet = score.max(axis=0)[~crashes]
    wanted = -conformal(-lows, false_negatives) if len(lows) else SCORE
    threshold = float(np.float32(max(wanted, conformal(quiet, false_alarms))))
    return replace(monitor, threshold=threshold), float((lows <= threshold).mean()) if len(lows) else 0.0


def silent(n_obs: int) -> Monitor:
    """One that never raises an alarm."""
    return Monitor(n_obs, (), (), -1.0, 1.0, 0.0)


def choose(x: Array, y: Array, among: list[int]) -> list[int]:
    """The columns of (samples, columns) that tell most, one after the other: each the one that helps those before."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == side), min(int((y == side).sum()), SAMPLES), replace=False)
                           for side in (0, 1)])  # fmt: skip
    x, y, chosen = x[rows], y[rows], list[int]()
    for _ in range(VALUES):
        others = [int(c) for c in among if c not in chosen]
        chosen.append(min(others, key=lambda c: logistic(x[:, [*chosen, c]], y)[1]))
    return chosen


def leaky(observations: Array, rest: Array, rate: float) -> Array:
    """(times, n, 2 n_obs): leaky means of observations (times, n, n_obs) and of their squares, from those of `rest`."""
    values = np.concatenate([observations, observations.astype(float) ** 2], axis=2)
    mean, found = np.hstack([rest, rest**2]), np.empty(values.shape, np.float32)
    for k, value in enumerate(values):
        mean = mean + rate * (value - mean)
        found[k] = mean
    return found


def logistic(x: Array, y: Array) -> tuple[Array, float]:
    """(columns + 1,) weights and bias of a logistic regression by Newton's method, both classes of equal weight, and
    the mean loss."""
    one = np.hstack([x, np.ones((len(x), 1))]).astype(float)
    weight = np.where(y > 0, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1))
    w = np.zeros(one.shape[1])
    for _ in range(NEWTON):
        p = 1 / (1 + np.exp(-np.clip(one @ w, -30, 30)))
        gradient = one.T @ (weight * (p - y)) + RIDGE * w
        curvature = (one * (weight * p * (1 - p))[:, None]).T @ one + RIDGE * np.eye(len(w))
        w = w - np.linalg.solve(curvature, gradient)
    margin = np.where(y > 0, one @ w, -(one @ w))
    return w, float((weight * np.logaddexp(0, -margin)).sum())
