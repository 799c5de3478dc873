"""The cheap tanh of rl-tools and Learning to Fly: a rational that meets 1 at 3. Not an approximation to be replaced by
tanh: it differs by up to 0.024, and networks trained with it expect it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, bell_slopes
from tinyctl.layers.table import table_twin, unit_scale

CLAMP = F32(3.0)
ROUNDINGS = 6 * 2.0**-24 * 1.01  # six roundings of values whose errors all scale the result; below LINEAR x - x^3 / 3
LINEAR = F32(0.0003)  # below it the result rounds to x; the select also keeps subnormals out of the division


@dataclass(frozen=True, eq=False)
class FastTanh(ElementwiseLayer):
    """`y = c (27 + c^2) / (27 + 9 c^2)`, c = x clamped to [-3, 3]: each operation rounded, numerator from the left.

    Source: rl-tools, `nn/activation_functions`, FAST_TANH. The slope is (9 - c^2)^2 / (9 (3 + c^2)^2): never negative,
    at most 1.
    """

    kind: ClassVar[str] = "fast_tanh"

    def run(self, x: Array) -> Array:
        c = np.where(x < -CLAMP, -CLAMP, np.where(x > CLAMP, CLAMP, x))
        small = np.abs(c) < LINEAR
        z = np.where(small, F32(1), c)
        z2 = z * z
        return np.where(small, c, (z * (F32(27) + z2)) / (F32(27) + F32(9) * z2))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = (self.exact(side) for side in (low, high))
        return least - np.abs(least) * ROUNDINGS, most + np.abs(most) * ROUNDINGS

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        def derivative(x: Array) -> Array:
            c2 = np.clip(x, -3.0, 3.0) ** 2
            return np.asarray(((9 - c2) / (9 + 3 * c2)) ** 2)

        return bell_slopes(derivative, low, high)

    def exact(self, x: Array) -> Array:
        return _exact(np.clip(x, -3.0, 3.0))

    def error(self, low: Array, high: Array) -> Array:
        reach = np.maximum(np.abs(self.exact(low)), np.abs(self.exact(high)))
        return reach * ROUNDINGS + 2.0**-149

    def takes(self, activation: str, scale: Array) -> Array:
        return np.full(self.width, 2.0**-13 if activation == "int16" else 2.0**-5)  # it meets 1 at 3

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return table_twin(self.exact, self.width, chosen, float(scales[0][0]), unit_scale(chosen))


def _exact(x: Array) -> Array:
    return x * (27 + x * x) / (27 + 9 * x * x)
