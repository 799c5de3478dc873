"""Exponential linear unit, through the one tanh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, rounding
from tinyctl.layers.table import table_twin
from tinyctl.layers.tanh import tanh_f32

LINEAR = F32(2.0**-24)  # below it exp(x) - 1 rounds to x; no subnormal reaches the division
ERROR = 4e-7  # of exp(x) - 1 for negative x, absolute: 2.1e-7 was measured


@dataclass(frozen=True, eq=False)
class Elu(ElementwiseLayer):
    """`y = x if x > 0 else alpha * e`, where e = 2 t / (1 - t) with t = tanh_f32(x / 2) is exp(x) - 1 within 4e-7.

    Every step rounded: h = x * 0.5, t, t + t, 1 - t, their quotient, the product. 0 < alpha <= 100.
    """

    kind: ClassVar[str] = "elu"

    alpha: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1e-6 <= self.alpha <= 100:
            raise TinyctlError(f"alpha {self.alpha} is not between 1e-6 and 100", where="elu")
        object.__setattr__(self, "alpha", float(F32(self.alpha)))

    def run(self, x: Array) -> Array:
        positive = x > 0
        n = np.where(positive, F32(0), x)
        small = n > -LINEAR
        t = tanh_f32(np.where(small, F32(-1), n) * F32(0.5))
        e = np.where(small, n, (t + t) / (F32(1) - t))
        return np.where(positive, x, e * F32(self.alpha))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        slack = self.error(low, high)
        return self.exact(low) - slack, self.exact(high) + slack

    def lipschitz(self) -> float:
        return max(1.0, self.alpha)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        left = [self.alpha * np.exp(np.minimum(end, 0)) for end in (low, high)]  # it rises up to zero
        least = np.where(low >= 0, 1.0, np.where(high > 0, np.minimum(left[0], 1.0), left[0]))
        return least, np.where(low >= 0, 1.0, np.where(high > 0, np.maximum(left[1], 1.0), left[1]))

    def exact(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def error(self, low: Array, high: Array) -> Array:
        return self.alpha * ERROR + rounding(np.full(low.shape, self.alpha), 1)

    def takes(self, activation: str, scale: Array) -> Array:
        return np.full(self.width, scale.max())

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return table_twin(self.exact, self.width, chosen, float(scales[0][0]), float(out.max()))
