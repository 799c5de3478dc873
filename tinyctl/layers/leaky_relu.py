"""Leaky rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, Layer, rounding


@dataclass(frozen=True, eq=False)
class LeakyRelu(Layer):
    """`y = x if x > 0 else x * slope`, one rounding; 0 <= slope <= 1."""

    kind: ClassVar[str] = "leaky_relu"
    in_place: ClassVar[bool] = True

    width: int
    slope: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.slope <= 1:
            raise TinyctlError(f"slope {self.slope} is not between 0 and 1", where="leaky_relu")
        object.__setattr__(self, "slope", float(F32(self.slope)))

    @property
    def n_in(self) -> int:
        return self.width

    def run(self, x: Array) -> Array:
        return np.where(x > 0, x, x * F32(self.slope))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = (np.where(end > 0, end, end * self.slope) for end in (low, high))
        slack = rounding(np.abs(low) * self.slope, 1)
        return least - slack, most + slack

    def lipschitz(self) -> float:
        return 1.0
