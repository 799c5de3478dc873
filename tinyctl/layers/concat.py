"""Several values side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import MAX_WIDTH, Array, JoinLayer, Twin


@dataclass(frozen=True, eq=False)
class Concat(JoinLayer):
    """The columns of each input, one input after the other."""

    kind: ClassVar[str] = "concat"

    parts: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.parts) <= 16 or min(self.parts) < 1 or sum(self.parts) > MAX_WIDTH:
            raise TinyctlError(f"cannot put values of {list(self.parts)!r:.60} columns side by side", where="concat")

    def fits(self, activation: str) -> bool:
        return True

    @property
    def widths(self) -> tuple[int, ...]:
        return self.parts

    @property
    def n_out(self) -> int:
        return sum(self.parts)

    def join(self, *xs: Array) -> Array:
        return np.concatenate(xs, axis=1)

    def join_bound(self, *ranges: tuple[Array, Array]) -> tuple[Array, Array]:
        return np.concatenate([low for low, _ in ranges]), np.concatenate([high for _, high in ranges])

    def exact_join(self, *xs: Array) -> Array:
        return np.concatenate(xs, axis=1)

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.n_out)

    def lipschitz(self) -> float:
        return math.sqrt(len(self.parts))  # where all inputs are the same value

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return Twin(self, np.concatenate(scales))  # each column keeps its own
