"""Each float layer against plain scalar arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from networks import floats

from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.layers import LAYERS
from tinyctl.layers.base import F32, Array, Layer, StatefulLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
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
from tinyctl.layers.tanh import CLAMP, LINEAR, tanh_f32

EDGES = np.array([0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, -1e-39, 3.4028235e38, -3.4028235e38, 1.0, -1.0], F32)
RATE = 100.0


def bits(x: Array) -> Array:
    return np.ascontiguousarray(x, F32).view(np.uint32)


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
        "integer_bend",
        "unit_delay",
        "integer_unit_delay",
        "multiply",
        "integer_multiply",
        "products",
        "integer_products",
        "vote",
        "diagonal",
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


def test_arrays_of_a_layer_cannot_be_changed() -> None:
    gain = floats(1.0)
    layer = Scale(gain, floats(0.0))
    with pytest.raises(ValueError, match="read-only"):
        layer.gain[0] = 2.0
    gain[0] = 3.0  # the caller's own
    assert layer.gain[0] == 1.0


# --- interval bounds --------------------------------------------------------------------------------------------------


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
