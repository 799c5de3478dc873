"""Each layer against plain scalar arithmetic, and its interval bounds against what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.layers import LAYERS
from tinyctl.layers.base import F32, Array, Layer, StatefulLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.curve import IntegerCurve
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.elu import Elu
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.history import History
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.leaky_relu import LeakyRelu
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.softsign import Softsign
from tinyctl.layers.tanh import CLAMP, LINEAR, ByteTanh, IntegerTanh, Tanh, tanh_f32, tanh_table

EDGES = np.array([0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, -1e-39, 3.4028235e38, -3.4028235e38, 1.0, -1.0], F32)
RATE = 100.0


def bits(x: Array) -> Array:
    return np.ascontiguousarray(x, F32).view(np.uint32)


def floats(*values: float) -> Array:
    return np.array(values, F32)


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("storage", ["csr", "straight"])
def test_a_skipped_zero_keeps_the_sign_of_a_zero_sum(storage: str) -> None:
    weight, bias, x = floats(0.0, -0.0)[None], floats(-0.0), floats(1.0, 1.0)[None]
    assert bits(Dense(weight, bias).run(x)).tolist() == [[0]]
    assert bits(Dense(weight, bias, storage).run(x)).tolist() == [[0x8000_0000]]
    random = rng()
    weight = np.where(random.random((9, 30)) < 0.3, random.standard_normal((9, 30)), 0.0).astype(F32)
    x, bias = random.standard_normal((50, 30)).astype(F32), random.standard_normal(9).astype(F32)
    np.testing.assert_array_equal(bits(Dense(weight, bias, storage).run(x)), bits(Dense(weight, bias).run(x)))


def test_storage_is_checked() -> None:
    with pytest.raises(TinyctlError, match="dense: storage 'coo' is not one of dense, csr, straight"):
        Dense(np.ones((1, 1), F32), np.zeros(1, F32), "coo")
    with pytest.raises(TinyctlError, match="2047 inputs; straight-line code reads at most 2046"):
        Dense(np.ones((1, 2047), F32), np.zeros(1, F32), "straight")


def test_every_layer_is_found() -> None:
    assert set(LAYERS) == {
        "screen",
        "scale",
        "dense",
        "relu",
        "tanh",
        "fast_tanh",
        "clip",
        "lag",
        "integral",
        "encode",
        "decode",
        "requantize",
        "integer_dense",
        "integer_tanh",
        "byte_tanh",
        "add",
        "history",
        "concat",
        "leaky_relu",
        "elu",
        "sigmoid",
        "softsign",
        "integer_table",
        "byte_table",
        "integer_leaky_relu",
        "integer_add",
        "integer_lag",
        "integer_integral",
        "integer_history",
        "integer_curve",
    }


# --- float layers -----------------------------------------------------------------------------------------------------


def test_dense_sums_in_order_and_rounds_each_step() -> None:
    layer = Dense(rng().standard_normal((5, 7)).astype(F32), rng().standard_normal(5).astype(F32))
    x = (rng().standard_normal((20, 7)) * 10.0 ** rng().integers(-8, 8, (20, 7))).astype(F32)
    expected = np.empty((20, 5), F32)
    for k in range(20):
        for i in range(5):
            total = layer.bias[i]
            for j in range(7):
                total = F32(total + F32(layer.weight[i, j] * x[k, j]))
            expected[k, i] = total
    assert (bits(layer.run(x)) == bits(expected)).all()
    # A sum in another order differs: the order is what is tested here.
    assert (bits(layer.run(x)) != bits(x @ layer.weight.T + layer.bias)).any()


def test_dense_keeps_the_sign_of_zero_as_c_does() -> None:
    layer = Dense(floats(1.0)[None], floats(-0.0))
    assert bits(layer.run(floats(-0.0)[None]))[0, 0] == 0x80000000
    assert bits(layer.run(floats(0.0)[None]))[0, 0] == 0


def test_scale() -> None:
    layer = Scale(floats(3.0, 0.1), floats(0.0, -0.7))
    x = np.stack([EDGES[:8] / 4, EDGES[:8] / 4], axis=1)
    expected = [[F32(F32(v * g) + o) for v, g, o in zip(row, layer.gain, layer.offset, strict=True)] for row in x]
    assert (bits(layer.run(x)) == bits(np.array(expected))).all()


def test_relu_returns_the_positive_zero() -> None:
    x = np.concatenate([EDGES, floats(2.5, -2.5)])[None]
    found = Relu(x.shape[1]).run(x)
    assert (bits(found) == bits(np.array([v if v > 0 else 0.0 for v in x[0]]))).all()
    whole = np.array([[-32768, -1, 0, 1, 32767]], np.int16)
    found = Relu(5).run(whole)
    assert found.dtype == np.int16
    assert found.tolist() == [[0, 0, 0, 1, 32767]]


def test_clip() -> None:
    layer = Clip(np.full(10, -1.0, F32), np.full(10, 0.5, F32))
    expected = [max(min(float(v), 0.5), -1.0) if v != 0 else v for v in EDGES]  # zeros keep their sign
    assert (bits(layer.run(EDGES[None])) == bits(np.array(expected))).all()


def test_screen() -> None:
    inputs = tuple(Input(n, "1", "", -2.0, 3.0, 0.25) for n in "abc")
    contract = Contract(inputs, (Output("u", "1", "", -1.0, 1.0),), RATE)
    screen = Screen.of(contract)
    signalling = np.array([0x7F800001, 0xFF812345, 0x7FC00000], np.uint32).view(F32)
    x = np.stack(
        [
            floats(-0.0, 1e-45, 1.0),
            floats(-9.0, 9.0, 3.0),
            floats(np.nan, np.inf, -np.inf),
            signalling,
            floats(3.4e38, -3.4e38, np.nan),
        ]
    )
    assert screen.rejected(x).tolist() == [False, False, True, True, True]
    expected = np.stack(
        [
            floats(-0.0, 1e-45, 1.0),
            floats(-2.0, 3.0, 3.0),
            floats(0.25, 0.25, 0.25),
            floats(0.25, 0.25, 0.25),
            floats(3.0, -2.0, 0.25),
        ]
    )
    assert (bits(screen.run(x)) == bits(expected)).all()


# --- tanh -------------------------------------------------------------------------------------------------------------


def around(value: np.float32, ulps: int) -> Array:
    return (int(value.view(np.uint32)) + np.arange(-ulps, ulps + 1)).astype(np.uint32).view(F32)


def test_tanh_accuracy_range_and_symmetry() -> None:
    x = np.concatenate(
        [
            np.linspace(-10, 10, 1_000_001).astype(F32),
            np.geomspace(1e-45, 3e38, 300_001).astype(F32),
            around(CLAMP, 50_000),
            around(LINEAR, 50_000),
            around(F32(1), 1000),
            EDGES,
        ]
    )
    y = tanh_f32(x)
    assert np.abs(y.astype(np.float64) - np.tanh(x.astype(np.float64))).max() < 4.2e-7
    assert np.abs(y).max() == 1.0
    assert (bits(tanh_f32(-x)) == bits(y) ^ 0x80000000).all()
    assert tanh_f32(np.array([CLAMP]))[0] == 1.0


def test_tanh_of_small_values_is_the_value() -> None:
    x = np.concatenate([np.geomspace(1e-37, LINEAR, 100_001)[:-1].astype(F32), -around(LINEAR, 1000)[:1000]])
    assert (np.abs(np.tanh(x.astype(np.float64)) - x) <= np.spacing(np.abs(x))).all()
    assert (bits(tanh_f32(x)) == bits(x)).all()


def test_tanh_is_nearly_monotonic() -> None:
    y = tanh_f32(np.linspace(-10, 10, 2_000_001).astype(F32))
    assert np.diff(y.astype(np.float64)).min() >= -(2.0**-21)


def test_tanh_of_subnormals_never_reaches_the_division() -> None:
    x = np.array([1, 0x007FFFFF, 0x00800000], np.uint32).view(F32)
    assert (bits(tanh_f32(x)) == bits(x)).all()


def test_tanh_steps_are_rounded_to_float32() -> None:
    """Against the published formula in scalar steps."""
    from tinyctl.layers.tanh import DENOMINATOR, NUMERATOR

    x = np.concatenate([rng().uniform(-9, 9, 300).astype(F32), EDGES])
    for v, found in zip(x, tanh_f32(x), strict=True):
        t = min(max(v, -CLAMP), CLAMP)
        z2, p, q = F32(t * t), NUMERATOR[0], DENOMINATOR[0]
        for c in NUMERATOR[1:]:
            p = F32(F32(p * z2) + c)
        for c in DENOMINATOR[1:]:
            q = F32(F32(q * z2) + c)
        expected = t if abs(t) < LINEAR else F32(F32(t * p) / q)
        assert bits(found) == bits(expected)


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


# --- memory -----------------------------------------------------------------------------------------------------------


def test_lag_is_its_analytic_step_response() -> None:
    layer = Lag(2, (1,), 0.15, floats(0.2))
    (state,) = (np.tile(slot.initial, (1, 1)) for slot in layer.state())
    x = floats(7.0, 1.0)[None]
    for k in range(1, 200):
        y, (state,) = layer.step(x, (state,), np.array([False]), RATE)
        assert y.shape == (1, 3)
        assert y[0, :2].tolist() == [7.0, 1.0]
        assert y[0, 2] == pytest.approx(1 - 0.8 * math.exp(-k / (0.15 * RATE)), abs=3e-6)


def test_lag_one_step_bit_for_bit() -> None:
    layer = Lag(3, (2, 0), 0.02, floats(0.5, -0.25))
    x = rng().standard_normal((50, 3)).astype(F32)
    y = rng().standard_normal((50, 2)).astype(F32)
    _, (found,) = layer.step(x, (y,), np.zeros(50, bool), 333.0)
    alpha = F32(1 - math.exp(-1 / (0.02 * 333)))
    for k in range(50):
        for i, column in enumerate((2, 0)):
            assert found[k, i] == F32(y[k, i] + F32(alpha * F32(x[k, column] - y[k, i])))


def test_integral_and_its_clamp() -> None:
    layer = Integral(2, (0,), floats(0.5))
    state = np.zeros((1, 1), F32)
    total = F32(0)
    for value in [1.0] * 80 + [-2.0] * 60:
        y, (state,) = layer.step(floats(value, 3.0)[None], (state,), np.array([False]), RATE)
        total = min(max(F32(total + F32(F32(0.01) * F32(value))), F32(-0.5)), F32(0.5))
        assert y[0].tolist() == [value, 3.0, total]
    assert y[0, 2] == F32(-0.5)  # it came back from the clamp at once: no windup


@pytest.mark.parametrize("layer", [Lag(2, (0,), 0.1, floats(0.3)), Integral(2, (0,), floats(1.0))])
def test_rejected_rows_keep_their_state(layer: StatefulLayer) -> None:
    state = floats(0.125, 0.25, 0.5)[:, None]
    y, (after,) = layer.step(np.ones((3, 2), F32), (state,), np.array([True, False, True]), RATE)
    assert (after[:, 0] == state[:, 0]).tolist() == [True, False, True]
    assert (y[:, 2] == after[:, 0]).all()


# --- integer layers ---------------------------------------------------------------------------------------------------


def integer_dense(r: np.random.Generator) -> IntegerDense:
    return IntegerDense(
        "int16",
        r.integers(-9000, 9000, (3, 5)).astype(np.int16),
        r.integers(-(2**28), 2**28, 3).astype(np.int32),
        r.integers(0, 2**20, 3).astype(np.int32),
    )


def test_integer_dense_is_exact() -> None:
    layer = integer_dense(rng())
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


def reals() -> np.ndarray:
    """(n, 1) float32: zeros of both signs, subnormals, small and large values."""
    spread = np.logspace(-45, 4, 20_001)
    return np.concatenate([[0.0, -0.0], np.linspace(-12, 12, 200_001), spread, -spread]).astype(F32)[:, None]


@pytest.mark.parametrize(
    ("layer", "exact", "limit"),
    [
        (Sigmoid(1), lambda v: 0.5 + 0.5 * np.tanh(v / 2), 3e-7),
        (Softsign(1), lambda v: v / (1 + np.abs(v)), 2e-7),
        (Elu(1, 1.0), lambda v: np.where(v > 0, v, np.expm1(np.minimum(v, 0))), 4e-7),
        (Elu(1, 2.5), lambda v: np.where(v > 0, v, 2.5 * np.expm1(np.minimum(v, 0))), 1.2e-6),
        (LeakyRelu(1, 0.1), lambda v: np.where(v > 0, v, v * float(F32(0.1))), 5e-4),
    ],
)
def test_activations_are_near_their_functions(
    layer: Layer, exact: Callable[[np.ndarray], np.ndarray], limit: float
) -> None:
    x = reals()
    found = layer.run(x)
    assert found.dtype == F32
    assert np.abs(found - exact(x.astype(np.float64))).max() < limit
    low, high = layer.bound(x[:, 0].astype(np.float64), x[:, 0].astype(np.float64))
    assert (low <= found[:, 0]).all()
    assert (found[:, 0] <= high).all()


def test_activations_keep_tiny_values() -> None:
    x = np.array([[1e-40], [-1e-40], [-3e-8], [0.0]], F32)
    np.testing.assert_array_equal(Softsign(1).run(x), x)
    np.testing.assert_array_equal(Elu(1, 1.0).run(x), x)
    np.testing.assert_array_equal(Sigmoid(1).run(x)[[0, 1, 3]], np.full((3, 1), 0.5, F32))


@pytest.mark.parametrize("make", [lambda: LeakyRelu(1, -0.1), lambda: LeakyRelu(1, math.nan), lambda: Elu(1, 0.0)])
def test_activations_refuse_odd_parameters(make: Callable[[], Layer]) -> None:
    with pytest.raises(TinyctlError, match="is not between"):
        make()


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


def test_arrays_of_a_layer_cannot_be_changed() -> None:
    gain = floats(1.0)
    layer = Scale(gain, floats(0.0))
    with pytest.raises(ValueError, match="read-only"):
        layer.gain[0] = 2.0
    gain[0] = 3.0  # the caller's own
    assert layer.gain[0] == 1.0


def curve(r: np.random.Generator) -> IntegerCurve:
    knots = np.cumsum(r.integers(-60, 61, 513)).astype(np.int16)
    return IntegerCurve(5, int(r.integers(1, 2**15)), int(r.integers(10, 17)), 8, 1, 2**14, knots)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_curve_is_the_lines_between_its_knots(seed: int) -> None:
    layer = curve(np.random.default_rng(seed))
    x = np.arange(-(2**15), 2**15)
    places = np.clip(np.floor(x * layer.multiplier / 2**layer.shift + 0.5), -(2**16), 2**16 - 1)
    line = np.interp(places, np.arange(-256, 257) * 256, layer.knots.astype(float))
    assert (layer.run(x[:, None].astype(np.int16))[:, 0] == 2**14 + np.floor(line / 2 + 0.5)).all()


# --- interval bounds --------------------------------------------------------------------------------------------------


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
    ]


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
    for layer in (integer_dense(r), IntegerTanh(5), Relu(5), Decode(np.full(5, 1e-3, F32)), curve(r)):
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


@pytest.mark.parametrize(
    "layer",
    [
        Relu(3),
        Tanh(3),
        FastTanh(3),
        Scale(floats(2.0, -3.0, 0.1), floats(1, 1, 1)),
        Clip(floats(-1, -1, -1), floats(1, 1, 1)),
        Dense(np.eye(3, dtype=F32) * 4, np.zeros(3, F32)),
    ],
)
def test_lipschitz_bounds_hold(layer: Layer) -> None:
    a, b = (rng().standard_normal((500, 3)).astype(F32), np.random.default_rng(5).standard_normal((500, 3)).astype(F32))
    moved = np.linalg.norm(layer.run(a).astype(np.float64) - layer.run(b), axis=1)
    assert (moved <= layer.lipschitz() * np.linalg.norm(a.astype(np.float64) - b, axis=1) + 1e-5).all()


def test_fast_tanh_is_the_rational_of_rl_tools() -> None:
    x = np.concatenate([np.linspace(-4, 4, 100_001).astype(F32), EDGES, floats(0.0003, 0.00029999)])
    y = FastTanh(1).run(x[:, None])[:, 0]
    c = np.clip(x.astype(np.float64), -3, 3)
    exact = c * (27 + c * c) / (27 + 9 * c * c)
    np.testing.assert_allclose(y, exact, rtol=4e-7, atol=1e-45)
    assert np.array_equal(np.signbit(y), np.signbit(x))
    low, high = FastTanh(1).bound(x.astype(np.float64), x.astype(np.float64))
    assert ((low <= y) & (y <= high)).all()


def test_history_keeps_means_of_steps_oldest_first() -> None:
    layer = History(2, (1,), 3, 2, floats(9.0))
    state = tuple(slot.initial[None] for slot in layer.state())
    seen = []
    for value in (1.0, 3.0, 5.0, 7.0, 2.0):
        y, state = layer.step(np.array([[0.5, value]], F32), state, np.array([False]), 100.0)
        seen.append(y[0].tolist())
    assert seen == [
        [0.5, 1.0, 9.0, 9.0, 1.0],
        [0.5, 3.0, 9.0, 9.0, 2.0],
        [0.5, 5.0, 9.0, 2.0, 5.0],
        [0.5, 7.0, 9.0, 2.0, 6.0],
        [0.5, 2.0, 2.0, 6.0, 2.0],
    ]
    y, kept = layer.step(np.array([[0.5, 8.0]], F32), state, np.array([True]), 100.0)
    assert y[0].tolist() == [0.5, 8.0, 2.0, 6.0, 2.0]
    assert all((a == b).all() for a, b in zip(kept, state, strict=True))
