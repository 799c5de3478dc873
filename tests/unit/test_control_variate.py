"""Failure rates with a control variate: unbiased, honest, and better than flights alone where the twin fails alike."""

from __future__ import annotations

import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.sims.control_variate import FailureRate, failure_rate

REPEATS = 400


def _repeats(together: float, alone: float, n: int = 500, more: int = 10_000) -> tuple[float, list[FailureRate]]:
    """The true rate, and estimates: both fail with probability `together`, and each by itself with `alone`."""
    rng, found = np.random.default_rng(0), []
    for _ in range(REPEATS):
        both, own, twin = (rng.random(n) < p for p in (together, alone, alone))
        union = 1 - (1 - together) * (1 - alone)
        found.append(failure_rate(both | own, both | twin, rng.random(more) < union))
    return union, found


@pytest.mark.parametrize(("together", "alone"), [(0.01, 0.0), (0.01, 0.002), (0.002, 0.01), (0.001, 0.0)])
def test_unbiased_and_honest(together: float, alone: float) -> None:
    """Also where there is one failure in two samples, and no coefficient can be told."""
    truth, found = _repeats(together, alone)
    values = np.array([r.controlled.value for r in found])
    assert abs(values.mean() - truth) < 4 * values.std() / REPEATS**0.5
    assert np.mean([r.controlled.low <= truth <= r.controlled.high for r in found]) > 0.93
    assert values.std() < 1.1 * np.std([r.plain.value for r in found])


def test_the_reduction_is_what_was_reached() -> None:
    _, found = _repeats(0.02, 0.001, 1000)
    reached = np.var([r.plain.value for r in found]) / np.var([r.controlled.value for r in found])
    told = np.median([r.reduction for r in found])
    assert reached > 4
    assert 0.6 < told / reached < 1.6


def test_nothing_failed_is_no_certainty() -> None:
    none = np.zeros(1000, bool)
    rate = failure_rate(none, none, np.zeros(5000, bool))
    assert (rate.controlled.value, rate.reduction, rate.disagreed) == (0.0, None, 0)
    assert rate.controlled.high > 3 / 1000
    with pytest.raises(TinyctlError, match="too few flights"):
        failure_rate(none, none, none[:10])
