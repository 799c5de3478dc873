"""Node 0: no NaN, infinity or out-of-range value gets past it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, Layer, array_field, clip_slopes


@dataclass(frozen=True, eq=False)
class Screen(Layer):
    """A non-finite value becomes `on_nan` and marks its row rejected; all others are clamped to [low, high]."""

    kind: ClassVar[str] = "screen"

    low: Array = array_field("float32", 1)
    high: Array = array_field("float32", 1)
    on_nan: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low.shape == self.high.shape == self.on_nan.shape:
            raise TinyctlError("low, high and on_nan differ in length", where="screen")
        if not ((self.low <= self.on_nan) & (self.on_nan <= self.high)).all():
            raise TinyctlError("an on_nan lies outside its range", where="screen")

    @staticmethod
    def of(contract: Contract) -> Screen:
        """The screen of a contract's inputs."""
        return Screen(
            *(np.array([getattr(s, side) for s in contract.inputs], F32) for side in ("low", "high", "on_nan"))
        )

    @property
    def n_in(self) -> int:
        return len(self.low)

    def rejected(self, x: Array) -> Array:
        """(batch,) bool: rows with a value that is not finite."""
        return np.logical_not(np.isfinite(x).all(axis=1))

    def run(self, x: Array) -> Array:
        with np.errstate(invalid="ignore"):  # a signalling NaN in a comparison
            clamped = np.where(x < self.low, self.low, np.where(x > self.high, self.high, x))
        return np.where(np.isfinite(x), clamped, self.on_nan)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return self.low.astype(np.float64), self.high.astype(np.float64)

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return clip_slopes(low, high, self.low, self.high)

    def exact(self, x: Array) -> Array:
        return np.clip(x, self.low.astype(np.float64), self.high.astype(np.float64))

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.n_in)
