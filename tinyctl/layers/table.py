"""A function of one byte as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array, Layer, array_field
from tinyctl.layers.curve import extremes


@dataclass(frozen=True, eq=False)
class ByteTable(Layer):
    """Any function of one int8: `y = values[x + 128]`; `values` is (256,)."""

    kind: ClassVar[str] = "byte_table"
    in_place: ClassVar[bool] = True

    width: int
    values: Array = array_field("int8", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != 256:
            raise TinyctlError(f"{len(self.values)} values instead of 256", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == "int8"

    @property
    def n_in(self) -> int:
        return self.width

    def run(self, x: Array) -> Array:
        return self.values[x.astype(np.int32) + 128]

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        first, last = (np.clip(side, -128, 127).astype(np.int64) + 128 for side in (np.floor(low), np.ceil(high)))
        return extremes(self.values, self.values, first, last)

    def lipschitz(self) -> float:
        return float(np.abs(np.diff(self.values.astype(np.int64))).max())
