"""Logistic sigmoid, through the one tanh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, bell_slopes
from tinyctl.layers.table import table_twin, unit_scale
from tinyctl.layers.tanh import derivative, tanh_f32

HALF = F32(0.5)
ERROR = 3e-7


@dataclass(frozen=True, eq=False)
class Sigmoid(ElementwiseLayer):
    """`y = tanh_f32(x * 0.5) * 0.5 + 0.5`, each step rounded: within 3e-7 of 1 / (1 + exp(-x)) and within [0, 1]."""

    kind: ClassVar[str] = "sigmoid"

    def run(self, x: Array) -> Array:
        return tanh_f32(x * HALF) * HALF + HALF

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = (self.exact(end) for end in (low, high))
        return np.maximum(least - ERROR, 0.0), np.minimum(most + ERROR, 1.0)

    def lipschitz(self) -> float:
        return 0.25

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = bell_slopes(derivative, low / 2, high / 2)
        return least / 4, most / 4

    def exact(self, x: Array) -> Array:
        return 0.5 + 0.5 * np.tanh(x / 2)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.width, ERROR)

    def takes(self, activation: str, scale: Array) -> Array:
        return np.full(self.width, 2.0**-11 if activation == "int16" else 2.0**-4)  # 0 and 1 at the ends

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return table_twin(self.exact, self.width, chosen, float(scales[0][0]), unit_scale(chosen))
