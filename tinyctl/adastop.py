"""A comparison that stops as soon as the answer is clear: a group-sequential permutation test of all pairs at once.

Mathieu et al., *AdaStop: adaptive statistical testing for sound comparisons of Deep RL agents*, arXiv 2306.10882. After
each round of runs the statistic of a pair is the sum over rounds of its differences of means, and its null distribution
that of the same sum with the runs of the two exchanged at random within each round, given that the test had not stopped
before. The chance that any pair of equal controllers is called different is at most `level`; which of two different
ones is the better is read off the sign, and the error of that is not controlled.

The paper's statistic is the absolute difference. Its package (0.1.3) takes the quantiles of the signed one and so
errs twice as often as it is asked to; here they are of the absolute one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.statistics import LEAST_RUNS, Array

ROUNDING = 1e-12  # sums of the same runs in another order are no difference


@dataclass(frozen=True)
class Plan:
    """`runs` of each controller a round, at most `rounds` of these, the family-wise error `level`, and how many
    `permutations` are drawn from `seed` where there are more of them in all."""

    runs: int = LEAST_RUNS
    rounds: int = 5
    level: float = 0.05
    permutations: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < 2 or self.rounds < 1 or self.permutations < 100 or not 0 < self.level < 0.5:
            raise TinyctlError(
                "no such sequential test", fix="2 runs a round, 1 round, 100 permutations, a level between 0 and 0.5"
            )


@dataclass(frozen=True)
class State:
    """After `rounds` rounds: `signs` of the pairs (i, j) that were decided, +1 where i is larger, -1 where j is and 0
    for no difference found in all rounds; `statistics` of each pair when it was looked at last; and the `bounds` that
    they had to exceed, one a round."""

    rounds: int
    signs: dict[tuple[int, int], int]
    statistics: dict[tuple[int, int], float]
    bounds: tuple[float, ...]

    def open(self) -> list[tuple[int, int]]:
        """The pairs that need more runs."""
        return [pair for pair in self.statistics if pair not in self.signs]


def decide(scores: Sequence[Array], plan: Plan) -> State:
    """Play the test on the runs (runs,) of each controller, in the order they were made, as far as they go."""
    exact = math.comb(2 * plan.runs, plan.runs) ** plan.rounds <= plan.permutations
    rng = np.random.default_rng(plan.seed)
    pairs = list(combinations(range(len(scores)), 2))
    state = State(0, {}, dict.fromkeys(pairs, 0.0), ())
    sums, spent, total = np.zeros((1 if exact else plan.permutations, len(pairs))), 0.0, 1
    for k in range(plan.rounds):
        left = state.open()
        blocks = [s[k * plan.runs : (k + 1) * plan.runs] for s in scores]
        if not left or any(len(blocks[i]) < plan.runs for pair in left for i in pair):
            break
        pooled = np.stack([np.concatenate([blocks[i], blocks[j]]) for i, j in left], axis=1)
        if exact:
            weights = _all_exchanges(plan.runs)
            sums = (sums + (weights @ pooled)[:, None]).reshape(-1, len(left))
            total *= len(weights)
        else:
            sums = sums + _some_exchanges(plan.runs, len(sums), rng) @ pooled
            total = plan.permutations
        signs, bound, cost = _step_down(sums, total, plan.level * (k + 1) / plan.rounds - spent)
        spent += cost
        decided = {pair: sign for pair, sign in zip(left, signs, strict=True) if sign or k == plan.rounds - 1}
        observed = dict(zip(left, map(float, np.abs(sums[0])), strict=True))
        state = State(k + 1, state.signs | decided, state.statistics | observed, (*state.bounds, bound))
        sums = sums[:, [not sign for sign in signs]]
        sums = sums[np.abs(sums).max(axis=1, initial=0) <= bound * (1 + ROUNDING)]  # the others had stopped by now
    return state


def _step_down(sums: Array, total: int, level: float) -> tuple[list[int], float, float]:
    """The signs of the pairs (columns) whose sum, in the first row, is beyond the bound for all pairs not yet rejected;
    the last bound, and the share of all exchanges beyond it, at most `level`."""
    signs, bound, beyond = [0] * sums.shape[1], math.inf, 0.0
    while left := [column for column, sign in enumerate(signs) if not sign]:
        largest = np.sort(np.abs(sums[:, left]).max(axis=1))
        above = min(math.floor(level * total * (1 + ROUNDING)), len(largest) - 1)
        bound, beyond = float(largest[-1 - above]), above / total
        column = max(left, key=lambda c: abs(sums[0, c]))
        if abs(sums[0, column]) <= bound * (1 + ROUNDING):
            break
        signs[column] = 1 if sums[0, column] > 0 else -1
    return signs, bound, beyond


def _all_exchanges(runs: int) -> Array:
    """(exchanges, 2 runs): every way to take `runs` of two times as many, as weights of a difference of means; the
    first row leaves them as they are."""
    rows = [np.isin(np.arange(2 * runs), chosen) for chosen in combinations(range(2 * runs), runs)]
    return np.where(rows, 1.0, -1.0) / runs


def _some_exchanges(runs: int, n: int, rng: np.random.Generator) -> Array:
    """Likewise (n, 2 runs), drawn after the first row."""
    rows = np.tile(np.repeat([1.0, -1.0], runs) / runs, (n, 1))
    rows[1:] = rng.permuted(rows[1:], axis=1)
    return rows
