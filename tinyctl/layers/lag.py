"""A first-order filter of some columns, as motors follow their command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format, high_product
from tinyctl.layers.base import (
    F32,
    AppendingLayer,
    Array,
    StateSlot,
    Twin,
    append,
    array_field,
    check_integer,
    rounding,
)


@dataclass(frozen=True, eq=False)
class Lag(AppendingLayer):
    """Appends to its input the filtered `columns`: `y += alpha (x - y)`, alpha = 1 - exp(-1 / (tau_s rate_hz)).

    The zero-order-hold discretisation of `tau_s dy/dt = x - y`. `initial` (columns,) is the state after a reset.
    """

    kind: ClassVar[str] = "lag"

    tau_s: float
    initial: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial.shape != (len(self.columns),):
            raise TinyctlError(f"{len(self.initial)} initial values for {len(self.columns)} columns", where="lag")
        if not 1e-9 <= self.tau_s <= 1e9:
            raise TinyctlError(f"time constant {self.tau_s} s is not between 1e-9 and 1e9", where="lag")

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

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return append(self.width, self.columns, float(self.alpha(rate_hz))), np.zeros(self.n_out)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        y, alpha = state[0].astype(np.float64), float(self.alpha(rate_hz))
        return np.concatenate([x, y + alpha * (x[:, self.columns] - y)], axis=1)

    def error(self, low: Array, high: Array) -> Array:
        least, most = self.bound(low, high)
        slack = rounding(np.maximum(np.abs(least), np.abs(most)) + (most - least), 8)
        return np.concatenate([np.zeros(self.width), slack[self.width :]])

    def lipschitz(self) -> float:
        return math.sqrt(2.0)  # the step map x -> (x, alpha x + ...), alpha <= 1

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        scale = scales[0][list(self.columns)]
        unit = scale / 2.0 ** fraction_bits(chosen.activation)
        limit = WHOLE - 2 ** fraction_bits(chosen.activation)
        initial = np.clip(np.floor(self.initial / unit + 0.5), -WHOLE, limit).astype(np.int32)
        layer = IntegerLag(self.width, self.columns, self.tau_s, chosen.activation, initial)
        return Twin(layer, np.concatenate([scales[0], scale]))


WHOLE = 2**29  # the state of the most negative input


def fraction_bits(activation: str) -> int:
    """By how much finer than its input the state of an integer lag is."""
    return 30 - np.iinfo(activation).bits


@dataclass(frozen=True, eq=False)
class IntegerLag(AppendingLayer):
    """The lag in integers. Its state is int32, in steps 2^14 times as fine as an int16 input's, 2^22 as an int8 one's:
    `y += round((x 2^bits - y) alpha)`, which never leaves the range of its input; the result is y rounded.

    alpha is a fraction of 2^31 (`multiplier`). `initial` (columns,) is int32.
    """

    kind: ClassVar[str] = "integer_lag"

    tau_s: float
    activation: str
    initial: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        Lag(self.width, self.columns, self.tau_s, np.zeros(len(self.initial), F32))  # the same rules
        if not ((self.initial >= -WHOLE) & (self.initial <= WHOLE - 2**self.bits)).all():
            raise TinyctlError("an initial value is beyond its input's range", where="integer_lag")

    @property
    def bits(self) -> int:
        return fraction_bits(self.activation)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    def multiplier(self, rate_hz: float) -> np.int32:
        return np.int32(min(math.floor(-math.expm1(-1.0 / (self.tau_s * rate_hz)) * 2.0**31 + 0.5), 2**31 - 1))

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("y", self.initial),)

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        (y,) = state
        apart = (x[:, self.columns].astype(np.int32) << self.bits) - y  # below 2^30
        moved = (y + high_product(2 * apart, self.multiplier(rate_hz))).astype(np.int32)
        y = np.where(rejected[:, None], y, moved)
        return np.concatenate([x, self._rounded(y).astype(x.dtype)], axis=1), (y,)

    def _rounded(self, y: Array) -> Array:
        return np.asarray((y + 2 ** (self.bits - 1)) >> self.bits)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        start, columns = self._rounded(self.initial).astype(np.float64), list(self.columns)
        least, most = np.minimum(np.floor(low[columns]), start), np.maximum(np.ceil(high[columns]), start)
        return np.concatenate([low, least]), np.concatenate([high, most])

    def lipschitz(self) -> float:
        return math.sqrt(2.0)

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return append(self.width, self.columns, self.multiplier(rate_hz) / 2.0**31), np.zeros(self.n_out)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        y = state[0] / 2.0**self.bits
        return np.concatenate([x, y + self.multiplier(rate_hz) / 2.0**31 * (x[:, self.columns] - y)], axis=1)

    def error(self, low: Array, high: Array) -> Array:
        step = 0.5 + 0.5 / 2.0**self.bits  # of the result, and of the finer state
        return np.concatenate([np.zeros(self.width), np.full(len(self.columns), step)])
