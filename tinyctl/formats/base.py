"""Number formats: how real values become stored numbers, and the one rule by which they are rounded.

The rule, everywhere: a real value v becomes the integer floor(v + 1/2). The C does the same, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
F32 = np.float32

MULTIPLIER_BITS = 32  # a requantize multiplier is a fraction of 2^32, so the product's upper word is the result


@dataclass(frozen=True)
class Format:
    """A pair of stored types: `weight` and `activation` are NumPy type names."""

    name: str
    weight: str
    activation: str
    title: str

    @property
    def integer(self) -> bool:
        return np.dtype(self.activation).kind == "i"

    @property
    def weight_limit(self) -> int:
        """The largest weight; the most negative integer is left out, so that a format is symmetric."""
        return int(np.iinfo(self.weight).max)


def encode(y: Array, dtype: np.dtype[Any]) -> Array:
    """float32 -> integer: floor(y + 0.5) saturated to `dtype`; the sum is a float32 sum, as in C."""
    limits = np.iinfo(dtype)
    whole = np.floor(y.astype(F32) + F32(0.5))
    return np.clip(whole, F32(limits.min), F32(limits.max)).astype(dtype)


def decode(q: Array, scale: Array) -> Array:
    """integer -> float32: exact conversion, then one rounded product."""
    return np.asarray(q.astype(F32) * scale)


def high_product(a: Array, multiplier: Array | np.int32) -> Array:
    """a times multiplier / 2^32, both int32, rounded by the rule: int64."""
    half = 1 << (MULTIPLIER_BITS - 1)
    return np.asarray((a.astype(np.int64) * multiplier.astype(np.int64) + half) >> MULTIPLIER_BITS)


def requantize(sums: Array, multiplier: Array, dtype: np.dtype[Any]) -> Array:
    """int32 sums times multiplier / 2^32, rounded by the rule and saturated to `dtype` (SMMULR and SSAT on ARM)."""
    limits = np.iinfo(dtype)
    return np.clip(high_product(sums, multiplier), limits.min, limits.max).astype(dtype)
