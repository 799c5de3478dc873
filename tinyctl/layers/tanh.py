"""Hyperbolic tangent: one rational for float32, one table for integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from tinyctl.formats.base import Format
from tinyctl.layers.base import F32, Array, ElementwiseLayer, Twin, bell_slopes
from tinyctl.layers.table import interpolate, segments

# A rational minimax approximation, odd 13th degree over even 6th, on [-9, 9]: coefficients as published in the Eigen
# library (MathFunctionsImpl.h, generic_fast_tanh_float). In float32 steps the largest error against float64 is 4.2e-7.
NUMERATOR = tuple(
    F32(c)
    for c in (
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    )
)
DENOMINATOR = tuple(
    F32(c) for c in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
)
CLAMP = F32(7.90531110763549805)  # where the rational first rounds to 1
ERROR = 4.2e-7
LINEAR = F32(0.0004)  # below it tanh(x) rounds to x; the select also keeps subnormals out of the division


def tanh_f32(x: Array) -> Array:
    """The float32 tanh of training, `Graph.run`, certificates and C: every operation rounded to float32."""
    t = np.where(x < -CLAMP, -CLAMP, np.where(x > CLAMP, CLAMP, x))
    small = np.abs(t) < LINEAR
    z = np.where(small, F32(1), t)
    z2 = z * z
    p = np.full_like(z, NUMERATOR[0])
    for c in NUMERATOR[1:]:
        p = p * z2 + c
    q = np.full_like(z, DENOMINATOR[0])
    for c in DENOMINATOR[1:]:
        q = q * z2 + c
    return np.where(small, t, (z * p) / q)


def derivative(x: Array) -> Array:
    """Of the hyperbolic tangent."""
    return np.asarray(1.0 / np.cosh(np.clip(x, -300, 300)) ** 2)


@dataclass(frozen=True, eq=False)
class Tanh(ElementwiseLayer):
    """`y = tanh_f32(x)`, within 4.2e-7 of the hyperbolic tangent and within [-1, 1]."""

    kind: ClassVar[str] = "tanh"

    def run(self, x: Array) -> Array:
        return tanh_f32(x)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        return np.maximum(np.tanh(low) - ERROR, -1.0), np.minimum(np.tanh(high) + ERROR, 1.0)

    def lipschitz(self) -> float:
        return 1.0

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return bell_slopes(derivative, low, high)

    def exact(self, x: Array) -> Array:
        return np.tanh(x)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.width, ERROR)

    def takes(self, activation: str, scale: Array) -> Array:
        return np.full(self.width, TWINS[activation].input_scale)  # it saturates where tanh is 1

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        made = TWINS[chosen.activation](self.width)
        return Twin(made, np.full(self.width, made.output_scale))


INPUT_SCALE = 2.0**-12  # an int16 input spans [-8, 8)
OUTPUT_SCALE = 2.0**-15


def tanh_table() -> tuple[Array, Array]:
    """Start and rise of the 512 segments, int16."""
    return segments(np.tanh, INPUT_SCALE, OUTPUT_SCALE)


class _TableTanh:
    """What the integer tables share: the function they stand for, and how far from it they are."""

    activation: ClassVar[str]
    input_scale: ClassVar[float]
    output_scale: ClassVar[float]
    width: int

    def lipschitz(self) -> float:
        return self.input_scale / self.output_scale

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = bell_slopes(derivative, low * self.input_scale, high * self.input_scale)
        return least * self.lipschitz(), most * self.lipschitz()

    def exact(self, x: Array) -> Array:
        return np.tanh(x * self.input_scale) / self.output_scale

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.width, _error(self.activation))


@dataclass(frozen=True, eq=False)
class IntegerTanh(_TableTanh, ElementwiseLayer):
    """int16 at 2^-12 a step to int16 at 2^-15, through a table of 512 segments (`tinyctl.layers.table`)."""

    kind: ClassVar[str] = "integer_tanh"
    activation: ClassVar[str] = "int16"
    input_scale: ClassVar[float] = INPUT_SCALE
    output_scale: ClassVar[float] = OUTPUT_SCALE

    def fits(self, activation: str) -> bool:
        return activation == "int16"

    def run(self, x: Array) -> Array:
        return interpolate(*tanh_table(), x)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        ends = np.stack([low, high]).astype(np.int16)
        reach = self.run(ends).astype(np.float64)
        return reach[0] - 2, reach[1] + 2  # neighbouring segments may meet a step or two out of order


def byte_table() -> Array:
    """The int8 result for each int8 input, -128 first."""
    values = np.tanh(np.arange(-128, 128) * ByteTanh.input_scale) / ByteTanh.output_scale
    return np.clip(np.floor(values + 0.5), -127, 127).astype(np.int8)


@dataclass(frozen=True, eq=False)
class ByteTanh(_TableTanh, ElementwiseLayer):
    """int8 at 2^-5 a step, so within [-4, 4), to int8 at 2^-7: one table look-up."""

    kind: ClassVar[str] = "byte_tanh"
    activation: ClassVar[str] = "int8"
    input_scale: ClassVar[float] = 2.0**-5
    output_scale: ClassVar[float] = 2.0**-7

    def fits(self, activation: str) -> bool:
        return activation == "int8"

    def run(self, x: Array) -> Array:
        return byte_table()[x.astype(np.int32) + 128]

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        ends = self.run(np.stack([low, high]).astype(np.int8)).astype(np.float64)  # the table rises
        return ends[0], ends[1]


@cache
def _error(activation: str) -> float:
    """How far a table is from the hyperbolic tangent, over all its inputs."""
    limits = np.iinfo(activation)
    x = np.arange(limits.min, limits.max + 1)[:, None]
    layer = TWINS[activation](1)
    return float(np.abs(layer.run(x.astype(activation)) - layer.exact(x)).max()) * (1 + 1e-12)


TWINS: dict[str, type[IntegerTanh] | type[ByteTanh]] = {"int8": ByteTanh, "int16": IntegerTanh}
