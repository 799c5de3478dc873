"""Whether intervals cover what they claim: 1000 repeats of an experiment whose truth is known, for each number of runs;
how often sequential tests err, and after how many runs they end; and what the float policy as control variate makes of
the failure rate of its quantized graphs in gusts.
Run by `make bench-evidence`; exits 1 when 30 runs and more are not covered within 93 to 97 %, when more than 7 % of the
sequential tests of equal controllers call any of them different (5 % is promised), or when the estimate with a control
variate is biased or its interval covers less than 93 %. By how much it cuts the variance is told.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tinyctl import api
from tinyctl.adastop import Plan, decide
from tinyctl.failures import failed
from tinyctl.sims.control_variate import FailureRate, failure_rate
from tinyctl.statistics import FEW_RUNS, Array, bootstrap, iqm

REPEATS, RUNS = 1000, (5, 10, 30, 50)
DRAWN = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.lognormal(0.0, 0.5, shape),
}
FLOWN, EPISODES, TWIN_EPISODES = 60_000, 2000, 50_000  # in all, and of one estimate
FORMATS = ("w16a16", "w8a16", "w8a8")


def main() -> int:
    """Print the tables."""
    missed = [intervals(), sequential(), gusts()]
    return int(any(missed))


def intervals() -> bool:
    """One row a number of runs and kind of score; whether a bar was missed."""
    shown, missed = Table("runs", "scores", "covered, %", "claimed"), False
    for kind, draw in DRAWN.items():
        truth = iqm(draw(np.random.default_rng(0), (1_000_000, 1)))
        for runs in RUNS:
            repeats = track(range(REPEATS), f"{kind}, {runs} runs", console=Console(stderr=True))
            covered = np.mean([covers(draw(np.random.default_rng([runs, k]), (runs, 1)), truth, k) for k in repeats])
            narrow = runs < FEW_RUNS
            missed |= not narrow and not 0.93 <= covered <= 0.97
            shown.add_row(str(runs), kind, f"{100 * covered:.1f}", "too narrow, and said so" if narrow else "93 to 97")
    Console().print(shown)
    return missed


def sequential() -> bool:
    """One row a distance between the best of three controllers and the other two, which are equal; whether a bar was
    missed. The fixed number of runs is that of all rounds."""
    shown, missed = (
        Table("distance, sd", "best found, %", "equal ones told apart, %", "runs of the best", "at most"),
        False,
    )
    for distance in (0.0, 1.0, 2.0, 4.0):
        best, wrong, runs = 0, 0, 0
        for repeat in track(range(REPEATS), f"sequential, {distance:g}", console=Console(stderr=True)):
            plan = Plan(permutations=2000, seed=repeat)
            scores = np.random.default_rng([7, repeat]).normal(size=(3, plan.runs * plan.rounds))
            scores[0] += distance
            rounds = next(k for k in range(1, plan.rounds + 1) if _known(scores[:, : k * plan.runs], plan))
            signs = decide(list(scores), plan).signs
            best += signs[0, 1] == signs[0, 2] == 1
            wrong += bool(signs[1, 2]) or (distance == 0 and any(signs.values()))
            runs += rounds * plan.runs
        missed |= wrong > 0.07 * REPEATS
        shown.add_row(
            f"{distance:g}", f"{100 * best / REPEATS:.1f}", f"{100 * wrong / REPEATS:.1f}",
            f"{runs / REPEATS:.1f}", str(plan.runs * plan.rounds),
        )  # fmt: skip
    Console().print(shown)
    return missed


def _known(scores: Array, plan: Plan) -> bool:
    """Whether the first controller needs no more runs."""
    signs = decide(list(scores), plan).signs
    return (0, 1) in signs and (0, 2) in signs


def gusts() -> bool:
    """One row a format, over samples of `EPISODES` flights of both and `TWIN_EPISODES` of the twin, drawn again and
    again from `FLOWN` of each; whether a bar was missed."""
    policy = api.train("quadrotor").policy
    twin = _failed(policy)
    shown, missed = (
        Table("format", "failures, %", "plain error", "error", "variance cut by", "covered, %", "bias, s.e."),
        False,
    )
    for name in FORMATS:
        own = _failed(api.quantize(policy, name, plant_name="quadrotor")[0])
        truth, found = own.mean(), [_sampled(own, twin, k) for k in range(REPEATS)]
        plain, value = (np.array([getattr(r, kind).value for r in found]) for kind in ("plain", "controlled"))
        covered = np.mean([r.controlled.low <= truth <= r.controlled.high for r in found])
        bias = (value.mean() - truth) / (value.std() / REPEATS**0.5)
        missed |= bool(covered < 0.93 or abs(bias) > 4)
        shown.add_row(
            name, f"{100 * truth:.3f}", f"{100 * plain.std():.4f}", f"{100 * value.std():.4f}",
            f"{plain.var() / value.var():.1f}", f"{100 * covered:.1f}", f"{bias:+.1f}",
        )  # fmt: skip
    Console().print(shown)
    return missed


def _failed(source: object) -> Array:
    return failed(api.fly(source, "quadrotor", "gusts", on="c", episodes=FLOWN))  # type: ignore[arg-type]


def _sampled(own: Array, twin: Array, seed: int) -> FailureRate:
    rng = np.random.default_rng(seed)
    both, more = rng.integers(0, FLOWN, EPISODES), rng.integers(0, FLOWN, TWIN_EPISODES)
    return failure_rate(own[both], twin[both], twin[more])


def covers(scores: Array, truth: float, seed: int) -> bool:
    interval = bootstrap(iqm, scores, seed=seed, resamples=1000)
    return interval.low <= truth <= interval.high


if __name__ == "__main__":
    sys.exit(main())
