"""Products of columns appended to them, each of two earlier ones: the monomials of a dictionary policy.

A product may be a factor of a later one, so that monomials share what they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import MULTIPLIER_BITS, Format, requantize
from tinyctl.layers.base import MAX_WIDTH, Array, Layer, Twin, array_field, check_integer, rounding

Range = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class ProductsLayer(Layer):
    """Appends to `width` columns the products of columns `left[k]` and `right[k]`; both may be earlier products."""

    in_place: ClassVar[bool] = True

    width: int
    left: tuple[int, ...]
    right: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.left or len(self.left) != len(self.right) or not 1 <= self.width <= MAX_WIDTH - len(self.left):
            raise TinyctlError(
                f"{self.width} columns, {len(self.left)} left and {len(self.right)} right factors", where=self.kind
            )
        for k, pair in enumerate(self.pairs, self.width):
            if not all(0 <= factor < k for factor in pair):
                raise TinyctlError(f"column {k} is a product of columns {pair}, not of earlier ones", where=self.kind)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The two columns of each product."""
        return tuple(zip(self.left, self.right, strict=True))

    @property
    def n_in(self) -> int:
        return self.width

    @property
    def n_out(self) -> int:
        return self.width + len(self.left)

    def multiplied(self, x: Array, product: Callable[[Array, Array, int], Array]) -> Array:
        """(..., width) to (..., n_out), product k being `product(a, b, k)` of its factors."""
        y = np.empty((*x.shape[:-1], self.n_out), x.dtype)
        y[..., : self.width] = x
        for k, (a, b) in enumerate(self.pairs):
            y[..., self.width + k] = product(y[..., a], y[..., b], k)
        return y

    def bound(self, low: Array, high: Array) -> Range:
        return self._ranges(low, high)

    def jacobian(self, low: Array, high: Array) -> Range:
        """By the product rule over ranges, the factors' derivatives carried along."""
        low, high = self._ranges(low, high)
        least, most = (np.vstack([np.eye(self.width), np.zeros((len(self.left), self.width))]) for _ in range(2))
        for k, (a, b) in enumerate(self.pairs):
            parts = [_product((low[i], high[i]), (least[j], most[j])) for i, j in ((a, b), (b, a))]
            least[self.width + k], most[self.width + k] = self._slope(
                k, low[self.width + k], high[self.width + k], parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
            )
        return least, most

    def lipschitz(self) -> float:
        return math.inf  # it grows with what is multiplied; `jacobian` bounds it over a range

    def error(self, low: Array, high: Array) -> Array:
        """What a product's factors are off, times the other one, and its own rounding."""
        low, high = self._ranges(low, high)
        reach, found = np.maximum(np.abs(low), np.abs(high)), np.zeros(self.n_out)
        for k, (a, b) in enumerate(self.pairs):
            carried = reach[a] * found[b] + reach[b] * found[a] + found[a] * found[b]
            found[self.width + k] = self._error(k, carried, reach[a] * reach[b])
        return found

    def _ranges(self, low: Array, high: Array) -> Range:
        low, high = (np.concatenate([end, np.zeros(len(self.left))]) for end in (low, high))
        for k, (a, b) in enumerate(self.pairs, self.width):
            least, most = _product((low[a], high[a]), (low[b], high[b]))
            if a == b:  # a square is not negative
                least = np.maximum(least, 0.0)
            low[k], high[k] = self._rounded(k - self.width, least, most)
        return low, high

    def _rounded(self, k: int, low: Array, high: Array) -> Range:
        """The range of product k as it is computed, from the real product's."""
        raise NotImplementedError

    def _slope(self, k: int, low: Array, high: Array, least: Array, most: Array) -> Range:
        """The derivatives of product k, whose range is [low, high], from those of its factors' real product."""
        raise NotImplementedError

    def _error(self, k: int, carried: Array, reach: Array) -> Array:
        """How far product k is off, where its factors' errors make `carried`; it is at most `reach` in magnitude."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Products(ProductsLayer):
    """Float32; each product is rounded."""

    kind: ClassVar[str] = "products"

    def run(self, x: Array) -> Array:
        return self.multiplied(x, lambda a, b, k: a * b)

    def exact(self, x: Array) -> Array:
        return self.multiplied(x, lambda a, b, k: a * b)

    def _rounded(self, k: int, low: Array, high: Array) -> Range:
        slack = rounding(np.maximum(np.abs(low), np.abs(high)), 1)
        return low - slack, high + slack

    def _slope(self, k: int, low: Array, high: Array, least: Array, most: Array) -> Range:
        return least, most

    def _error(self, k: int, carried: Array, reach: Array) -> Array:
        return carried + rounding(carried + reach, 1)

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        scale = np.concatenate([scales[0], out[self.width :]])
        multiplier = np.empty(len(self.left), np.int32)
        for k, (a, b) in enumerate(self.pairs):
            product = scale[a] * scale[b]
            own = self.width + k
            scale[own] = max(scale[own], 2.001 * product)  # a multiplier stays below one half
            multiplier[k] = math.floor(product / scale[own] * 2.0**MULTIPLIER_BITS + 0.5)
        return Twin(IntegerProducts(self.width, self.left, self.right, chosen.activation, multiplier), scale)


@dataclass(frozen=True, eq=False)
class IntegerProducts(ProductsLayer):
    """Integers: `saturate(round(a * b * multiplier / 2^32))`; `multiplier` (products,) int32."""

    kind: ClassVar[str] = "integer_products"

    activation: str
    multiplier: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        if self.multiplier.shape != (len(self.left),) or (self.multiplier < 0).any():
            raise TinyctlError("multipliers are not one for each product, or negative", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def factor(self) -> Array:
        """(products,) float64: what a product is multiplied by."""
        return self.multiplier / 2.0**MULTIPLIER_BITS

    @property
    def limits(self) -> np.iinfo[np.signedinteger]:
        return np.iinfo(self.activation)

    def run(self, x: Array) -> Array:
        def product(a: Array, b: Array, k: int) -> Array:
            return requantize(a.astype(np.int64) * b, self.multiplier[k], x.dtype)

        return self.multiplied(x, product)

    def exact(self, x: Array) -> Array:
        factor, limits = self.factor, self.limits
        return self.multiplied(x, lambda a, b, k: np.clip(a * b * factor[k], limits.min, limits.max))

    def _rounded(self, k: int, low: Array, high: Array) -> Range:
        limits, factor = self.limits, self.factor[k]
        return np.clip(factor * low - 1, limits.min, limits.max), np.clip(factor * high + 1, limits.min, limits.max)

    def _slope(self, k: int, low: Array, high: Array, least: Array, most: Array) -> Range:
        factor = self.factor[k]
        return np.minimum(factor * least, 0.0), np.maximum(factor * most, 0.0)  # level where it saturates

    def _error(self, k: int, carried: Array, reach: Array) -> Array:
        return self.factor[k] * carried + 0.5


def _product(a: Range, b: Range) -> Range:
    """The least and the greatest product of values within two ranges."""
    ends = np.stack([x * y for x in a for y in b])
    return ends.min(axis=0), ends.max(axis=0)
