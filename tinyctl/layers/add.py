"""The sum of two values: residual connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import MAX_WIDTH, Array, JoinLayer, rounding


@dataclass(frozen=True, eq=False)
class Add(JoinLayer):
    """`y = a + b` by columns, rounded."""

    kind: ClassVar[str] = "add"

    width: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.width <= MAX_WIDTH:
            raise TinyctlError(f"{self.width} columns are not possible", where="add")

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.width, self.width)

    @property
    def n_out(self) -> int:
        return self.width

    def join(self, *xs: Array) -> Array:
        a, b = xs
        return np.asarray(a + b)

    def join_bound(self, *ranges: tuple[Array, Array]) -> tuple[Array, Array]:
        (a_low, a_high), (b_low, b_high) = ranges
        low, high = a_low + b_low, a_high + b_high
        slack = rounding(np.maximum(np.abs(low), np.abs(high)), 1)
        return low - slack, high + slack

    def lipschitz(self) -> float:
        return 2.0  # where both inputs are the same value
