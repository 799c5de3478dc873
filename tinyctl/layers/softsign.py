"""Softsign: a saturation that needs one division."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, bell_slopes
from tinyctl.layers.table import table_twin, unit_scale

ERROR = 2e-7
LINEAR = F32(2.0**-24)  # below it the quotient is x but for half a step; no subnormal reaches the division


@dataclass(frozen=True, eq=False)
class Softsign(ElementwiseLayer):
    """`y = x / (1 + |x|)`, the sum and the quotient rounded; x itself where |x| < 2^-24. Within [-1, 1]."""

    kind: ClassVar[str] = "softsign"

    def run(self, x: Array) -> Array:
        small = np.abs(x) < LINEAR
        z = np.where(small, F32(1), x)
        return np.where(small, x, z / (F32(1) + np.abs(z)))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore"):
            least, most = (np.where(np.isinf(end), np.sign(end), self.exact(end)) for end in (low, high))
        return np.maximum(least - ERROR, -1.0), np.minimum(most + ERROR, 1.0)

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return bell_slopes(lambda x: 1.0 / (1 + np.abs(x)) ** 2, low, high)

    def exact(self, x: Array) -> Array:
        return x / (1 + np.abs(x))

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.width, ERROR)

    def takes(self, activation: str, scale: Array) -> Array:
        return np.full(self.width, scale.max())

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return table_twin(self.exact, self.width, chosen, float(scales[0][0]), unit_scale(chosen))
