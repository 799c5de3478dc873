"""A fully connected layer: float32, and integer with 32-bit accumulators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array, Layer, array_field


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """`y_i = (..((b_i + w_i0 x_0) + w_i1 x_1) + ..)`: every product and sum rounded to float32, inputs in order.

    `weight` is (n_out, n_in), `bias` (n_out,). The fixed order makes the result a definition, not an approximation.
    """

    kind: ClassVar[str] = "dense"

    weight: Array = array_field("float32", 2)
    bias: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
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
            sums += self.weight[:, j, None] * columns[j]
        return np.ascontiguousarray(sums.T)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        weight, bias = self.weight.astype(np.float64), self.bias.astype(np.float64)
        up, down = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
        # Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: n roundings of relative size 2^-24.
        slack = (np.abs(weight) @ np.maximum(np.abs(low), np.abs(high)) + np.abs(bias)) * (self.n_in + 2) * 2.0**-23
        return up @ low + down @ high + bias - slack, up @ high + down @ low + bias + slack

    def lipschitz(self) -> float:
        return float(np.linalg.norm(self.weight.astype(np.float64), 2))
