"""A fully connected layer: float32, and integer with 32-bit accumulators.

Its `storage` is how the C keeps the weights: `dense` has all of them in a table, `csr` those that are not zero in
compressed rows, `straight` writes one line of code for each of those. Skipping a zero changes the sign of a float
zero, so storage is part of the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import MULTIPLIER_BITS, requantize
from tinyctl.layers.base import Array, Layer, array_field, extremes, rounding, saturating_slopes

ACCUMULATOR_LIMIT = 2**31 - 1
STORAGES = ("dense", "csr", "straight")
STRAIGHT_COLUMNS = 2046  # 16-bit inputs that a load can reach by its 12-bit offset


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """`y_i = (..((b_i + w_i0 x_0) + w_i1 x_1) + ..)`: every product and sum rounded to float32, inputs in order.

    `weight` is (n_out, n_in), `bias` (n_out,). The fixed order makes the result a definition, not an approximation.
    Storage other than dense leaves out the products with weights that are zero.
    """

    kind: ClassVar[str] = "dense"

    weight: Array = array_field("float32", 2)
    bias: Array = array_field("float32", 1)
    storage: str = "dense"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_storage(self.storage, self.n_in, "dense")
        if self.bias.shape != self.weight.shape[:1]:
            raise TinyctlError(f"bias {self.bias.shape} does not fit weight {self.weight.shape}", where="dense")

    @property
    def n_in(self) -> int:
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        return int(self.weight.shape[0])

    def run(self, x: Array) -> Array:
        columns = np.ascontiguousarray(x.T)  # (n_in, batch)
        sums = np.repeat(self.bias[:, None], len(x), axis=1)  # (n_out, batch)
        for j in range(self.n_in):
            rows = slice(None) if self.storage == "dense" else np.flatnonzero(self.weight[:, j])
            sums[rows] += self.weight[rows, j, None] * columns[j]
        return np.ascontiguousarray(sums.T)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        bias, slack = self.bias.astype(np.float64), self.error(low, high)
        least, most = extremes(self.weight.astype(np.float64), low, high)
        return least + bias - slack, most + bias + slack

    def lipschitz(self) -> float:
        return float(np.linalg.norm(self.weight.astype(np.float64), 2))

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return self.weight.astype(np.float64), self.bias.astype(np.float64)

    def exact(self, x: Array) -> Array:
        return np.asarray(x @ self.weight.astype(np.float64).T + self.bias.astype(np.float64))

    def error(self, low: Array, high: Array) -> Array:
        weight, bias = np.abs(self.weight.astype(np.float64)), np.abs(self.bias.astype(np.float64))
        reach = (weight * np.maximum(np.abs(low), np.abs(high))).sum(axis=1) + bias
        # Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: n roundings of products, n of sums.
        return rounding(reach, self.n_in + 2)


@dataclass(frozen=True, eq=False)
class IntegerDense(Layer):
    """`y = requantize(bias + weight @ x)`: exact sums in 32 bits, then one rounding to the activation type of `x`.

    `weight` is (n_out, n_in) int8 or int16, without the most negative integer, `bias` (n_out,) int32 in units of the
    sum, `multiplier` (n_out,) int32: the sum's unit over the result's, times 2^32. Weights whose sums could leave 32
    bits for some input are refused: no order of summation can overflow, so the order is free.
    """

    kind: ClassVar[str] = "integer_dense"

    activation: str
    weight: Array = array_field("int8|int16", 2)
    bias: Array = array_field("int32", 1)
    multiplier: Array = array_field("int32", 1)
    storage: str = "dense"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_storage(self.storage, self.n_in, "integer_dense")
        if self.activation not in ("int8", "int16"):
            raise TinyctlError(f"{self.activation!r:.20} is neither int8 nor int16", where="integer_dense")
        if (self.weight == np.iinfo(self.weight.dtype).min).any():
            raise TinyctlError("a weight is the most negative integer", where="integer_dense")
        if not self.bias.shape == self.multiplier.shape == self.weight.shape[:1]:
            raise TinyctlError(
                f"bias {self.bias.shape} or multiplier {self.multiplier.shape} does not fit weight {self.weight.shape}",
                where="integer_dense",
            )
        row = int(self.accumulator_bound().argmax())
        if self.accumulator_bound()[row] > ACCUMULATOR_LIMIT:
            raise TinyctlError(
                f"the sum of row {row} could overflow 32 bits",
                where="integer_dense",
                fix="quantize with smaller weights",
            )
        if (self.multiplier < 0).any():
            raise TinyctlError("a multiplier is negative", where="integer_dense")

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def n_in(self) -> int:
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        return int(self.weight.shape[0])

    def accumulator_bound(self) -> Array:
        """(n_out,) int64: the largest magnitude any partial sum of a row can reach, for any input at all."""
        most = -np.iinfo(self.activation).min
        magnitudes = np.abs(self.weight.astype(np.int64)).sum(axis=1) * most
        return magnitudes + np.abs(self.bias.astype(np.int64))

    def run(self, x: Array) -> Array:
        # float64 holds every partial sum exactly (they stay below 2^31), and its product is the fast one.
        sums = x.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        return requantize(sums.astype(np.int64), self.multiplier, x.dtype)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        least, most = extremes(self.weight.astype(np.float64), low, high)
        factor = self.multiplier / 2.0**MULTIPLIER_BITS
        limits = np.iinfo(self.activation)
        return (
            np.clip((least + self.bias) * factor - 1, limits.min, limits.max),
            np.clip((most + self.bias) * factor + 1, limits.min, limits.max),
        )

    def lipschitz(self) -> float:
        return float(np.linalg.norm(self.affine(0.0)[0], 2))

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        factor = self.multiplier / 2.0**MULTIPLIER_BITS
        return self.weight * factor[:, None], self.bias * factor

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return saturating_slopes(self, low, high)

    def exact(self, x: Array) -> Array:
        (weight, bias), limits = self.affine(0.0), np.iinfo(self.activation)
        return np.clip(x @ weight.T + bias, limits.min, limits.max)

    def error(self, low: Array, high: Array) -> Array:
        return np.full(self.n_out, 0.5)


def count_weights(layer: Dense | IntegerDense) -> int:
    """The weights that are stored: with storage other than dense, those that are not zero."""
    return int(layer.weight.size if layer.storage == "dense" else np.count_nonzero(layer.weight))


def storage_of(layer: Layer) -> str | None:
    """How a dense layer's weights are stored; None for any other layer."""
    return layer.storage if isinstance(layer, Dense | IntegerDense) else None


def _check_storage(storage: str, n_in: int, where: str) -> None:
    if storage not in STORAGES:
        raise TinyctlError(f"storage {storage!r:.20} is not one of {', '.join(STORAGES)}", where=where)
    if storage == "straight" and n_in > STRAIGHT_COLUMNS:
        raise TinyctlError(f"{n_in} inputs; straight-line code reads at most {STRAIGHT_COLUMNS}", where=where)
