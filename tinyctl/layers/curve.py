"""A function of int16 values with a scale of its own on either side: tanh and sigmoid of TensorFlow Lite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array, ElementwiseLayer, array_field
from tinyctl.layers.table import segment_slopes

SEGMENTS = 512


@dataclass(frozen=True, eq=False)
class IntegerCurve(ElementwiseLayer):
    """A function of one int16 in 512 straight segments of 2^bits places each, which meet in `knots` (513,) int16.

    `place = (x * multiplier + 2^shift / 2) >> shift`, held within the segments, which lie around place 0. From a knot
    `y = offset + ((knot * 2^bits + rise * rest + half) >> (bits + drop))`, half being what rounds to nearest: knots
    are finer than results by `drop` bits.
    """

    kind: ClassVar[str] = "integer_curve"

    multiplier: int
    shift: int
    bits: int
    drop: int
    offset: int
    knots: Array = array_field("int16", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.knots) != SEGMENTS + 1:
            raise TinyctlError(f"{len(self.knots)} knots instead of {SEGMENTS + 1}", where=self.kind)
        if np.abs(self.rises).max() >= 2**15:
            raise TinyctlError("a segment rises by more than 16 bits hold", where=self.kind)
        ranges = {"multiplier": 2**15 - 1, "shift": 30, "bits": 14, "drop": 14, "offset": 2**15}
        if not all(0 <= getattr(self, name) <= most for name, most in ranges.items()) or not self.bits:
            raise TinyctlError(f"one of {', '.join(ranges)} is out of range", where=self.kind)
        if self._at_knots().max() >= 2**15:
            raise TinyctlError("a result is beyond 16 bits", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == "int16"

    @property
    def rises(self) -> Array:
        """(512,) int32: from each knot to the next."""
        return np.diff(self.knots.astype(np.int32))

    @property
    def reach(self) -> int:
        """The number of places on either side of 0."""
        return SEGMENTS // 2 << self.bits

    @property
    def saturates(self) -> bool:
        """Whether an int16 can lead beyond the segments."""
        return (2**15 * self.multiplier + half(self.shift)) >> self.shift > self.reach

    def _at_knots(self) -> Array:
        return self.offset + ((self.knots.astype(np.int64) + half(self.drop)) >> self.drop)

    def _places(self, x: Array) -> Array:
        places = (x.astype(np.int64) * self.multiplier + half(self.shift)) >> self.shift
        return np.clip(places, -self.reach, self.reach - 1) + self.reach

    def run(self, x: Array) -> Array:
        places = self._places(x)
        segment, rest = places >> self.bits, places & ((1 << self.bits) - 1)
        fine = (self.knots[segment].astype(np.int64) << self.bits) + self.rises[segment] * rest
        down = self.bits + self.drop
        return (self.offset + ((fine + half(down)) >> down)).astype(np.int16)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        first, last = (self._places(side) >> self.bits for side in (np.floor(low), np.ceil(high)))
        ends = self._at_knots()
        spans = [ends[a : b + 2] for a, b in zip(first, last, strict=True)]  # rounding leads to no knot beyond them
        return np.array([float(s.min()) for s in spans]), np.array([float(s.max()) for s in spans])

    def lipschitz(self) -> float:
        return float(np.abs(self.rises).max() / 2 ** (self.bits + self.drop) * self.multiplier / 2**self.shift)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        gain = self.multiplier / 2.0**self.shift
        rises = self.rises / 2.0 ** (self.bits + self.drop)
        least, most = segment_slopes(rises, low * gain, high * gain, 2**self.bits)
        return least * gain, most * gain

    def exact(self, x: Array) -> Array:
        knots = np.arange(-self.reach, self.reach + 1, 2**self.bits)
        return self.offset + np.interp(x * (self.multiplier / 2.0**self.shift), knots, self.knots) / 2.0**self.drop

    def error(self, low: Array, high: Array) -> Array:
        x = np.arange(-(2**15), 2**15)
        return np.full(self.width, np.abs(self.run(x.astype(np.int16)) - self.exact(x)).max() * (1 + 1e-12))


def half(bits: int) -> int:
    """What is added before a shift by `bits` that rounds to nearest."""
    return (1 << bits) >> 1
