"""Leaky rectified linear unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, check_integer, rounding


@dataclass(frozen=True, eq=False)
class LeakyRelu(ElementwiseLayer):
    """`y = x if x > 0 else x * slope`, one rounding; 0 <= slope <= 1."""

    kind: ClassVar[str] = "leaky_relu"

    slope: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.slope <= 1:
            raise TinyctlError(f"slope {self.slope} is not between 0 and 1", where="leaky_relu")
        object.__setattr__(self, "slope", float(F32(self.slope)))

    def run(self, x: Array) -> Array:
        return np.where(x > 0, x, x * F32(self.slope))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        slack = self.error(low, high)
        return self.exact(low) - slack, self.exact(high) + slack

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _slopes(low, high, self.slope)

    def exact(self, x: Array) -> Array:
        return np.where(x > 0, x, x * self.slope)

    def error(self, low: Array, high: Array) -> Array:
        return rounding(np.abs(low) * self.slope, 1)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return Twin(IntegerLeakyRelu(self.width, chosen.activation, math.floor(self.slope * 2**15 + 0.5)), scales[0])


@dataclass(frozen=True, eq=False)
class IntegerLeakyRelu(ElementwiseLayer):
    """`y = max(x, (x * slope + 2^14) >> 15)`: the slope, from 0 to 2^15, is a fraction of 2^15."""

    kind: ClassVar[str] = "integer_leaky_relu"

    activation: str
    slope: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        if not 0 <= self.slope <= 2**15:
            raise TinyctlError(f"slope {self.slope} is not between 0 and 2^15", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    def run(self, x: Array) -> Array:
        return np.maximum(x, (x.astype(np.int32) * self.slope + 2**14) >> 15).astype(x.dtype)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        ends = self.run(np.stack([np.floor(low), np.ceil(high)]).astype(self.activation)).astype(np.float64)
        return ends[0], ends[1]

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _slopes(low, high, self.slope / 2**15)

    def exact(self, x: Array) -> Array:
        return np.maximum(x, x * (self.slope / 2**15))

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.width, 0.5)


def _slopes(low: Array, high: Array, slope: float) -> tuple[Array, Array]:
    return np.where(low >= 0, 1.0, slope), np.where(high > 0, 1.0, slope)
