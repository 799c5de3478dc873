"""Integer forms of layers: near the float32 layer, within their bounds, sums within 32 bits at the extremes."""

from __future__ import annotations

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import floats

from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.layers.add import Add, IntegerAdd
from tinyctl.layers.base import F32, Array, JoinLayer, Layer, StatefulLayer, Twin
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.elu import Elu
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.history import History, IntegerHistory
from tinyctl.layers.integral import IntegerIntegral, Integral
from tinyctl.layers.lag import IntegerLag, Lag
from tinyctl.layers.leaky_relu import IntegerLeakyRelu, LeakyRelu
from tinyctl.layers.products import IntegerProducts
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.softsign import Softsign
from tinyctl.layers.table import ByteTable, IntegerTable, segments
from tinyctl.layers.tanh import Tanh
from tinyctl.quantizer import everywhere, measure, quantize, random_sequences

W16A16, W8A8 = find_format("w16a16"), find_format("w8a8")
RATE_HZ = 200.0
WIDTH, REACH = 3, 3.0  # columns, and how large the inputs get


def twin_of(layer: Layer, chosen: object, out: Array | None = None) -> tuple[Twin, list[Array]]:
    """The integer form of a layer for inputs within +-REACH, and its inputs' scales."""
    assert chosen in (W16A16, W8A8)
    natural = np.full(WIDTH, REACH / np.iinfo(chosen.activation).max)  # type: ignore[attr-defined]
    scales = [layer.takes(chosen.activation, natural) for _ in layer.widths]  # type: ignore[attr-defined]
    made = layer.twin(chosen, tuple(scales), natural * 2 if out is None else out, RATE_HZ)  # type: ignore[arg-type]
    assert made is not None
    return made, scales


STATELESS = [
    Relu(WIDTH),
    LeakyRelu(WIDTH, 0.3),
    Tanh(WIDTH),
    FastTanh(WIDTH),
    Sigmoid(WIDTH),
    Softsign(WIDTH),
    Elu(WIDTH, 0.8),
    Clip(np.full(WIDTH, -1, F32), np.full(WIDTH, 2.5, F32)),
    Scale(floats(0.5, -1.5, 1.0), floats(0.1, 0.0, -1.0)),
    Scale(floats(0.5, 1.5, 1.0), floats(0.0, 0.0, 0.0)),
    Add(WIDTH),
    Concat((WIDTH, WIDTH)),
]


@pytest.mark.parametrize("layer", STATELESS, ids=lambda layer: layer.kind)
@pytest.mark.parametrize(("chosen", "steps"), [(W16A16, 4.0), (W8A8, 2.0)], ids=["w16a16", "w8a8"])
def test_twins_are_near_their_layers(layer: Layer, chosen: object, steps: float) -> None:
    made, scales = twin_of(layer, chosen)
    activation = chosen.activation  # type: ignore[attr-defined]
    limits = np.iinfo(activation)
    real = np.random.default_rng(0).uniform(-REACH, REACH, (4000, len(scales), WIDTH))
    q = [
        np.clip(np.floor(real[:, k] / scale + 0.5), limits.min, limits.max).astype(activation)
        for k, scale in enumerate(scales)
    ]
    x = [(values * scale).astype(F32) for values, scale in zip(q, scales, strict=True)]
    if isinstance(layer, JoinLayer):
        assert isinstance(made.layer, JoinLayer)
        exact, found = layer.join(*x), made.layer.join(*q)
    else:
        exact, found = layer.run(x[0]), (q[0] if made.layer is None else made.layer.run(q[0]))
    assert found.dtype == activation
    # The chords of 512 segments are about two steps of 2^-15 from a curve with a bend.
    assert np.abs(found * made.scale - exact).max() <= (steps * made.scale).max()


@pytest.mark.parametrize(
    "layer",
    [
        Lag(WIDTH, (2, 0), 0.05, floats(0.5, -1.0)),
        Integral(WIDTH, (1, 0), floats(0.5, 2.0)),
        History(WIDTH, (2,), 3, 4, floats(0.25)),
    ],
    ids=lambda layer: layer.kind,
)
@pytest.mark.parametrize(("chosen", "steps"), [(W16A16, 2.0), (W8A8, 2.0)], ids=["w16a16", "w8a8"])
def test_stateful_twins_are_near_their_layers(layer: StatefulLayer, chosen: object, steps: float) -> None:
    """Over a second: the wide state lets no rounding add up beyond what the input's own steps make."""
    made, (scale,) = twin_of(layer, chosen)
    assert isinstance(made.layer, StatefulLayer)
    n = 50
    rng = np.random.default_rng(1)
    states = [tuple(np.tile(s.initial, (n, 1)) for s in which.state()) for which in (layer, made.layer)]
    level = rng.uniform(-REACH, REACH, (n, WIDTH))
    for k in range(200):
        rejected = rng.random(n) < 0.05
        q = np.floor(level * np.sin(k / 20) / scale + 0.5).astype(chosen.activation)  # type: ignore[attr-defined]
        exact, states[0] = layer.step((q * scale).astype(F32), states[0], rejected, RATE_HZ)
        found, states[1] = made.layer.step(q, states[1], rejected, RATE_HZ)
        assert np.abs(found * made.scale - np.clip(exact, -REACH, REACH)).max() <= (steps * made.scale).max()


def some_layers(r: np.random.Generator, activation: str, width: int) -> list[Layer]:
    """Integer layers with random numbers, extreme ones among them."""
    limits = np.iinfo(activation)
    ends = np.sort(r.integers(limits.min, limits.max + 1, (2, width)), axis=0).astype(activation)
    gain = r.choice([-1.0, 1.0], (2, width)) * 2.0 ** r.uniform(-20, 13, (2, width))
    start = r.integers(-(2**15) + 1, 2**15, 512).astype(np.int16)
    table: Layer = ByteTable(width, r.integers(-128, 128, 256).astype(np.int8))
    if activation == "int16":
        table = IntegerTable(width, start, (r.integers(-(2**15) + 1, 2**15, 512) // 2 - start // 2).astype(np.int16))
    extreme = r.choice([limits.min, limits.max, 0], 1).astype(np.int32)
    initial = r.choice([-(2**29), 2**29 - 2 ** (30 - limits.bits), 0], 1).astype(np.int32)
    return [
        Relu(width),
        IntegerLeakyRelu(width, activation, int(r.choice([0, 1, 3277, 2**15 - 1, 2**15]))),
        Clip(ends[0], ends[1]),
        IntegerAdd.of(activation, gain),
        Concat((width, width)),
        IntegerProducts(
            width, (0, width), (width - 1, width), activation, r.choice([1, 2**16, 2**31 - 1], 2).astype(np.int32)
        ),
        table,
        IntegerLag(width, (width - 1,), float(r.choice([1e-9, 1e-3, 0.1, 100.0])), activation, initial),
        IntegerIntegral(width, (0,), activation, r.choice([1, 2**16, 2**31 - 1], 1).astype(np.int32)),
        IntegerHistory(width, (0,), 2, int(r.choice([1, 3, 1000])), activation, extreme),
    ]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["int8", "int16"]), st.integers(1, 5))
def test_bounds_hold_and_nothing_leaves_32_bits(seed: int, activation: str, width: int) -> None:
    r = np.random.default_rng(seed)
    limits = np.iinfo(activation)
    low, high = np.sort(r.choice([limits.min, limits.max, 0, int(r.integers(limits.min, limits.max))], (2, width)), 0)
    x = np.where(r.random((60, width)) < 0.5, low, high)
    x = np.concatenate([x, r.integers(low, high + 1, (60, width))]).astype(activation)
    ends = low.astype(np.float64), high.astype(np.float64)
    for layer in some_layers(r, activation, width):
        if isinstance(layer, JoinLayer):
            floor, ceiling = layer.join_bound(ends, ends)
            results = [layer.join(x, r.permutation(x))]
        elif isinstance(layer, StatefulLayer):
            floor, ceiling = layer.bound(*ends)
            results, state = [], tuple(np.tile(slot.initial, (len(x), 1)) for slot in layer.state())
            for _ in range(6):
                y, state = layer.step(r.permutation(x), state, np.zeros(len(x), bool), RATE_HZ)
                results.append(y)
                assert all(array.dtype == np.int32 for array in state)
                if not isinstance(layer, IntegerHistory):
                    assert np.abs(state[0]).max() <= 2**30
        else:
            floor, ceiling = layer.bound(*ends)
            results = [layer.run(x)]
        for y in results:
            assert y.dtype == activation
            assert (y >= floor).all(), layer
            assert (y <= ceiling).all(), layer
        if isinstance(layer, IntegerAdd):
            reach = np.abs(layer.weight.astype(np.int64)).sum(axis=0) * -int(limits.min) + layer.half
            assert (reach < 2**31).all()


def test_a_table_saturates_where_its_function_leaves_the_range() -> None:
    start, rise = segments(lambda x: 4 * x, 2.0**-15, 2.0**-15)
    table = IntegerTable(1, start, rise)
    x = np.arange(-(2**15), 2**15).astype(np.int16)[:, None]
    assert np.abs(table.run(x) - np.clip(4 * x.astype(int), -32767, 32767)).max() <= 128
    assert (np.diff(table.run(x)[:, 0].astype(int)) >= 0).all()
    with pytest.raises(TinyctlError, match="leaves 16 bits"):
        IntegerTable(1, np.full(512, 32767, np.int16), np.ones(512, np.int16))


def test_an_integral_without_a_sensible_integer_form_stays_float() -> None:
    layer = Integral(1, (0,), floats(1e6))
    assert layer.twin(W16A16, (np.full(1, 1e-9),), np.ones(2), 1000.0) is None


def test_everything_in_integers_is_as_exact_as_the_usual_mix() -> None:
    made = networks.demo_size()
    data = random_sequences(made.contract, None, None)
    graph = quantize(made, everywhere(made, "w16a16"), data)
    assert measure(made, graph, data)[0] < 3e-4
    assert {node.format for node in graph.nodes[1:-1]} == {"w16a16"}
    assert [node.layer.kind for node in graph.nodes[:4]] == ["screen", "encode", "integer_lag", "integer_integral"]
