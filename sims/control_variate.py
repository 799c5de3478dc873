"""How often a controller fails, from few of its flights and many of a cheaper twin's: control variates for failures.

Most failures of a quantized policy are those of the float policy it came from, in the same starts, gusts and noise. Of
n flights of both, and N more of the twin alone, the estimate is mean(f - b c) + b E[c], where f and c are 1 where the
controller and the twin fail, and E[c] comes from the N flights (regression estimator of double sampling, Cochran,
*Sampling Techniques*, 12.6). Each half of the flights uses the coefficient b of the other, so the estimate is unbiased
however few failures there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.sims.loop import Estimate, fraction_estimate
from tinyctl.statistics import Array


@dataclass(frozen=True)
class FailureRate:
    """`plain`: from the controller's flights alone; `controlled`: with the twin's. `coefficient` is b, the mean of both
    halves'; `reduction` the factor by which the twin cut the variance, None where nothing failed; `disagreed` in how
    many common flights just one of the two failed, out of `failed` in which any did. `controlled` may come out a little
    below zero: the price of having no bias."""

    plain: Estimate
    controlled: Estimate
    twin: Estimate
    coefficient: float
    reduction: float | None
    failed: int
    disagreed: int


def failure_rate(failed: Array, twin_failed: Array, more: Array) -> FailureRate:
    """From `failed` and `twin_failed`, (n,) bool of the same flights, and `more`, (N,) bool of others by the twin."""
    if len(failed) != len(twin_failed) or len(failed) < 4 or len(more) < len(failed):
        raise TinyctlError("too few flights", fix="at least 4 in common, and more of the twin's alone")
    f, c, n = failed.astype(float), twin_failed.astype(float), len(failed)
    halves = np.arange(n) % 2 == 0
    twin = fraction_estimate(int(more.sum()), len(more))
    twin_variance = _variance(twin, len(more))
    shrunk = 1 / (1 + n / len(more))  # E[c] is itself an estimate
    values, variances, coefficients = [], [], []
    for half in (halves, ~halves):
        b = shrunk * _coefficient(f[~half], c[~half])
        values.append((f - b * c)[half].mean() + b * twin.value)
        variances.append((f - b * c)[half].var(ddof=1) / n + b * b * twin_variance)
        coefficients.append(b)
    value, variance, b = (float(np.mean(v)) for v in (values, variances, coefficients))
    plain = fraction_estimate(int(failed.sum()), n)
    low, high = _interval(value, failed, twin_failed, twin)
    reduction = _variance(plain, n) / variance if plain.value and variance else None
    return FailureRate(
        plain, Estimate(value, low, high), twin, b, reduction,
        int((failed | twin_failed).sum()), int((failed != twin_failed).sum()),
    )  # fmt: skip


def _coefficient(f: Array, c: Array) -> float:
    """The slope of f over c; 1, that of a twin which fails alike, where c never or always fails."""
    variance = float(c.var())
    return float(((f - f.mean()) * (c - c.mean())).mean()) / variance if variance else 1.0


def _variance(fraction: Estimate, n: int) -> float:
    return fraction.value * (1 - fraction.value) / n


def _interval(value: float, failed: Array, twin_failed: Array, twin: Estimate) -> tuple[float, float]:
    """The rate is P(f|c) E[c] + P(f|not c) (1 - E[c]), whose three fractions have Wilson intervals. How far the sum may
    be off is the root of the sum of the squares of how far each part may be (Zou and Donner 2008, Stat. Med. 27).

    Unlike the normal interval this one stays honest where something was never seen: what the controller did not do
    alone in n flights may still happen 4 times in n.
    """
    unseen = Estimate(1.0, 0.0, 1.0)
    alike, alone = (
        fraction_estimate(int(failed[where].sum()), int(where.sum())) if where.any() else unseen
        for where in (twin_failed, ~twin_failed)
    )
    difference = alike.value - alone.value
    parts = [
        (twin.value, alike),
        (1 - twin.value, alone),
        (abs(difference), twin if difference >= 0 else _mirrored(twin)),
    ]
    down = math.hypot(*(weight * (part.value - part.low) for weight, part in parts))
    up = math.hypot(*(weight * (part.high - part.value) for weight, part in parts))
    return max(0.0, value - down), min(1.0, value + up)


def _mirrored(part: Estimate) -> Estimate:
    return Estimate(1 - part.value, 1 - part.high, 1 - part.low)
