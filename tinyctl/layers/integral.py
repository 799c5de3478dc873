"""The clamped time integral of some columns: a controller's memory of a steady error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.contract import MIN_RATE_HZ
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, StatefulLayer, StateSlot, array_field, check_columns, rounding


@dataclass(frozen=True, eq=False)
class Integral(StatefulLayer):
    """Appends to its input the integrals of `columns`: `s = clamp(s + x / rate_hz, -limit, limit)`.

    The clamp is the anti-windup: an error that lasts cannot push the state beyond `limit` (columns,), in the column's
    unit times seconds, so it returns as fast as it came. A reset sets the state to zero.
    """

    kind: ClassVar[str] = "integral"

    width: int
    columns: tuple[int, ...]
    limit: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, self.width, "integral")
        if self.limit.shape != (len(self.columns),) or not (self.limit > 0).all():
            raise TinyctlError(f"limit is not {len(self.columns)} positive numbers", where="integral")

    @property
    def n_in(self) -> int:
        return self.width

    @property
    def n_out(self) -> int:
        return self.width + len(self.columns)

    def period(self, rate_hz: float) -> np.float32:
        return F32(1.0 / rate_hz)

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("s", np.zeros(len(self.columns), F32)),)

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        (s,) = state
        moved = s + self.period(rate_hz) * x[:, self.columns]
        moved = np.where(moved < -self.limit, -self.limit, np.where(moved > self.limit, self.limit, moved))
        s = np.where(rejected[:, None], s, moved)
        return np.concatenate([x, s], axis=1), (s,)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        limit = self.limit.astype(np.float64)
        columns = list(self.columns)
        step = np.maximum(np.abs(low[columns]), np.abs(high[columns])) / MIN_RATE_HZ
        limit = np.where(np.isfinite(rounding(limit + step, 2)), limit, np.inf)  # before the clamp
        return np.concatenate([low, -limit]), np.concatenate([high, limit])

    def lipschitz(self) -> float:
        return math.inf  # as a map of the whole sequence; one step moves by at most 1 / rate_hz
