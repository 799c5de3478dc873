"""What every layer is: named fields, shapes, the arithmetic, and how far values can grow.

A layer gives meaning only. How a compiler packs its weights is in `tinyctl/kernels`, the C in `codegen/kernels`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format

Array = NDArray[Any]
F32 = np.float32
FLT_MAX = float(np.finfo(F32).max)
# Fields other than arrays have one form whatever they were made from, so that equal layers have equal files and hashes.
PLAIN: dict[str, Callable[[Any], Any]] = {
    "int": operator.index,
    "float": float,
    "tuple[int, ...]": lambda columns: tuple(map(operator.index, columns)),
}
MAX_WIDTH = 65_536  # columns a layer may read or return; far above any controller this project is for


@dataclass(frozen=True)
class StateSlot:
    """One array a stateful layer keeps between steps: `initial` has shape (columns,), float32 or int32."""

    name: str
    initial: Array


@dataclass(frozen=True)
class Twin:
    """The integer form of a layer: what computes it, and the real value `scale` (n_out,) of one step of its result.

    `layer` None: the result is the same integers as the input, which only mean something else now.
    """

    layer: Layer | None
    scale: Array


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer with one input vector. Arrays are `(batch, columns)`.

    `kind` is the name in files. A layer with `in_place` may write its result over its input: it is elementwise, or
    returns the input with columns appended.
    """

    kind: ClassVar[str]
    in_place: ClassVar[bool] = False

    def fits(self, activation: str) -> bool:
        """Whether it computes in formats with this activation type."""
        return activation == "float32"

    def reads(self, activation: str) -> str:
        """The NumPy type of the input in a node whose format has this activation type."""
        return activation

    def returns(self, activation: str) -> str:
        """The NumPy type of the result, likewise."""
        return activation

    @property
    def n_in(self) -> int:
        raise NotImplementedError

    @property
    def widths(self) -> tuple[int, ...]:
        """The columns of each value it reads."""
        return (self.n_in,)

    @property
    def n_out(self) -> int:
        return self.n_in

    def run(self, x: Array) -> Array:
        """(batch, n_in) -> (batch, n_out), the definition of the arithmetic."""
        raise NotImplementedError

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Interval bounds (n_out,) of the result for inputs within [low, high] (n_in,), float64, rounding included."""
        raise NotImplementedError

    def lipschitz(self) -> float:
        """An upper bound of the Euclidean Lipschitz constant of `run` in real arithmetic."""
        raise NotImplementedError

    # What `tinyctl certify` asks. In real arithmetic a layer is `f(A x + c)`: A and c from `affine`, f by columns.

    def affine(self, rate_hz: float) -> tuple[Array, Array] | None:
        """A (n_out, n_in) and c (n_out,) float64; None stands for A = 1, c = 0. A join reads its inputs side by side.
        A stateful layer leaves out what its state adds to c."""
        return None

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The least and the greatest derivative (n_out,) of f, for real inputs x within [low, high] (n_in,)."""
        return np.ones(self.n_out), np.ones(self.n_out)

    def jacobian(self, low: Array, high: Array) -> tuple[Array, Array] | None:
        """For a layer of another form, in place of `affine` and `slopes`: the least and the greatest of each derivative
        (n_out, n_in) within [low, high]."""
        return None

    def exact(self, x: Array) -> Array:
        """`run` in real arithmetic: (batch, n_in) float64 to (batch, n_out), integers in their own steps."""
        raise NotImplementedError

    def error(self, low: Array, high: Array) -> Array:
        """An upper bound (n_out,) of |run - exact| for stored values within [low, high] (n_in,): all roundings, and
        what a table is off its function."""
        raise NotImplementedError

    # How the quantizer rewrites it. A layer without an integer form is computed in float32 between decode and encode.

    def takes(self, activation: str, scale: Array) -> Array:
        """The scale (columns,) that the integer form wants of an input that comes with `scale`."""
        return scale

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin | None:
        """The integer form in the format `chosen` for inputs of these scales, each (columns,), or None.

        `out` (n_out,) is the scale that fits the calibrated range of the result and its readers; a form whose result
        has a scale of its own returns that one.
        """
        return None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if "dtype" in f.metadata:
                _check_array(value, f.metadata["dtype"], f.metadata["ndim"], f"{self.kind}.{f.name}")
                value = value.copy()  # the caller's stays theirs, this one never changes
                value.flags.writeable = False
            elif str(f.type) in PLAIN:
                value = PLAIN[str(f.type)](value)
            object.__setattr__(self, f.name, value)


@dataclass(frozen=True, eq=False)
class ElementwiseLayer(Layer):
    """The same function of each of `width` columns."""

    in_place: ClassVar[bool] = True

    width: int

    @property
    def n_in(self) -> int:
        return self.width

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        raise NotImplementedError


class StatefulLayer(Layer):
    """A layer with memory. Its `step` replaces `run`; the state is a tuple of arrays `(batch, columns)`."""

    in_place: ClassVar[bool] = True

    def state(self) -> tuple[StateSlot, ...]:
        raise NotImplementedError

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        """One step at `rate_hz`. Rows where `rejected` (batch,) is true keep their state and return from it."""
        raise NotImplementedError

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        """What replaces `exact`: the result of one step from this state, in real arithmetic."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AppendingLayer(StatefulLayer):
    """A layer with memory that appends what it keeps of `columns` to its input, `width` columns wide."""

    width: int
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, self.width, self.kind)

    @property
    def kept(self) -> int:
        """How many values of each column."""
        return 1

    @property
    def n_in(self) -> int:
        return self.width

    @property
    def n_out(self) -> int:
        return self.width + self.kept * len(self.columns)


class JoinLayer(Layer):
    """A layer that reads several values. Its `join` replaces `run`, its `join_bound` replaces `bound`."""

    @property
    def widths(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def n_in(self) -> int:
        return sum(self.widths)

    def join(self, *xs: Array) -> Array:
        """One (batch, columns) for each of `widths` -> (batch, n_out)."""
        raise NotImplementedError

    def join_bound(self, *ranges: tuple[Array, Array]) -> tuple[Array, Array]:
        """Interval bounds of the result, from those of each input."""
        raise NotImplementedError

    def exact_join(self, *xs: Array) -> Array:
        """What replaces `exact`."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PairLayer(JoinLayer):
    """A join of two values of `width` columns each, column by column."""

    width: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.width <= MAX_WIDTH:
            raise TinyctlError(f"{self.width} columns are not possible", where=self.kind)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.width, self.width)

    @property
    def n_out(self) -> int:
        return self.width


def array_field(dtype: str, ndim: int) -> Any:
    """A dataclass field that holds an array of exactly this type, or one of several separated by `|`, and of this
    number of dimensions."""
    return field(metadata={"dtype": dtype, "ndim": ndim})


def _check_array(value: Any, dtype: str, ndim: int, where: str) -> None:
    types = [np.dtype(name) for name in dtype.split("|")]
    if not isinstance(value, np.ndarray) or value.dtype not in types or value.ndim != ndim:
        found = f"{value.dtype} with {value.ndim}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TinyctlError(f"expected {dtype} with {ndim} dimensions, found {found}", where=where)
    if not value.size or max(value.shape) > MAX_WIDTH:
        raise TinyctlError(f"shape {value.shape} is empty or wider than {MAX_WIDTH}", where=where)
    if not np.isfinite(value).all():
        raise TinyctlError("a value is not finite", where=where)


def rounding(reach: Array, operations: int) -> Array:
    """What `operations` float32 roundings can add to results that come from values up to `reach`: half a unit in the
    last place each, and a subnormal's step; infinity where one of them could overflow, so that a graph refuses it."""
    error = operations * (reach * 2.0**-23 + 2.0**-149)
    return np.where(reach + error < FLT_MAX, error, np.inf)


def bell_slopes(derivative: Callable[[Array], Array], low: Array, high: Array) -> tuple[Array, Array]:
    """The least and the greatest value within [low, high] of a derivative that is even and falls away from zero."""
    return np.minimum(derivative(low), derivative(high)), derivative(np.clip(0.0, low, high))


def clip_slopes(low: Array, high: Array, floor: Array | float, ceiling: Array | float) -> tuple[Array, Array]:
    """The derivatives of a clamp to [floor, ceiling] for values within [low, high]."""
    inside, outside = (low >= floor) & (high <= ceiling), (high <= floor) | (low >= ceiling)
    return np.where(inside, 1.0, 0.0), np.where(outside & ~inside, 0.0, 1.0)


def saturating_slopes(layer: Layer, low: Array, high: Array) -> tuple[Array, Array]:
    """The derivatives of the saturation to its type at the end of an affine layer with integer results."""
    limits, form = np.iinfo(layer.activation), layer.affine(0.0)  # type: ignore[attr-defined]
    assert form is not None
    least, most = extremes(form[0], low, high)
    return clip_slopes(least + form[1], most + form[1], limits.min, limits.max)


def extremes(weight: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The least and the greatest `weight @ x` for x within [low, high]. Not as matrix products, whose last bits would
    depend on the machine, and with them the scales that a quantized network gets."""
    up, down = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
    return (up * low + down * high).sum(axis=1), (up * high + down * low).sum(axis=1)


def append(width: int, columns: tuple[int, ...], gain: float, times: int = 1) -> Array:
    """The matrix that appends some columns, times a gain, to all of them, `times` over."""
    unit = np.eye(width)
    return np.concatenate([unit, *[gain * unit[list(columns)]] * times])


def check_integer(activation: str, where: str) -> None:
    """`activation` is one of the integer types."""
    if activation not in ("int8", "int16"):
        raise TinyctlError(f"{activation!r:.20} is neither int8 nor int16", where=where)


def check_columns(columns: tuple[int, ...], n_in: int, where: str) -> None:
    """`columns` names distinct inputs of a layer with `n_in` of them."""
    if not columns or len(set(columns)) != len(columns) or not all(0 <= c < n_in for c in columns):
        raise TinyctlError(f"columns {list(columns)!r:.60} are not distinct numbers below {n_in}", where=where)
