"""Rectified linear unit, float32 and integer alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.formats.base import Format
from tinyctl.layers.base import Array, ElementwiseLayer, Twin


@dataclass(frozen=True, eq=False)
class Relu(ElementwiseLayer):
    """`y = x if x > 0 else 0`; of the two zeros it returns the positive one."""

    kind: ClassVar[str] = "relu"

    def fits(self, activation: str) -> bool:
        return True

    def run(self, x: Array) -> Array:
        return np.where(x > 0, x, x.dtype.type(0))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return np.maximum(low, 0.0), np.maximum(high, 0.0)

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return np.where(low >= 0, 1.0, 0.0), np.where(high > 0, 1.0, 0.0)

    def exact(self, x: Array) -> Array:
        return np.maximum(x, 0.0)

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.width)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return Twin(self, scales[0])
