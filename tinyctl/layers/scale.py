"""Input and output scaling, one gain and one offset a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import Array, Layer, Twin, array_field, rounding
from tinyctl.layers.convert import Requantize


@dataclass(frozen=True, eq=False)
class Scale(Layer):
    """`y = x * gain + offset` by columns, rounded after the product and after the sum."""

    kind: ClassVar[str] = "scale"
    in_place: ClassVar[bool] = True

    gain: Array = array_field("float32", 1)
    offset: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gain.shape != self.offset.shape:
            raise TinyctlError("gain and offset differ in length", where="scale")

    @property
    def n_in(self) -> int:
        return len(self.gain)

    def run(self, x: Array) -> Array:
        return x * self.gain + self.offset

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        ends, slack = np.stack([self.exact(low), self.exact(high)]), self.error(low, high)
        return ends.min(axis=0) - slack, ends.max(axis=0) + slack

    def lipschitz(self) -> float:
        return float(np.abs(self.gain).max())

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.diag(self.gain.astype(np.float64)), self.offset.astype(np.float64)

    def exact(self, x: Array) -> Array:
        return np.asarray(x * self.gain.astype(np.float64) + self.offset.astype(np.float64))

    def error(self, low: Array, high: Array) -> Array:
        reach = np.maximum(np.abs(low), np.abs(high)) * np.abs(self.gain.astype(np.float64))
        return rounding(reach + np.abs(self.offset.astype(np.float64)), 2)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        gain, offset = self.gain.astype(np.float64) * scales[0], self.offset.astype(np.float64)
        if (gain >= 1e-12).all() and not offset.any():
            return Twin(None, gain)
        return Twin(Requantize.of(chosen.activation, chosen.activation, gain / out, offset / out), out)
