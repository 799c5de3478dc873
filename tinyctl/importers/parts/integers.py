"""Integer nodes that keep a file's own scales and zero points, written with the layers of a graph.

An integer q stands for the real `scale * (q - zero)`. Layers know no zero points: that of an input goes into the bias,
that of a result into bias, table or, where it becomes a float again, an offset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import MULTIPLIER_BITS
from tinyctl.importers.parts.body import Body, Value, told
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.bend import IntegerBend
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.curve import SEGMENTS, IntegerCurve
from tinyctl.layers.dense import ACCUMULATOR_LIMIT, IntegerDense
from tinyctl.layers.relu import Relu
from tinyctl.layers.table import ByteTable

FORMATS = {"int8": "w8a8", "int16": "w8a16"}
REACH = 2.0**30  # how large a value to encode may be, in steps: below what 32 bits hold


@dataclass(frozen=True)
class Units:
    """The type of an integer value, and what one stands for."""

    dtype: str
    scale: float
    zero: int

    @property
    def limits(self) -> tuple[int, int]:
        found = np.iinfo(self.dtype)
        return int(found.min), int(found.max)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest real value."""
        least, most = (self.scale * (end - self.zero) for end in self.limits)
        return least, most

    def steps(self, real: Array) -> Array:
        """The integers nearest to real values, saturated; float64."""
        if np.isnan(real).any():
            raise TinyctlError("a constant is not a number")
        return np.clip(np.floor(real / self.scale + self.zero + 0.5), *self.limits)


@dataclass(frozen=True)
class Columns:
    """A node's value; `units` None for float32."""

    value: Value
    units: Units | None = None


def encode(body: Body, x: Value, units: Units, name: str, span: tuple[float, float]) -> Columns:
    """float32 to integers; `span` bounds x. What could leave 32 bits before it saturates is clipped first."""
    if max(abs(side) for side in span) / units.scale > REACH:
        x = body.clip(x, *units.span, f"{name}_span")
    gain = np.full(x.width, 1 / units.scale, F32)
    made = Encode(units.dtype, gain, np.full(x.width, units.zero, F32))
    return Columns(body.node(made, (x,), name, FORMATS[units.dtype]), units)


def decode(body: Body, x: Columns, name: str) -> Value:
    """The value as float32."""
    if x.units is None:
        return x.value
    scale = np.full(x.value.width, x.units.scale, F32)
    made = body.node(Decode(scale), (x.value,), name, FORMATS[x.units.dtype])
    return body.scale(made, 1.0, -x.units.zero * x.units.scale, f"{name}_zero")


def dense(body: Body, x: Columns, weight: Array, unit: Array, bias: Array, units: Units, name: str) -> Columns:
    """`weight` (n_out, n_in) of integers, each row times its `unit` (n_out,); `bias` (n_out,) in steps of the sums."""
    assert x.units is not None
    if (weight == -128).any():
        raise TinyctlError("a weight is -128", where=told(name), fix="convert again with symmetric weights")
    rows, gain = weight.astype(np.int64), x.units.scale * unit / units.scale
    shift = (bias.astype(np.float64) - x.units.zero * rows.sum(axis=1)) * gain + units.zero  # in steps of the result
    # A multiplier is less than a half: rows that need more get larger weights; for one without weights any will do.
    largest = np.abs(rows).max(axis=1)
    factor = np.where(gain < 0.5, 1, 127 // np.maximum(largest, 1))
    gain = np.where(largest == 0, 0.25, gain / factor)
    rows, whole = rows * factor[:, None], np.floor(shift / gain + 0.5)
    multiplier = np.floor(gain * 2.0**MULTIPLIER_BITS + 0.5)
    reach = np.abs(rows).sum(axis=1) * -x.units.limits[0] + np.abs(whole)
    bad = (multiplier > ACCUMULATOR_LIMIT) | ~(reach <= ACCUMULATOR_LIMIT)
    if bad.any():
        raise TinyctlError(
            f"row {int(bad.argmax())} could grow beyond 32 bits",
            where=told(name),
            fix="import the float model and quantize it here",
        )
    made = IntegerDense(units.dtype, rows.astype(np.int8), whole.astype(np.int32), multiplier.astype(np.int32))
    return Columns(body.node(made, (x.value,), name, FORMATS[units.dtype]), units)


def affine(body: Body, x: Columns, gain: Array, offset: Array, units: Units, name: str, slope: float = 1.0) -> Columns:
    """The real value times `gain` plus `offset` (n,); of int16 values times `slope` as well where they are negative."""
    assert x.units is not None
    steps = gain * x.units.scale / units.scale
    shift = offset / units.scale - steps * x.units.zero + units.zero
    bent = units.dtype == "int16"
    made = IntegerBend.of(steps, shift, slope) if bent else Requantize.of("int8", "int8", steps, shift)
    return Columns(body.node(made, (x.value,), name, FORMATS[units.dtype]), units)


def function(body: Body, x: Columns, of: Callable[[Array], Array], units: Units, name: str) -> Columns:
    """A function of each real value of int8: a table."""
    assert x.units is not None
    values = units.steps(of(x.units.scale * (np.arange(-128, 128) - x.units.zero))).astype(np.int8)
    return Columns(body.node(ByteTable(x.value.width, values), (x.value,), name, "w8a8"), units)


def sigmoid(body: Body, x: Columns, kind: str, units: Units, name: str) -> Columns:
    """tanh or sigmoid of int16 values as TensorFlow Lite computes them (`reference/integer_ops/tanh.h`, `logistic.h`):
    256 values of the sigmoid at every 24th with straight lines between, their places with multipliers of 15 bits."""
    assert x.units is not None
    if (units.scale, units.zero) != (2.0**-15, 0):
        raise TinyctlError(f"its result has the scale {units.scale:g} instead of 1/32768", where=told(name))
    place = x.units.scale * 3 * 4096  # 12288 places are 1 for the sigmoid, 1/2 for tanh
    shift = 0
    while place <= 32767 / 2 and shift <= 30:
        place, shift = 2 * place, shift + 1
    if not 1 <= place < 2**15 or shift > 30:
        raise TinyctlError(f"a scale of {x.units.scale:g} is not possible", where=told(name))
    bits, drop, offset = (8, 0, 0) if kind == "tanh" else (9, 1, 2**14)
    half = SEGMENTS // 2
    at = np.clip(np.arange(-half, half + 1), 1 - half, half - 1)  # both last segments are level
    value = 1 / (1 + np.exp(-np.abs(at) / 24))
    raised = value + value * (1 - value) * (2 * value - 1) / 24**2 / 16  # by half of what a chord is too low
    upper = np.where(np.abs(at) < half - 1, np.floor(2.0**16 * raised + 0.5), 2**16 - 1 - drop)
    knots = (np.sign(at) * (upper - 2**15)).astype(np.int16)
    made = IntegerCurve(x.value.width, int(place), shift, bits, drop, offset, knots)
    return Columns(body.node(made, (x.value,), name, "w8a16"), units)


def clamp(body: Body, x: Columns, low: float, high: float, name: str) -> Columns:
    """Clamp the real values; nothing where the type's own limits are narrower."""
    assert x.units is not None
    ends = x.units.steps(np.array([low, high])).astype(x.units.dtype)
    if tuple(ends) == x.units.limits:
        return x
    made: Layer = Clip(*(np.full(x.value.width, end) for end in ends))
    if tuple(ends) == (0, x.units.limits[1]):
        made = Relu(x.value.width)
    return Columns(body.node(made, (x.value,), name, FORMATS[x.units.dtype]), x.units)


def requantize(body: Body, x: Columns, units: Units, name: str) -> Columns:
    """The same real values in other units of the same type."""
    if x.units == units:
        return x
    if units.dtype == "int8":
        return function(body, x, lambda v: v, units, name)
    return affine(body, x, np.ones(x.value.width), np.zeros(x.value.width), units, name)


def concat(body: Body, parts: list[Columns], units: Units, name: str) -> Columns:
    """Side by side, all in the units of the result."""
    values = tuple(requantize(body, part, units, f"{name}_part").value for part in parts)
    made = Concat(tuple(v.width for v in values))
    return Columns(body.node(made, values, name, FORMATS[units.dtype]), units)
