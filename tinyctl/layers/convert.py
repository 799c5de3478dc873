"""The doors between number formats: always a node of their own, never hidden in another layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import decode, encode
from tinyctl.layers.base import Array, Layer, array_field, check_integer, rounding, saturating_slopes


@dataclass(frozen=True, eq=False)
class Encode(Layer):
    """float32 to integer: `q = saturate(floor(x * gain + offset + 0.5))` by columns, each operation in float32.

    An input scaling that stands before it is folded into `gain` and `offset`. `bound` refuses inputs for which the sum
    could leave 32 bits, because C leaves the conversion of such a value undefined.
    """

    kind: ClassVar[str] = "encode"

    activation: str
    gain: Array = array_field("float32", 1)
    offset: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gain.shape != self.offset.shape:
            raise TinyctlError("gain and offset differ in length", where="encode")
        check_integer(self.activation, self.kind)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    def reads(self, activation: str) -> str:
        return "float32"

    @property
    def n_in(self) -> int:
        return len(self.gain)

    def run(self, x: Array) -> Array:
        return encode(x * self.gain + self.offset, np.dtype(self.activation))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        gain, offset = self.gain.astype(np.float64), self.offset.astype(np.float64)
        ends, slack = np.stack([low * gain, high * gain]), self._rounding(low, high)
        least, most = ends.min(axis=0) + offset - slack, ends.max(axis=0) + offset + slack
        if not max(-least.min(), most.max()) < 2.0**31:
            raise TinyctlError(
                "values could leave 32 bits before they saturate", where="encode", fix="calibrate over a wider range"
            )
        limits = np.iinfo(self.activation)
        return (
            np.clip(np.floor(least + 0.5), limits.min, limits.max),
            np.clip(np.floor(most + 0.5), limits.min, limits.max),
        )

    def _rounding(self, low: Array, high: Array) -> Array:
        """Of the product, the sum and the half added to it."""
        reach = np.maximum(np.abs(low), np.abs(high)) * np.abs(self.gain.astype(np.float64))
        return rounding(reach + np.abs(self.offset.astype(np.float64)) + 1, 3)

    def lipschitz(self) -> float:
        return float(np.abs(self.gain).max())

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.diag(self.gain.astype(np.float64)), self.offset.astype(np.float64)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return saturating_slopes(self, low, high)

    def exact(self, x: Array) -> Array:
        limits = np.iinfo(self.activation)
        return np.clip(x * self.gain.astype(np.float64) + self.offset, limits.min, limits.max)

    def error(self, low: Array, high: Array) -> Array:
        return self._rounding(low, high) + 0.5


@dataclass(frozen=True, eq=False)
class Decode(Layer):
    """Integer to float32: `y = q * scale` by columns, one rounding."""

    kind: ClassVar[str] = "decode"

    scale: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for scale in self.scale:
            if not 1e-30 <= scale <= 1e30:
                raise TinyctlError(f"scale {scale} is not between 1e-30 and 1e30", where="decode")

    def fits(self, activation: str) -> bool:
        return activation != "float32"

    def returns(self, activation: str) -> str:
        return "float32"

    @property
    def n_in(self) -> int:
        return len(self.scale)

    def run(self, x: Array) -> Array:
        return decode(x, self.scale)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        slack = self.error(low, high)
        return self.exact(low) - slack, self.exact(high) + slack

    def lipschitz(self) -> float:
        return float(self.scale.max())

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.diag(self.scale.astype(np.float64)), np.zeros(self.n_in)

    def exact(self, x: Array) -> Array:
        return np.asarray(x * self.scale.astype(np.float64))

    def error(self, low: Array, high: Array) -> Array:
        return rounding(self.exact(np.maximum(np.abs(low), np.abs(high))), 1)


@dataclass(frozen=True, eq=False)
class Requantize(Layer):
    """Integer to integer, of another scale or width: `y = saturate((x * weight + offset) >> shift)` by columns.

    `weight` is (n,) int16, `offset` (n,) int32 with the rounding's half in it, `shift` (n,) int8 from 1 to 30. Sums
    that could leave 32 bits are refused, so one 32-bit product is enough on a core that has no wider one.
    """

    kind: ClassVar[str] = "requantize"
    in_place: ClassVar[bool] = True

    source: str
    activation: str
    weight: Array = array_field("int16", 1)
    offset: Array = array_field("int32", 1)
    shift: Array = array_field("int8", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.source, self.kind)
        check_integer(self.activation, self.kind)
        if not self.weight.shape == self.offset.shape == self.shift.shape:
            raise TinyctlError("weight, offset and shift differ in length", where="requantize")
        if not ((self.shift >= 1) & (self.shift <= 30)).all():
            raise TinyctlError("a shift is not between 1 and 30", where="requantize")
        most = -np.iinfo(self.source).min * np.abs(self.weight.astype(np.int64)) + np.abs(self.offset.astype(np.int64))
        if (most >= 2**31).any():
            raise TinyctlError("a sum could overflow 32 bits", where="requantize")

    @staticmethod
    def of(source: str, activation: str, gain: Array, offset: Array | None = None) -> Requantize:
        """`y = x * gain + offset` by columns, as fine as 16-bit weights allow: within a step and a half where nothing
        saturates. `offset` is in steps of the result, within +-2^15."""
        added = np.zeros(len(gain)) if offset is None else np.clip(offset, -(2.0**18), 2.0**18)
        most, half = -float(np.iinfo(source).min), 2.0 ** np.arange(1, 31)[:, None] / 2
        weights = np.floor(gain * 2 * half + 0.5)
        possible = (np.abs(weights) <= 2**15 - 1) & (np.abs(weights) * most + (2 * np.abs(added) + 1) * half < 2.0**31)
        if not possible[0].all():
            raise TinyctlError(f"a gain of {np.abs(gain).max():g} is too large", where="requantize")
        shift = possible.sum(axis=0)  # the finest, and for all smaller shifts the numbers are smaller
        unit = 2.0**shift
        return Requantize(
            source,
            activation,
            np.floor(gain * unit + 0.5).astype(np.int16),
            np.floor(added * unit + unit / 2 + 0.5).astype(np.int32),
            shift.astype(np.int8),
        )

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    def reads(self, activation: str) -> str:
        return self.source

    @property
    def n_in(self) -> int:
        return len(self.weight)

    def run(self, x: Array) -> Array:
        limits = np.iinfo(self.activation)
        sums = x.astype(np.int64) * self.weight + self.offset
        return np.clip(sums >> self.shift, limits.min, limits.max).astype(self.activation)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        ends = self.run(np.stack([np.floor(low), np.ceil(high)])).astype(np.float64)
        return ends.min(axis=0), ends.max(axis=0)

    def lipschitz(self) -> float:
        return float((np.abs(self.weight) / 2.0**self.shift).max())

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        unit = 2.0**self.shift
        return np.diag(self.weight / unit), self.offset / unit - 0.5

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return saturating_slopes(self, low, high)

    def exact(self, x: Array) -> Array:
        limits, unit = np.iinfo(self.activation), 2.0**self.shift
        return np.clip(x * (self.weight / unit) + (self.offset / unit - 0.5), limits.min, limits.max)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.n_out, 0.5)
