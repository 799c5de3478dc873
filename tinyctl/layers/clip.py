"""The last word on the action: the contract's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, Layer, Twin, array_field, clip_slopes


@dataclass(frozen=True, eq=False)
class Clip(Layer):
    """Clamp each column to [low, high], which have the type of the values."""

    kind: ClassVar[str] = "clip"
    in_place: ClassVar[bool] = True

    low: Array = array_field("float32|int16|int8", 1)
    high: Array = array_field("float32|int16|int8", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low.dtype != self.high.dtype:
            raise TinyctlError("low and high differ in type", where="clip")
        if self.low.shape != self.high.shape or not (self.low <= self.high).all():
            raise TinyctlError("low and high differ in length or are not increasing", where="clip")

    def fits(self, activation: str) -> bool:
        return activation == self.low.dtype.name

    @staticmethod
    def of(contract: Contract) -> Clip:
        """The clip to a contract's output ranges."""
        return Clip(*(np.array([getattr(s, side) for s in contract.outputs], F32) for side in ("low", "high")))

    @property
    def n_in(self) -> int:
        return len(self.low)

    def run(self, x: Array) -> Array:
        return np.where(x < self.low, self.low, np.where(x > self.high, self.high, x))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        floor, ceiling = self.low.astype(np.float64), self.high.astype(np.float64)
        return np.clip(low, floor, ceiling), np.clip(high, floor, ceiling)

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return clip_slopes(low, high, self.low, self.high)

    def exact(self, x: Array) -> Array:
        return np.clip(x, self.low.astype(np.float64), self.high.astype(np.float64))

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.n_in)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        limits = np.iinfo(chosen.activation)
        ends = [np.floor(end / scales[0] + 0.5) for end in (self.low, self.high)]
        low, high = (np.clip(end, limits.min, limits.max).astype(chosen.activation) for end in ends)
        return Twin(Clip(low, high), scales[0])
