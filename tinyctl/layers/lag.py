"""A first-order filter of some columns, as motors follow their command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, StatefulLayer, StateSlot, array_field, check_columns, rounding


@dataclass(frozen=True, eq=False)
class Lag(StatefulLayer):
    """Appends to its input the filtered `columns`: `y += alpha (x - y)`, alpha = 1 - exp(-1 / (tau_s rate_hz)).

    The zero-order-hold discretisation of `tau_s dy/dt = x - y`. `initial` (columns,) is the state after a reset.
    """

    kind: ClassVar[str] = "lag"

    width: int
    columns: tuple[int, ...]
    tau_s: float
    initial: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, self.width, "lag")
        if self.initial.shape != (len(self.columns),):
            raise TinyctlError(f"{len(self.initial)} initial values for {len(self.columns)} columns", where="lag")
        if not 1e-9 <= self.tau_s <= 1e9:
            raise TinyctlError(f"time constant {self.tau_s} s is not between 1e-9 and 1e9", where="lag")

    @property
    def n_in(self) -> int:
        return self.width

    @property
    def n_out(self) -> int:
        return self.width + len(self.columns)

    def alpha(self, rate_hz: float) -> np.float32:
        return F32(-math.expm1(-1.0 / (self.tau_s * rate_hz)))

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("y", self.initial),)

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        (y,) = state
        y = np.where(rejected[:, None], y, y + self.alpha(rate_hz) * (x[:, self.columns] - y))
        return np.concatenate([x, y], axis=1), (y,)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        # A convex mixture stays between its input's extremes and its start; a step's three roundings do not add up.
        start = self.initial.astype(np.float64)
        y_low = np.minimum(low[list(self.columns)], start)
        y_high = np.maximum(high[list(self.columns)], start)
        slack = rounding(np.maximum(np.abs(y_low), np.abs(y_high)) + (y_high - y_low), 8)
        return np.concatenate([low, y_low - slack]), np.concatenate([high, y_high + slack])

    def lipschitz(self) -> float:
        return math.sqrt(2.0)  # the step map x -> (x, alpha x + ...), alpha <= 1
