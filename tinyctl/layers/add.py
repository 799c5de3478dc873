"""The sum of two values: residual connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import (
    Array,
    JoinLayer,
    PairLayer,
    Twin,
    array_field,
    check_integer,
    rounding,
    saturating_slopes,
)


@dataclass(frozen=True, eq=False)
class Add(PairLayer):
    """`y = a + b` by columns, rounded."""

    kind: ClassVar[str] = "add"

    def join(self, *xs: Array) -> Array:
        a, b = xs
        return np.asarray(a + b)

    def join_bound(self, *ranges: tuple[Array, Array]) -> tuple[Array, Array]:
        (a_low, a_high), (b_low, b_high) = ranges
        low, high = a_low + b_low, a_high + b_high
        slack = _rounding(low, high)
        return low - slack, high + slack

    def lipschitz(self) -> float:
        return 2.0  # where both inputs are the same value

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.tile(np.eye(self.width), 2), np.zeros(self.width)

    def exact_join(self, *xs: Array) -> Array:
        a, b = xs
        return np.asarray(a + b)

    def error(self, low: Array, high: Array) -> Array:
        return _rounding(*(end[: self.width] + end[self.width :] for end in (low, high)))

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        return Twin(IntegerAdd.of(chosen.activation, np.stack(scales) / out), out)


def _rounding(low: Array, high: Array) -> Array:
    return rounding(np.maximum(np.abs(low), np.abs(high)), 1)


@dataclass(frozen=True, eq=False)
class IntegerAdd(JoinLayer):
    """`y = saturate((a * weight[0] + b * weight[1] + 2^(shift - 1)) >> shift)` by columns.

    `weight` is (2, n) int16, `shift` (n,) int8 from 1 to 30; sums that could leave 32 bits are refused.
    """

    kind: ClassVar[str] = "integer_add"
    in_place: ClassVar[bool] = True

    activation: str
    weight: Array = array_field("int16", 2)
    shift: Array = array_field("int8", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        if self.weight.shape != (2, len(self.shift)):
            raise TinyctlError(f"weight {self.weight.shape} does not fit {len(self.shift)} shifts", where=self.kind)
        if not ((self.shift >= 1) & (self.shift <= 30)).all():
            raise TinyctlError("a shift is not between 1 and 30", where="integer_add")
        reach = -np.iinfo(self.activation).min * np.abs(self.weight.astype(np.int64)).sum(axis=0)
        if (reach + self.half >= 2**31).any():
            raise TinyctlError("a sum could overflow 32 bits", where="integer_add")

    @staticmethod
    def of(activation: str, gain: Array) -> IntegerAdd:
        """The sum of two values times their `gain` (2, n), as fine as 16-bit weights and 32-bit sums allow."""
        most = -float(np.iinfo(activation).min)
        unit = 2.0 ** np.arange(1, 31)[:, None, None]
        weights = np.abs(np.floor(gain * unit + 0.5))
        fits = (weights.max(axis=1) < 2**15) & (weights.sum(axis=1) * most + unit[:, 0] / 2 < 2.0**31)
        if not fits[0].all():
            raise TinyctlError(f"a gain of {np.abs(gain).max():g} is too large", where="integer_add")
        shift = fits.sum(axis=0)
        return IntegerAdd(activation, np.floor(gain * 2.0**shift + 0.5).astype(np.int16), shift.astype(np.int8))

    @property
    def half(self) -> Array:
        """(n,) int64: what rounds the shift."""
        return np.int64(1) << (self.shift.astype(np.int64) - 1)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def widths(self) -> tuple[int, ...]:
        return (len(self.shift), len(self.shift))

    @property
    def n_out(self) -> int:
        return len(self.shift)

    def join(self, *xs: Array) -> Array:
        a, b = (x.astype(np.int64) * weight for x, weight in zip(xs, self.weight, strict=True))
        limits = np.iinfo(self.activation)
        return np.clip((a + b + self.half) >> self.shift, limits.min, limits.max).astype(self.activation)

    def join_bound(self, *ranges: tuple[Array, Array]) -> tuple[Array, Array]:
        least, most = np.zeros(self.n_out), np.zeros(self.n_out)
        for (low, high), weight in zip(ranges, self.weight.astype(np.float64), strict=True):
            ends = np.stack([np.floor(low) * weight, np.ceil(high) * weight])
            least, most = least + ends.min(axis=0), most + ends.max(axis=0)
        limits, unit = np.iinfo(self.activation), 2.0**self.shift
        return tuple(np.clip(np.floor(end / unit + 0.5), limits.min, limits.max) for end in (least, most))  # type: ignore[return-value]

    def lipschitz(self) -> float:
        return float((np.abs(self.weight.astype(np.float64)).sum(axis=0) / 2.0**self.shift).max())

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.concatenate([np.diag(w) for w in self.weight / 2.0**self.shift], axis=1), np.zeros(self.n_out)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return saturating_slopes(self, low, high)

    def exact_join(self, *xs: Array) -> Array:
        a, b = xs
        limits = np.iinfo(self.activation)
        return np.clip((a * self.weight[0] + b * self.weight[1]) / 2.0**self.shift, limits.min, limits.max)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.n_out, 0.5)
