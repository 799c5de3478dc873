"""int16 columns times a gain of their own, another one below zero: leaky relu and arithmetic with constants, as fine as
32-bit multipliers make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import MULTIPLIER_BITS, requantize
from tinyctl.layers.base import Array, Layer, array_field

UNIT = 2**8  # what a step of the input is worth in the sum
LARGEST_BIAS = 2**31 - 1 - UNIT * 2**15


@dataclass(frozen=True, eq=False)
class IntegerBend(Layer):
    """`y = requantize(256 x + bias, x < 0 ? below : above)` by columns, from int16 to int16; all (n,) int32.

    Multipliers are less than 2^30 in magnitude; where the two differ the bias is zero, so that the ends meet.
    """

    kind: ClassVar[str] = "integer_bend"
    in_place: ClassVar[bool] = True

    above: Array = array_field("int32", 1)
    below: Array = array_field("int32", 1)
    bias: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.above.shape == self.below.shape == self.bias.shape:
            raise TinyctlError("above, below and bias differ in length", where=self.kind)
        if max(np.abs(self.above.astype(np.int64)).max(), np.abs(self.below.astype(np.int64)).max()) >= 2**30:
            raise TinyctlError("a gain is 64 or more", where=self.kind)
        if np.abs(self.bias.astype(np.int64)).max() > LARGEST_BIAS:
            raise TinyctlError("a sum could overflow 32 bits", where=self.kind)
        if self.bias[self.above != self.below].any():
            raise TinyctlError("a bias where the gains differ", where=self.kind)

    @staticmethod
    def of(gain: Array, offset: Array, slope: float = 1.0) -> IntegerBend:
        """`x * gain + offset` in steps of the result; the gain is `slope` times as large where x is negative."""
        above, below = (np.floor(g * 2.0**MULTIPLIER_BITS / UNIT + 0.5) for g in (gain, slope * gain))
        bias = np.floor(np.divide(offset * UNIT, gain, out=np.zeros(len(gain)), where=offset != 0) + 0.5)
        if not max(np.abs(above).max(), np.abs(below).max()) < 2**30 or not np.abs(bias).max() <= LARGEST_BIAS:
            raise TinyctlError("a gain or an offset is too large for 16 bits", where="integer_bend")
        return IntegerBend(*(v.astype(np.int32) for v in (above, below, bias)))

    def fits(self, activation: str) -> bool:
        return activation == "int16"

    @property
    def n_in(self) -> int:
        return len(self.bias)

    def run(self, x: Array) -> Array:
        sums = x.astype(np.int64) * UNIT + self.bias
        return requantize(sums, np.where(x < 0, self.below, self.above), np.dtype("int16"))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        low, high = np.floor(low), np.ceil(high)  # straight on either side of zero
        ends = self.run(np.stack([low, np.clip(-1, low, high), np.clip(0, low, high), high])).astype(np.float64)
        return ends.min(axis=0), ends.max(axis=0)

    def lipschitz(self) -> float:
        return float(np.abs(self._gains()).max())

    def _gains(self) -> tuple[Array, Array]:
        return self.below * (UNIT / 2.0**MULTIPLIER_BITS), self.above * (UNIT / 2.0**MULTIPLIER_BITS)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        below, above = self._gains()
        left, right = np.where(low < 0, below, above), np.where(high > 0, above, below)
        cut = np.abs(self._unclipped(np.stack([low, np.clip(0.0, low, high), high]))).max(axis=0) > 2**15 - 1
        least, most = np.minimum(left, right), np.maximum(left, right)
        return np.where(cut, np.minimum(least, 0.0), least), np.where(cut, np.maximum(most, 0.0), most)

    def _unclipped(self, x: Array) -> Array:
        below, above = self._gains()
        return (x + self.bias / UNIT) * np.where(x < 0, below, above)

    def exact(self, x: Array) -> Array:
        return np.clip(self._unclipped(x), -(2**15), 2**15 - 1)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.n_in, 0.5)
