"""Functions of one value as tables: the integer form of every smooth activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import Array, ElementwiseLayer, Twin, array_field

SEGMENT_BITS = 7  # 2^7 input steps a segment: 512 straight segments over all 16-bit inputs
Function = Callable[[Array], Array]


def segments(function: Function, in_scale: float, out_scale: float) -> tuple[Array, Array]:
    """Start and rise of the 512 segments, int16: the chord of the function, moved up or down by half its largest error.

    `in_scale` and `out_scale` are the real values of one step. The board reads one word for the pair.
    """
    edges = np.arange(-(2**15), 2**15 + 1, 2**SEGMENT_BITS) * in_scale
    most = 2**15 - 1
    values, between = (np.clip(function(x) / out_scale, -most, most) for x in (edges, (edges[:-1] + edges[1:]) / 2))
    middle = between - (values[:-1] + values[1:]) / 2
    rise = np.floor(np.diff(values) + 0.5)
    start = np.clip(np.floor(values[:-1] + middle / 2 + 0.5), -most, most)
    return start.astype(np.int16), np.clip(rise, -most - start, most - start).astype(np.int16)


def interpolate(start: Array, rise: Array, x: Array) -> Array:
    """int16 -> int16: `start[i] + ((rise[i] * rest + 64) >> 7)`, i the upper nine bits of x."""
    place = x.astype(np.int32) + 2**15
    segment, rest = place >> SEGMENT_BITS, place & (2**SEGMENT_BITS - 1)
    half = 2 ** (SEGMENT_BITS - 1)
    return (start[segment] + ((rise[segment].astype(np.int32) * rest + half) >> SEGMENT_BITS)).astype(np.int16)


@dataclass(frozen=True, eq=False)
class IntegerTable(ElementwiseLayer):
    """int16 to int16 through 512 straight segments: `start` and `rise` are (512,), see `interpolate`."""

    kind: ClassVar[str] = "integer_table"

    start: Array = array_field("int16", 1)
    rise: Array = array_field("int16", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.start.shape == self.rise.shape == (2 ** (16 - SEGMENT_BITS),):
            raise TinyctlError("start or rise is not one number a segment", where="table")
        end = self.start.astype(np.int32) + self.rise
        if (np.abs(end) > 2**15 - 1).any():
            raise TinyctlError("a segment leaves 16 bits", where="table")

    def fits(self, activation: str) -> bool:
        return activation == "int16"

    def run(self, x: Array) -> Array:
        return interpolate(self.start, self.rise, x)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _extremes(self.run(np.arange(-(2**15), 2**15).astype(np.int16)), low, high)

    def lipschitz(self) -> float:
        return float(np.abs(np.diff(self._knots())).max() / 2**SEGMENT_BITS)

    def _knots(self) -> Array:
        """(513,) float64 at the ends of the segments: neighbours meet half-way between their ends."""
        start, end = self.start.astype(np.float64), self.start + self.rise.astype(np.float64)
        return np.concatenate([start[:1], (start[1:] + end[:-1]) / 2, end[-1:]])

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return segment_slopes(np.diff(self._knots()) / 2**SEGMENT_BITS, low, high, 2**SEGMENT_BITS)

    def exact(self, x: Array) -> Array:
        return np.interp(x, np.arange(-(2**15), 2**15 + 1, 2**SEGMENT_BITS), self._knots())

    def error(self, low: Array, high: Array) -> Array:
        x = np.arange(-(2**15), 2**15)
        return np.full(self.width, np.abs(self.run(x.astype(np.int16)) - self.exact(x)).max() * (1 + 1e-12))


@dataclass(frozen=True, eq=False)
class ByteTable(ElementwiseLayer):
    """int8 to int8: `values` (256,) holds the result for each input, -128 first."""

    kind: ClassVar[str] = "byte_table"

    values: Array = array_field("int8", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values.shape != (256,):
            raise TinyctlError("values is not one number an input", where="table")

    def fits(self, activation: str) -> bool:
        return activation == "int8"

    def run(self, x: Array) -> Array:
        return np.asarray(self.values[x.astype(np.int32) + 128])

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _extremes(self.values, low, high)

    def lipschitz(self) -> float:
        return float(np.abs(np.diff(self.values.astype(int))).max())

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return segment_slopes(np.diff(self.values.astype(np.float64)), low, high, 1)

    def exact(self, x: Array) -> Array:
        return np.interp(x, np.arange(-128, 128), self.values)

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.width)


def table_twin(function: Function, width: int, chosen: Format, in_scale: float, out_scale: float) -> Twin:
    """The table of a real function, for inputs and results of these scales."""
    scale = np.full(width, out_scale)
    if chosen.activation == "int16":
        return Twin(IntegerTable(width, *segments(function, in_scale, out_scale)), scale)
    values = np.clip(np.floor(function(np.arange(-128, 128) * in_scale) / out_scale + 0.5), -127, 127)
    return Twin(ByteTable(width, values.astype(np.int8)), scale)


def unit_scale(chosen: Format) -> float:
    """One step of a result within [-1, 1]; 1 itself becomes the largest integer."""
    return float(1.0 / -np.iinfo(chosen.activation).min)


def _extremes(values: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The least and the greatest within each column's range of `values`, one for each integer from the first."""
    first = len(values) // 2
    spans = [values[int(a) + first : int(b) + first + 1] for a, b in zip(np.floor(low), np.ceil(high), strict=True)]
    return np.array([float(s.min()) for s in spans]), np.array([float(s.max()) for s in spans])


def segment_slopes(rises: Array, low: Array, high: Array, width: int) -> tuple[Array, Array]:
    """The least and the greatest rise within each column's range, of segments of `width` inputs that lie around zero;
    beyond them the function is level."""
    padded = np.concatenate([[0.0], rises, [0.0]])
    first, last = (np.clip(end // width + (len(rises) + 1) // 2 + 1, 0, len(rises) + 1) for end in (low, high))
    spans = [padded[int(a) : int(b) + 1] for a, b in zip(first, last, strict=True)]
    return np.array([s.min() for s in spans]), np.array([s.max() for s in spans])
