"""Hyperbolic tangent: one rational for float32, one table for integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinyctl.layers.base import F32, Array, Layer

# A rational minimax approximation, odd 13th degree over even 6th, on [-9, 9]: coefficients as published in the Eigen
# library (MathFunctionsImpl.h, generic_fast_tanh_float); the largest error against float64 is 2.8e-7.
NUMERATOR = tuple(F32(c) for c in (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
                                   5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04,
                                   4.89352455891786e-03))
DENOMINATOR = tuple(F32(c) for c in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03,
                                     4.89352518554385e-03))
CLAMP = F32(7.90531110763549805)  # where the rational first rounds to 1
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
    result: Array = np.where(small, t, (z * p) / q)
    return result


@dataclass(frozen=True, eq=False)
class Tanh(Layer):
    """`y = tanh_f32(x)`, within 2.8e-7 of the hyperbolic tangent and within [-1, 1]."""

    kind: ClassVar[str] = "tanh"
    elementwise: ClassVar[bool] = True

    width: int

    @property
    def n_in(self) -> int:
        return self.width

    def run(self, x: Array) -> Array:
        return tanh_f32(x)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        slack: Any = 3e-7
        return np.maximum(np.tanh(low) - slack, -1.0), np.minimum(np.tanh(high) + slack, 1.0)

    def lipschitz(self) -> float:
        return 1.0
