"""The product of two values by columns: the gates of recurrent cells, monomials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import MULTIPLIER_BITS, Format, requantize
from tinyctl.layers.base import Array, JoinLayer, PairLayer, Twin, array_field, check_integer, rounding

Range = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Multiply(PairLayer):
    """`y = a * b` by columns, rounded."""

    kind: ClassVar[str] = "multiply"
    in_place: ClassVar[bool] = True

    def join(self, *xs: Array) -> Array:
        a, b = xs
        return np.asarray(a * b)

    def join_bound(self, *ranges: Range) -> Range:
        low, high = _products(*ranges)
        slack = rounding(np.maximum(np.abs(low), np.abs(high)), 1)
        return low - slack, high + slack

    def lipschitz(self) -> float:
        return math.inf  # it grows with what is multiplied; `jacobian` bounds it over a range

    def jacobian(self, low: Array, high: Array) -> Range:
        return _factors(low, high, np.ones(self.width))

    def exact_join(self, *xs: Array) -> Array:
        a, b = xs
        return np.asarray(a * b)

    def error(self, low: Array, high: Array) -> Array:
        least, most = _products(*_halves(low, high))
        return rounding(np.maximum(np.abs(least), np.abs(most)), 1)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        product = scales[0] * scales[1]
        out = np.maximum(out, 2.001 * product)  # a multiplier stays below one half
        multiplier = np.floor(product / out * 2.0**MULTIPLIER_BITS + 0.5).astype(np.int32)
        return Twin(IntegerMultiply(chosen.activation, multiplier), out)


@dataclass(frozen=True, eq=False)
class IntegerMultiply(JoinLayer):
    """`y = saturate(round(a * b * multiplier / 2^32))` by columns; `multiplier` (n,) int32."""

    kind: ClassVar[str] = "integer_multiply"
    in_place: ClassVar[bool] = True

    activation: str
    multiplier: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        if (self.multiplier < 0).any():
            raise TinyctlError("a multiplier is negative", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def widths(self) -> tuple[int, ...]:
        return (len(self.multiplier), len(self.multiplier))

    @property
    def n_out(self) -> int:
        return len(self.multiplier)

    @property
    def factor(self) -> Array:
        """(n,) float64: what a product is multiplied by."""
        return self.multiplier / 2.0**MULTIPLIER_BITS

    def join(self, *xs: Array) -> Array:
        a, b = (x.astype(np.int64) for x in xs)
        return requantize(a * b, self.multiplier, xs[0].dtype)

    def join_bound(self, *ranges: Range) -> Range:
        low, high = (end * self.factor for end in _products(*ranges))
        limits = np.iinfo(self.activation)
        return np.clip(low - 1, limits.min, limits.max), np.clip(high + 1, limits.min, limits.max)

    def lipschitz(self) -> float:
        return math.inf  # it grows with what is multiplied; `jacobian` bounds it over a range

    def jacobian(self, low: Array, high: Array) -> Range:
        least, most = _factors(low, high, self.factor)
        return np.minimum(least, 0.0), np.maximum(most, 0.0)  # level where it saturates

    def exact_join(self, *xs: Array) -> Array:
        a, b = xs
        limits = np.iinfo(self.activation)
        return np.clip(a * b * self.factor, limits.min, limits.max)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.n_out, 0.5)


def _halves(low: Array, high: Array) -> tuple[Range, Range]:
    n = len(low) // 2
    return (low[:n], high[:n]), (low[n:], high[n:])


def _products(a: Range, b: Range) -> Range:
    """The least and the greatest product of values within two ranges."""
    ends = np.stack([x * y for x in a for y in b])
    return ends.min(axis=0), ends.max(axis=0)


def _factors(low: Array, high: Array, factor: Array) -> Range:
    """The derivatives (n, 2 n) of `factor a b`: by a it is b, by b it is a."""
    (a_low, a_high), (b_low, b_high) = _halves(low, high)
    return tuple(np.hstack([np.diag(factor * b), np.diag(factor * a)]) for b, a in ((b_low, a_low), (b_high, a_high)))  # type: ignore[return-value]
