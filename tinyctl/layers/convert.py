"""The doors between number formats: always a node of their own, never hidden in another layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import F32, decode, encode
from tinyctl.layers.base import Array, Layer, array_field, rounding


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
        if self.activation not in ("int8", "int16"):
            raise TinyctlError(f"{self.activation!r:.20} is neither int8 nor int16", where="encode")

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
        ends = np.stack([low * gain, high * gain])
        slack = rounding(np.abs(ends).max(axis=0) + np.abs(offset) + 1, 3)
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

    def lipschitz(self) -> float:
        return float(np.abs(self.gain).max())


@dataclass(frozen=True, eq=False)
class Decode(Layer):
    """Integer to float32: `y = q * scale`, one rounding."""

    kind: ClassVar[str] = "decode"

    width: int
    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1e-30 <= self.scale <= 1e30:
            raise TinyctlError(f"scale {self.scale} is not between 1e-30 and 1e30", where="decode")
        object.__setattr__(self, "scale", float(F32(self.scale)))

    def fits(self, activation: str) -> bool:
        return activation != "float32"

    def returns(self, activation: str) -> str:
        return "float32"

    @property
    def n_in(self) -> int:
        return self.width

    def run(self, x: Array) -> Array:
        return decode(x, F32(self.scale))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        slack = rounding(np.maximum(np.abs(low), np.abs(high)) * self.scale, 1)
        return low * self.scale - slack, high * self.scale + slack

    def lipschitz(self) -> float:
        return self.scale
