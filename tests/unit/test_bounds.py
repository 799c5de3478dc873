"""Interval bounds of layers against what they compute, for random and extreme values."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import floats, random_bend, random_curve, random_integer_dense

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, Layer, StatefulLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.dense import Dense
from tinyctl.layers.diagonal import Diagonal
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.tanh import IntegerTanh, Tanh

RATE = 100.0


def float_layers(width: int, r: np.random.Generator) -> list[Layer]:
    def some(*shape: int) -> Array:
        return (r.standard_normal(shape) * 10.0 ** r.integers(-20, 6, shape)).astype(F32)

    ends = np.sort(some(2, width), axis=0)
    return [
        Dense(some(4, width), some(4)),
        Scale(some(width), some(width)),
        Relu(width),
        Tanh(width),
        FastTanh(width),
        Clip(ends[0], ends[1]),
        Lag(width, (width - 1,), 0.05, some(1)),
        Integral(width, (0,), np.abs(some(1)) + F32(1e-30)),
        *([] if width % 2 else [diagonal(width // 2, r)]),
    ]


def diagonal(pairs: int, r: np.random.Generator) -> Diagonal:
    factor = np.array([0.99, 0.9999, 0.5])[r.integers(0, 3, pairs)] * np.exp(1j * r.uniform(0, 2 * np.pi, pairs))
    return Diagonal(factor.real.astype(F32), factor.imag.astype(F32))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.floats(-20, 4))
def test_float_bounds_hold(seed: int, width: int, size: float) -> None:
    r = np.random.default_rng(seed)
    for layer in float_layers(width, r):
        low, high = np.sort((r.standard_normal((2, width)) * 10.0**size).astype(F32), axis=0)
        corner = np.where(r.random((40, width)) < 0.5, low, high)
        inside = np.clip(r.uniform(low, high, (40, width)).astype(F32), low, high)
        x = np.concatenate([corner, inside])
        floor, ceiling = layer.bound(low.astype(np.float64), high.astype(np.float64))
        if isinstance(layer, StatefulLayer):
            state = tuple(np.tile(slot.initial, (len(x), 1)) for slot in layer.state())
            for _ in range(5):
                y, state = layer.step(r.permutation(x), state, np.zeros(len(x), bool), RATE)
                assert (y >= floor).all()
                assert (y <= ceiling).all()
        else:
            y = layer.run(x)
            assert (y >= floor).all(), layer
            assert (y <= ceiling).all(), layer


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_integer_bounds_hold(seed: int) -> None:
    r = np.random.default_rng(seed)
    low, high = np.sort(r.integers(-(2**15), 2**15, (2, 5)), axis=0)
    corner = np.where(r.random((40, 5)) < 0.5, low, high)
    x = np.concatenate([corner, r.integers(low, high + 1, (40, 5))]).astype(np.int16)
    for layer in (
        random_integer_dense(r),
        IntegerTanh(5),
        Relu(5),
        Decode(np.full(5, 1e-3, F32)),
        random_curve(r),
        random_bend(r),
    ):
        floor, ceiling = layer.bound(low.astype(np.float64), high.astype(np.float64))
        y = layer.run(x)
        assert (y >= floor).all(), layer
        assert (y <= ceiling).all(), layer


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(-6, 6))
def test_encode_bounds_hold_and_its_sum_fits_32_bits(seed: int, size: float) -> None:
    r = np.random.default_rng(seed)
    low, high = np.sort((r.standard_normal((2, 5)) * 10.0**size).astype(F32), axis=0)
    layer = Encode("int16", (r.standard_normal(5) * 1e4).astype(F32), (r.standard_normal(5) * 1e4).astype(F32))
    try:
        floor, ceiling = layer.bound(low.astype(np.float64), high.astype(np.float64))
    except TinyctlError:
        return
    x = np.concatenate([np.where(r.random((40, 5)) < 0.5, low, high), low[None], high[None]])
    assert np.abs(x * layer.gain + layer.offset + F32(0.5)).max() < 2.0**31
    y = layer.run(x)
    assert (y >= floor).all()
    assert (y <= ceiling).all()


def test_dense_bounds_cover_roundings_that_all_go_one_way() -> None:
    n = 1000
    up = F32(2.0**-24 * 1.01)  # each addition to a sum from 1 on is rounded up
    layer = Dense(np.ones((1, n), F32), floats(1.0))
    y = layer.run(np.full((1, n), up))[0, 0]
    assert float(y) > 1 + n * float(up) * 1.5
    low, high = layer.bound(np.full(n, float(up)), np.full(n, float(up)))
    assert low[0] < float(y) <= high[0]


def test_bounds_tell_overflow_on_the_way() -> None:
    """The result is small, but a partial result passes the largest float32."""
    big = 3e38
    ends = np.array([1.0, 1.0]), np.array([1.0, 1.0])
    assert np.isinf(Dense(floats(big, -big)[None], floats(big)).bound(*ends)[1]).all()
    assert np.isinf(Scale(floats(big, 1.0), floats(-big, 0.0)).bound(np.ones(2) * 2, np.ones(2) * 2)[1])[0]
    assert np.isinf(Lag(1, (0,), 0.1, floats(-big)).bound(np.array([0.0]), np.array([big]))[1])[1]
    assert np.isinf(Integral(1, (0,), floats(1.0)).bound(np.array([0.0]), np.array([big]))[1])[1]
