"""Each integer layer against plain arithmetic, at ties and at the ends of its range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import floats, random_curve, random_integer_dense

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.layers.bend import IntegerBend
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.curve import IntegerCurve
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import ByteTanh, IntegerTanh, tanh_table


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_integer_tanh_over_its_whole_range() -> None:
    q = np.arange(-(2**15), 2**15)
    found = IntegerTanh(1).run(q.astype(np.int16)[:, None])[:, 0].astype(np.int64)
    exact = np.tanh(q * 2.0**-12) * 2.0**15
    assert np.abs(found - exact).max() < 2.6
    start, rise = tanh_table()
    for k in (0, 1, 127, 128, 32767, 32768, 40000, 65535, 65408):
        i, rest = divmod(k, 128)
        assert found[k] == int(start[i]) + math.floor(int(rise[i]) * rest / 128 + 0.5)


def test_integer_tanh_table_does_not_hang_on_the_last_bit_of_a_library() -> None:
    """No entry is near a rounding tie, so any good tanh makes the same table on any machine."""
    edges = np.tanh(np.arange(-(2**15), 2**15 + 1, 128) * 2.0**-12) * 2.0**15
    middle = np.tanh((np.arange(512) - 255.5) * 2.0**-5) * 2.0**15
    start = edges[:-1] + (middle - (edges[:-1] + edges[1:]) / 2) / 2
    for values in (start, np.diff(edges)):
        assert np.abs(values - np.floor(values) - 0.5).min() > 1e-6


def test_integer_dense_is_exact() -> None:
    layer = random_integer_dense(rng())
    x = rng().integers(-(2**15), 2**15, (200, 5)).astype(np.int16)
    found = layer.run(x)
    assert found.dtype == np.int16
    for k in range(200):
        for i in range(3):
            total = int(layer.bias[i]) + sum(int(w) * int(v) for w, v in zip(layer.weight[i], x[k], strict=True))
            rounded = (total * int(layer.multiplier[i]) + 2**31) // 2**32
            assert found[k, i] == min(max(rounded, -(2**15)), 2**15 - 1)


def test_integer_dense_refuses_sums_beyond_32_bits() -> None:
    weight = np.full((1, 2), 2**14, np.int16)  # 2 * 2^14 * 2^15 = 2^30
    rest = 2**31 - 1 - 2**30
    for bias in (rest, -rest):
        IntegerDense("int16", weight, np.array([bias], np.int32), np.array([1], np.int32))
    for bias in (rest + 1, -rest - 1):
        with pytest.raises(TinyctlError, match="row 0 could overflow 32 bits"):
            IntegerDense("int16", weight, np.array([bias], np.int32), np.array([1], np.int32))


def test_byte_activations_need_less_room() -> None:
    weight = np.full((1, 1000), 127, np.int8)
    arrays = (weight, np.zeros(1, np.int32), np.array([2**20], np.int32))
    with pytest.raises(TinyctlError, match="row 0 could overflow 32 bits"):
        IntegerDense("int16", *arrays)
    layer = IntegerDense("int8", *arrays)
    assert layer.accumulator_bound().tolist() == [1000 * 127 * 128]
    assert layer.run(np.full((1, 1000), -128, np.int8)).tolist() == [[-128]]


def test_byte_tanh_is_the_nearest_step() -> None:
    x = np.arange(-128, 128).astype(np.int8)
    found = ByteTanh(256).run(x[None])[0]
    assert found.dtype == np.int8
    assert np.abs(found * 2.0**-7 - np.tanh(x * 2.0**-5)).max() <= 2.0**-7
    assert (np.diff(found.astype(int)) >= 0).all()


def wide(weight: int, offset: int, shift: int) -> tuple[Array, Array, Array]:
    return np.array([weight], np.int16), np.array([offset], np.int32), np.array([shift], np.int8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(np.zeros((2, 3), F32), np.zeros(3, F32)), "does not fit weight"),
        (lambda: Dense(np.zeros((2, 3)), np.zeros(2, F32)), "expected float32 with 2 dimensions, found float64"),
        (lambda: Dense(np.zeros(3, F32), np.zeros(1, F32)), "expected float32 with 2 dimensions"),
        (lambda: Dense(np.full((1, 1), np.nan, F32), np.zeros(1, F32)), "not finite"),
        (lambda: Dense(np.zeros((0, 3), F32), np.zeros(0, F32)), "is empty"),
        (lambda: Dense([[1.0]], floats(1.0)), "found list"),
        (lambda: Scale(floats(1.0), floats(1.0, 2.0)), "differ in length"),
        (lambda: Clip(floats(1.0), floats(0.0)), "not increasing"),
        (lambda: Screen(floats(0.0), floats(1.0), floats(2.0)), "lies outside its range"),
        (lambda: Lag(2, (2,), 0.1, floats(0.0)), "not distinct numbers below 2"),
        (lambda: Lag(2, (), 0.1, floats(0.0)), "not distinct numbers"),
        (lambda: Lag(2, (-1,), 0.1, floats(0.0)), "not distinct numbers"),
        (lambda: Lag(2, (1,), 0.1, floats(0.0, 1.0)), "2 initial values for 1"),
        (lambda: Lag(2, (1,), 0.0, floats(0.0)), "time constant"),
        (lambda: Lag(2, (1,), math.nan, floats(0.0)), "time constant"),
        (lambda: Lag(2, (1,), 5e-324, floats(0.0)), "time constant"),
        (lambda: Integral(2, (0, 0), floats(1.0, 1.0)), "not distinct numbers"),
        (lambda: Integral(2, (0,), floats(0.0)), "positive numbers"),
        (lambda: Integral(2, (0,), floats(1.0, 1.0)), "positive numbers"),
        (lambda: Encode("int32", floats(1.0), floats(0.0)), "neither int8 nor int16"),
        (lambda: Encode("int16", floats(1.0), floats(0.0, 1.0)), "differ in length"),
        (lambda: Decode(floats(0.0)), "scale"),
        (lambda: Decode(floats(1e31)), "scale"),
        (lambda: Decode(floats(1e-31)), "scale"),
        (lambda: Requantize("int16", "int16", *wide(1, 0, 0)), "shift is not between 1 and 30"),
        (lambda: Requantize("int16", "int16", *wide(32767, 2**30 + 2**16, 1)), "could overflow 32 bits"),
        (lambda: Requantize("int16", "int64", *wide(1, 0, 1)), "neither int8 nor int16"),
        (lambda: Requantize.of("int16", "int16", np.array([40000.0])), "too large"),
        (
            lambda: IntegerDense("int16", np.ones((2, 2), np.int16), np.ones(2, np.int32), np.ones(1, np.int32)),
            "does not fit",
        ),
        (
            lambda: IntegerDense("int16", np.ones((1, 1), np.int16), np.ones(1, np.int32), -np.ones(1, np.int32)),
            "is negative",
        ),
        (
            lambda: IntegerDense("int16", np.ones((1, 1), np.int32), np.ones(1, np.int32), np.ones(1, np.int32)),
            r"expected int8\|int16",
        ),
        (
            lambda: IntegerDense("int8", np.full((1, 1), -128, np.int8), np.ones(1, np.int32), np.ones(1, np.int32)),
            "most negative",
        ),
        (
            lambda: IntegerDense("int32", np.ones((1, 1), np.int8), np.ones(1, np.int32), np.ones(1, np.int32)),
            "neither int8 nor int16",
        ),
        (lambda: IntegerCurve(1, 1, 0, 7, 0, 0, np.zeros(512, np.int16)), "512 knots instead of 513"),
        (lambda: IntegerCurve(1, 1, 31, 7, 0, 0, np.zeros(513, np.int16)), "out of range"),
        (lambda: IntegerCurve(1, 1, 0, 7, 0, 1, np.full(513, 32767, np.int16)), "beyond 16 bits"),
        (lambda: IntegerCurve(1, 1, 0, 7, 0, 0, np.tile([-32768, 32767], 257)[:513].astype(np.int16)), "rises"),
    ],
)
def test_bad_fields(make: object, message: str) -> None:
    with pytest.raises(TinyctlError, match=message):
        make()  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_curve_is_the_lines_between_its_knots(seed: int) -> None:
    layer = random_curve(np.random.default_rng(seed))
    x = np.arange(-(2**15), 2**15)
    places = np.clip(np.floor(x * layer.multiplier / 2**layer.shift + 0.5), -(2**16), 2**16 - 1)
    line = np.interp(places, np.arange(-256, 257) * 256, layer.knots.astype(float))
    assert (layer.run(x[:, None].astype(np.int16))[:, 0] == 2**14 + np.floor(line / 2 + 0.5)).all()


def test_a_bend_is_two_lines() -> None:
    gain, offset = np.array([0.013, -1.7, 60.0]), np.array([300.25, -20_000.0, 5.5])
    x = np.repeat(np.arange(-(2**15), 2**15)[:, None], 3, axis=1)
    straight = np.clip(x * gain + offset, -(2**15), 2**15 - 1)
    assert np.abs(IntegerBend.of(gain, offset).run(x.astype(np.int16)) - straight).max() < 0.52
    bent = np.clip(x * gain * np.where(x < 0, 0.1, 1.0), -(2**15), 2**15 - 1)
    assert np.abs(IntegerBend.of(gain, 0 * offset, 0.1).run(x.astype(np.int16)) - bent).max() < 0.51
    with pytest.raises(TinyctlError, match="too large"):
        IntegerBend.of(np.array([64.0]), np.zeros(1))
    with pytest.raises(TinyctlError, match="too large"):
        IntegerBend.of(np.array([1e-6]), np.array([30_000.0]))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["int8", "int16"]), st.sampled_from(["int8", "int16"]))
def test_requantize_is_near_its_real_function_and_its_sum_fits_32_bits(seed: int, source: str, target: str) -> None:
    r = np.random.default_rng(seed)
    gain = r.choice([-1.0, 1.0], 4) * 2.0 ** r.uniform(-20, 14, 4)
    offset = r.uniform(-1, 1, 4) * 2.0 ** r.uniform(-3, 15, 4)
    layer = Requantize.of(source, target, gain, offset)
    limits = np.iinfo(source)
    x = np.concatenate([r.integers(limits.min, limits.max + 1, (300, 4)), [[limits.min] * 4, [limits.max] * 4]])
    sums = x * layer.weight.astype(np.int64) + layer.offset
    assert np.abs(sums).max() < 2**31
    y = layer.run(x.astype(source))
    assert y.dtype == target
    exact = np.clip(x * gain + offset, np.iinfo(target).min, np.iinfo(target).max)
    assert np.abs(y - exact).max() <= 1.5
    low, high = layer.bound(x.min(axis=0).astype(float), x.max(axis=0).astype(float))
    assert (low <= y).all()
    assert (y <= high).all()


def test_requantize_by_powers_of_two_is_exact() -> None:
    x = np.arange(-128, 128, dtype=np.int8)[:, None]
    wider = Requantize.of("int8", "int16", np.array([256.0]))
    assert (wider.run(x) == x.astype(np.int16) * 256).all()
    back = Requantize.of("int16", "int8", np.array([1 / 256]))
    assert (back.run(wider.run(x)) == x).all()
    ties = np.array([[-384], [-128], [128], [127], [32767]], np.int16)
    assert back.run(ties)[:, 0].tolist() == [-1, 0, 1, 0, 127]  # floor(v + 1/2), saturated


def test_encode_refuses_what_could_leave_32_bits() -> None:
    layer = Encode("int16", floats(1e6), floats(0.0))
    layer.bound(np.array([-2000.0]), np.array([2000.0]))
    with pytest.raises(TinyctlError, match="could leave 32 bits"):
        layer.bound(np.array([-2200.0]), np.array([2000.0]))
    # Product and offset cancel, but their rounding alone is beyond 32 bits.
    with pytest.raises(TinyctlError, match="could leave 32 bits"):
        Encode("int16", floats(1e18), floats(-1e18)).bound(np.array([1.0]), np.array([1.0]))
