"""Figures of merit of many runs, and how sure they are.

Scores are (runs, tasks), larger is better. Definitions: Agarwal et al., Deep Reinforcement Learning at the Edge of the
Statistical Precipice, 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyctl.errors import TinyctlError

Array = NDArray[Any]
LEVEL = 0.95
FEW_RUNS = 30
LEAST_RUNS = 5  # of a ranking
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % confidence interval, and whether that is too narrow for so few runs."""

    value: float
    low: float
    high: float
    narrow: bool


def iqm(scores: Array) -> float:
    """The interquartile mean: of all runs and tasks, without the lowest and the highest quarter."""
    ordered = np.sort(scores, axis=None)
    cut = int(0.25 * ordered.size)
    return float(ordered[cut : ordered.size - cut].mean())


def optimality_gap(scores: Array, target: float) -> float:
    """By how much runs fall short of `target` on average; what is beyond it makes good for nothing."""
    return float(target - np.minimum(scores, target).mean())


def probability_of_improvement(x: Array, y: Array) -> float:
    """That a run of x is better than one of y, a tie counting half, on average over tasks (the Mann-Whitney statistic
    over the number of pairs)."""
    return float(((x[:, None] > y).mean() + (x[:, None] >= y).mean()) / 2)


def performance_profile(scores: Array, thresholds: Array) -> Array:
    """The share of runs above each threshold."""
    return np.array([(scores > t).mean() for t in thresholds])


def bootstrap(figure: Callable[..., float], *groups: Array, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The 95 % percentile interval of `figure(*groups)` by a bootstrap stratified by task: the runs of each task are
    drawn again with replacement, by themselves. Below `FEW_RUNS` it is too narrow (it covers about 0.9 at five runs,
    and BCa intervals of an interquartile mean were no better): `narrow` says so."""
    rng = np.random.default_rng(seed)
    drawn = [figure(*(_resampled(g, rng) for g in groups)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(figure(*groups), float(low), float(high), min(len(g) for g in groups) < FEW_RUNS)


def _resampled(scores: Array, rng: np.random.Generator) -> Array:
    return np.take_along_axis(scores, rng.integers(0, len(scores), scores.shape), axis=0)


def check_runs(names: list[str], groups: list[Array]) -> None:
    """Raise `TinyctlError` unless there are enough runs to rank by."""
    for name, group in zip(names, groups, strict=True):
        if len(group) < LEAST_RUNS:
            raise TinyctlError(
                f"{len(group)} runs cannot be ranked", where=name, fix=f"give at least {LEAST_RUNS}, of different seeds"
            )
        if group.shape[1] != groups[0].shape[1]:
            raise TinyctlError(f"{group.shape[1]} tasks, the others have {groups[0].shape[1]}", where=name)
