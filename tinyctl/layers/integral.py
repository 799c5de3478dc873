"""The clamped time integral of some columns: a controller's memory of a steady error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.contract import MIN_RATE_HZ
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
class Integral(AppendingLayer):
    """Appends to its input the integrals of `columns`: `s = clamp(s + x / rate_hz, -limit, limit)`.

    The clamp is the anti-windup: an error that lasts cannot push the state beyond `limit` (columns,), in the column's
    unit times seconds, so it returns as fast as it came. A reset sets the state to zero.
    """

    kind: ClassVar[str] = "integral"

    limit: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit.shape != (len(self.columns),) or not (self.limit > 0).all():
            raise TinyctlError(f"limit is not {len(self.columns)} positive numbers", where="integral")

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

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return append(self.width, self.columns, float(self.period(rate_hz))), np.zeros(self.n_out)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return np.concatenate([np.ones(self.width), np.zeros(len(self.columns))]), np.ones(self.n_out)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        moved = state[0].astype(np.float64) + float(self.period(rate_hz)) * x[:, self.columns]
        return np.concatenate([x, np.clip(moved, -self.limit, self.limit)], axis=1)

    def error(self, low: Array, high: Array) -> Array:
        columns, limit = list(self.columns), self.limit.astype(np.float64)
        step = np.maximum(np.abs(low[columns]), np.abs(high[columns])) / MIN_RATE_HZ
        # A sum beyond the limit is clamped to it, so what counts is a product that does not lead beyond twice as far.
        return np.concatenate([np.zeros(self.width), rounding(np.minimum(step, 2 * limit) + limit, 2)])

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin | None:
        bits = np.iinfo(chosen.activation).bits
        limit = self.limit.astype(np.float64)
        gain = np.floor(scales[0][list(self.columns)] / rate_hz / limit * 2.0**30 * 2.0**bits + 0.5)
        if not ((gain >= 2**8) & (gain < 2.0**31)).all():
            return None  # a limit of less than a step's integral, or of hours of the largest input
        layer = IntegerIntegral(self.width, self.columns, chosen.activation, gain.astype(np.int32))
        return Twin(layer, np.concatenate([scales[0], limit / 2.0 ** (bits - 1)]))


FULL = 2**30  # the state at the limit


@dataclass(frozen=True, eq=False)
class IntegerIntegral(AppendingLayer):
    """The integral in integers. Its state is int32, with the limit at 2^30: `s = clamp(s + round(x gain / 2^bits))`,
    bits those of the activation; the result is s with the limit at the end of the activation's range.

    `gain` (columns,) int32 holds period, input scale and limit.
    """

    kind: ClassVar[str] = "integer_integral"

    activation: str
    gain: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        if self.gain.shape != (len(self.columns),) or not (self.gain > 0).all():
            raise TinyctlError(f"gain is not {len(self.columns)} positive numbers", where="integer_integral")

    @property
    def bits(self) -> int:
        return int(np.iinfo(self.activation).bits)

    @property
    def shift(self) -> int:
        """From the state to the result."""
        return 31 - self.bits

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("s", np.zeros(len(self.columns), np.int32)),)

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        (s,) = state
        widened = x[:, self.columns].astype(np.int32) << (32 - self.bits)
        moved = np.clip(s + high_product(widened, self.gain), -FULL, FULL).astype(np.int32)
        s = np.where(rejected[:, None], s, moved)
        result = np.minimum((s + 2 ** (self.shift - 1)) >> self.shift, np.iinfo(self.activation).max)
        return np.concatenate([x, result.astype(x.dtype)], axis=1), (s,)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        limits = np.iinfo(self.activation)
        ends = (np.full(len(self.columns), float(end)) for end in (limits.min, limits.max))
        least, most = ends
        return np.concatenate([low, least]), np.concatenate([high, most])

    def lipschitz(self) -> float:
        return math.inf

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        rows = np.eye(self.width)[list(self.columns)] * (self.gain[:, None] / 2.0 ** (self.bits + self.shift))
        return np.concatenate([np.eye(self.width), rows]), np.zeros(self.n_out)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return np.concatenate([np.ones(self.width), np.zeros(len(self.columns))]), np.ones(self.n_out)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        moved = np.clip(state[0] + x[:, self.columns] * (self.gain / 2.0**self.bits), -FULL, FULL)
        return np.concatenate([x, np.minimum(moved / 2.0**self.shift, np.iinfo(self.activation).max)], axis=1)

    def error(self, low: Array, high: Array) -> Array:
        step = 0.5 + 0.5 / 2.0**self.shift  # of the result, and of the finer state
        return np.concatenate([np.zeros(self.width), np.full(len(self.columns), step)])
