"""Quantization: sums proven to fit, small errors, floats between integers where a layer has no integer form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyctl import api, archive
from tinyctl.contract import Contract
from tinyctl.emitter import render
from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Encode, Requantize
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import INPUT_SCALE, Tanh
from tinyctl.network import Node, chain
from tinyctl.policy import Policy
from tinyctl.quantizer import (
    as_sequences,
    integer_dense,
    measure,
    quantize,
    random_sequences,
    weight_bytes,
)

W16A16 = find_format("w16a16")


def kinds(graph: Graph) -> list[str]:
    return [f"{n.layer.kind}:{n.format}" for n in graph.nodes]


def policy(*layers: Layer, contract: Contract | None = None) -> Policy:
    contract = contract or networks.tiny_contract()
    named = [(f"n{i}", layer) for i, layer in enumerate(layers)]
    return Policy(contract, chain([("screen", Screen.of(contract)), *named, ("clip", Clip.of(contract))]))


def dense(n_in: int, n_out: int, seed: int = 0, gain: float = 1.0) -> Dense:
    return networks.dense(np.random.default_rng(seed), n_in, n_out, gain)


# --- sums -------------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.floats(-12, 8), st.floats(-6, 6), st.floats(-8, 4))
def test_no_input_overflows(seed: int, n_in: int, size: float, bias_size: float, scale: float) -> None:
    """Whatever the weights: the adversarial input of each row stays within 32 bits in every order of summation."""
    r = np.random.default_rng(seed)
    layer = Dense(
        (r.standard_normal((3, n_in)) * 10.0**size).astype(F32), (r.standard_normal(3) * 10.0**bias_size).astype(F32)
    )
    try:
        made = integer_dense(layer, 10.0 ** (r.uniform(-1, 1, n_in) + scale), 2.0**-12, W16A16)
    except TinyctlError as error:
        if "too large for its output's range" not in str(error):
            raise
        return
    for sign in (-1, 1):
        for i in range(3):
            x = np.where(made.weight[i] * sign > 0, -(2**15), 2**15 - 1)  # the largest magnitude of each product
            products = made.weight[i].astype(np.int64) * x
            for order in (np.arange(n_in), r.permutation(n_in)):
                sums = int(made.bias[i]) + np.cumsum(products[order])
                assert np.abs(sums).max() < 2**31


def test_integer_dense_is_as_fine_as_it_can_be() -> None:
    layer = dense(8, 5, gain=0.5)
    in_scale, out_scale = np.full(8, 1 / 32767), 4 / 32767
    made = integer_dense(layer, in_scale, out_scale, W16A16)
    assert np.abs(made.weight).max(axis=1).tolist() == [32767] * 5 or made.accumulator_bound().min() > 0.99 * 2**31
    x = np.random.default_rng(1).uniform(-1, 1, (500, 8))
    q = np.floor(x / in_scale + 0.5).astype(np.int16)
    exact = q * in_scale @ layer.weight.T.astype(np.float64) + layer.bias
    assert np.abs(made.run(q) * out_scale - exact).max() < 0.51 * out_scale + 8 * np.abs(layer.weight).max() / 32767


def test_a_row_of_zeros() -> None:
    layer = Dense(np.zeros((2, 3), F32), networks.floats(0.0, 0.5))
    made = integer_dense(layer, np.full(3, 1e-4), 1e-4, W16A16)
    assert made.run(np.full((1, 3), 32767, np.int16)).tolist() == [[0, 5000]]


# --- the whole network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "limit"),
    [(networks.tiny, 2e-4), (networks.all_layers, 3e-3), (networks.demo_size, 3e-4), (networks.branching, 5e-4)],
)
def test_the_error_is_small(make: Callable[[], Policy], limit: float) -> None:
    made = make()
    data = random_sequences(made.contract, None, None)
    rms, largest = measure(made, quantize(made, "w16a16", data), data)
    assert 0 < rms < limit
    assert rms < largest < 20 * limit


@pytest.mark.parametrize(("format_name", "limit"), [("w16a16", 3e-4), ("w8a16", 1e-2), ("w8a8", 6e-2)])
def test_the_error_of_each_format(format_name: str, limit: float) -> None:
    made = networks.demo_size()
    data = random_sequences(made.contract, None, None)
    rms, _ = measure(made, quantize(made, format_name, data), data)
    assert 0 < rms / 2.0 < limit  # of the outputs' range


def test_float32_is_the_policy_itself() -> None:
    made = networks.all_layers()
    data = random_sequences(made.contract, None, None)
    graph = quantize(made, "f32", data)
    assert graph.nodes == made.nodes
    assert measure(made, graph, data) == (0.0, 0.0)


def test_scale_is_folded_into_encode() -> None:
    graph = networks.in_format(networks.tiny(), "w16a16")
    assert kinds(graph) == [
        "screen:f32",
        "lag:f32",
        "integral:f32",
        "encode:w16a16",
        "integer_dense:w16a16",
        "integer_tanh:w16a16",
        "integer_dense:w16a16",
        "decode:w16a16",
        "clip:f32",
    ]
    unfolded = Policy(graph.contract, networks.tiny().nodes)
    scale = next(n.layer for n in unfolded.nodes if isinstance(n.layer, Scale))
    encode = next(n.layer for n in graph.nodes if isinstance(n.layer, Encode))
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 5)).astype(F32)  # within the integral's limit
    step = scale.gain / encode.gain
    assert np.abs(encode.run(x) * step - scale.run(x)).max() < 0.6 * step.max()


def test_a_scale_that_others_read_stays() -> None:
    contract = networks.tiny_contract()
    scale = Scale(networks.floats(0.5, 0.5, 0.5), networks.floats(0.0, 0.1, 0.2))
    made = Policy(
        contract,
        (
            Node("screen", Screen.of(contract), ()),
            Node("scale", scale, ("screen",)),
            Node("a", dense(3, 4), ("scale",)),
            Node("b", Tanh(3), ("scale",)),
            Node("out", dense(3, 1), ("b",)),
            Node("clip", Clip.of(contract), ("out",)),
        ),
    )
    graph = networks.in_format(made, "w16a16")
    assert [n.name for n in graph.nodes] == [
        "screen",
        "scale",
        "scale_encode",
        "a",
        "b",
        "b_encode",
        "out",
        "out_decode",
        "clip",
    ]
    assert {n.name: n.inputs for n in graph.nodes}["scale_encode"] == ("screen",)


def test_a_value_is_encoded_and_decoded_once() -> None:
    contract = networks.tiny_contract()
    rows = [
        ("screen", Screen.of(contract), None),
        ("a", dense(3, 4), "screen"),
        ("b", dense(3, 4), "screen"),
        ("c", Scale(np.ones(4, F32), np.ones(4, F32)), "b"),
        ("d", Scale(np.ones(4, F32), np.ones(4, F32)), "b"),
        ("out", dense(4, 1), "d"),
        ("clip", Clip.of(contract), "out"),
    ]
    made = Policy(contract, tuple(Node(n, layer, (reads,) if reads else ()) for n, layer, reads in rows))
    formats = {"a": "w16a16", "b": "w16a16", "c": "f32", "d": "f32", "out": "w16a16"}
    graph = quantize(made, formats, random_sequences(contract, None, None))
    assert sum(n.layer.kind == "encode" for n in graph.nodes) == 2  # of the screen, and of d
    assert sum(n.layer.kind == "decode" for n in graph.nodes) == 2  # of b, and of out


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # relu keeps the scale of the dense before it
        ((dense(3, 4), Relu(4), dense(4, 1)), ["encode", "integer_dense", "relu", "integer_dense", "decode"]),
        # a gain without offset changes what the integers mean, and nothing else
        (
            (dense(3, 4), Scale(np.full(4, 3.0, F32), np.zeros(4, F32)), dense(4, 1)),
            ["encode", "integer_dense", "integer_dense", "decode"],
        ),
        (
            (dense(3, 4), Clip(-np.ones(4, F32), np.ones(4, F32)), dense(4, 1)),
            ["encode", "integer_dense", "clip", "integer_dense", "decode"],
        ),
        # a tanh whose input has not the table's scale
        (
            (dense(3, 4), Relu(4), Tanh(4), dense(4, 1)),
            ["encode", "integer_dense", "relu", "requantize", "integer_tanh", "integer_dense", "decode"],
        ),
        # float32 throughout before the first dense
        ((Tanh(3), Relu(3), dense(3, 1)), ["tanh", "relu", "encode", "integer_dense", "decode"]),
        (
            (dense(3, 4), Tanh(4), Relu(4), dense(4, 1)),
            ["encode", "integer_dense", "integer_tanh", "relu", "integer_dense", "decode"],
        ),
    ],
)
def test_how_layers_are_rewritten(layers: tuple[Layer, ...], expected: list[str]) -> None:
    made = policy(*layers)
    graph = networks.in_format(made, "w16a16")
    assert [n.layer.kind for n in graph.nodes][1:-1] == expected
    data = random_sequences(made.contract, None, None)
    assert measure(made, graph, data)[0] < 1e-3


def test_a_tanh_beside_another_reader_gets_its_own_scale() -> None:
    contract = networks.tiny_contract()
    made = Policy(
        contract,
        (
            Node("screen", Screen.of(contract), ()),
            Node("a", dense(3, 4), ("screen",)),
            Node("t", Tanh(4), ("a",)),
            Node("r", Relu(4), ("a",)),
            Node("out", dense(4, 1), ("t",)),
            Node("clip", Clip.of(contract), ("out",)),
        ),
    )
    graph = networks.in_format(made, "w16a16")
    tanh = next(n for n in graph.nodes if n.name == "t")
    assert (tanh.layer.kind, tanh.inputs) == ("integer_tanh", ("a_requantize",))


def test_dense_before_tanh_has_the_tables_scale() -> None:
    graph = networks.in_format(networks.tiny(), "w16a16")
    hidden = next(n.layer for n in graph.nodes if n.name == "hidden")
    assert isinstance(hidden, IntegerDense)
    real = next(n.layer for n in networks.tiny().nodes if n.name == "hidden")
    unit = hidden.multiplier / 2.0**32 * INPUT_SCALE
    assert np.allclose(hidden.bias * unit, real.bias, rtol=1e-4)


def test_a_format_for_each_named_node() -> None:
    """Two widths and float32 in one network: a door wherever they meet, the rest follow what they read."""
    made = policy(dense(3, 6), Relu(6), dense(6, 5, seed=1), Tanh(5), dense(5, 4), Relu(4), dense(4, 1))
    formats = {"n0": "w8a16", "n2": "w8a8", "n4": "f32", "n6": "w16a16"}
    data = random_sequences(made.contract, None, None)
    graph = quantize(made, formats, data)
    assert kinds(graph) == [
        "screen:f32",
        "encode:w8a16",
        "integer_dense:w8a16",
        "relu:w8a16",
        "requantize:w8a8",
        "integer_dense:w8a8",
        "byte_tanh:w8a8",
        "decode:w8a8",
        "dense:f32",
        "relu:f32",
        "encode:w16a16",
        "integer_dense:w16a16",
        "decode:w16a16",
        "clip:f32",
    ]
    assert measure(made, graph, data)[0] < 0.03
    wider = quantize(made, {**formats, "n4": "w16a16"}, data)
    step = next(n.layer for n in wider.nodes if n.name == "n3_requantize")
    assert isinstance(step, Requantize)
    assert (step.run(np.array([[-128, -1, 0, 1, 127]], np.int8)) == [[-32768, -256, 0, 256, 32512]]).all()
    assert measure(made, wider, data)[0] < 0.03
    report = api.quantize(made, formats)[1]
    assert report.format == "w16a16+w8a16+w8a8"


def test_integers_begin_where_a_node_is_named() -> None:
    made = policy(Relu(3), dense(3, 1))
    data = random_sequences(made.contract, None, None)
    assert kinds(quantize(made, {"n0": "w16a16"}, data))[1:3] == ["encode:w16a16", "relu:w16a16"]
    assert quantize(made, {"n0": "f32"}, data).nodes == made.nodes
    with pytest.raises(TinyctlError, match="no node 'other'"):
        quantize(made, {"other": "w16a16"}, data)
    with pytest.raises(TinyctlError, match="node screen: a screen has no integer form in w16a16"):
        quantize(made, {"screen": "w16a16"}, data)


def test_outputs_of_different_size_keep_their_resolution() -> None:
    """A thrust of thousands beside a torque below one: an error of each relative to its own range."""
    contract = networks.all_layers_contract()
    contract = replace(
        contract,
        inputs=contract.inputs[:5],
        outputs=tuple(replace(s, low=-r, high=r) for s, r in zip(contract.outputs, (6e4, 0.5, 0.6), strict=True)),
    )
    last = dense(6, 3)
    rows = np.array([[2e4], [0.1], [0.1]], F32)
    made = policy(dense(5, 6), Tanh(6), Dense(last.weight * rows, last.bias * rows[:, 0]), contract=contract)
    data = random_sequences(contract, None, None)
    graph = quantize(made, "w16a16", data)
    errors = np.abs(graph.run(data[0], graph.init(64))[0] - made.run(data[0], made.init(64))[0]).max(axis=0)
    assert (errors < 1e-3 * rows[:, 0]).all()


def test_generated_names_stay_identifiers() -> None:
    long = "n" * 63
    made = networks.tiny()
    out = replace(made.nodes[-2], name=long)
    for name in (long, "out_", "out_decode"):
        nodes = (*made.nodes[:-2], replace(out, name=name), replace(made.nodes[-1], inputs=(name,)))
        graph = networks.in_format(Policy(made.contract, nodes), "w16a16")
        assert sum(n.layer.kind == "decode" for n in graph.nodes) == 1


def test_a_column_that_calibration_saw_at_zero() -> None:
    """A reference that stayed zero must neither divide by zero nor leave 32 bits when it moves in flight."""
    made = networks.tiny()
    data = random_sequences(made.contract, None, None)
    data[..., 1] = 0
    graph = quantize(made, "w16a16", data)
    x = random_sequences(made.contract, None, None, seed=3)
    assert measure(made, graph, x)[0] < 0.3


def test_calibration_that_saw_only_zeros() -> None:
    """The scales then are as fine as the kernels can take, and all that moves saturates."""
    made = policy(Dense(np.ones((4, 3), F32), np.zeros(4, F32)), Relu(4), dense(4, 1))
    for format_name in ("w16a16", "w8a16", "w8a8"):
        graph = quantize(made, format_name, np.zeros((2, 2, 2), F32))
        assert graph.run(np.zeros((1, 2), F32), graph.init(1))[0].shape == (1, 1)


def test_depth_does_not_coarsen_the_scales() -> None:
    """Interval bounds grow with every layer; what an integer layer returns saturates, so they need not be reached."""
    layers: list[Layer] = [layer for k in range(12) for layer in (dense(64, 64, k, gain=1.4), Relu(64))]
    made = policy(dense(3, 64), *layers, dense(64, 1))
    data = random_sequences(made.contract, None, None)[:8]
    largest = max(float(high.max()) for _, high in made.bounds().values())
    assert largest > 1e8
    assert measure(made, quantize(made, "w16a16", data), data)[0] < 2e-3


def test_unbounded_observations() -> None:
    """Ranges of +-1e6 (JSON null) with calibration near one."""
    base = networks.tiny_contract()
    contract = replace(
        base, inputs=tuple(replace(s, low=-1e6, high=1e6) if s.source == "observation" else s for s in base.inputs)
    )
    made = policy(dense(3, 4), Tanh(4), dense(4, 1), contract=contract)
    data = random_sequences(contract, None, None)
    graph = quantize(made, "w16a16", data)
    assert measure(made, graph, data)[0] < 5e-3


def test_a_policy_that_could_overflow_is_refused_before_it_runs() -> None:
    big = Dense(np.full((3, 3), 1e30, F32), np.zeros(3, F32))
    made = policy(big, big, dense(3, 1))
    for format_name in ("f32", "w16a16"):
        with pytest.raises(TinyctlError, match="could reach the largest float32"):
            networks.in_format(made, format_name)


def test_same_input_same_graph() -> None:
    first, second = (networks.in_format(networks.all_layers(), "w16a16") for _ in range(2))
    assert first.hash == second.hash


# --- calibration and report -------------------------------------------------------------------------------------------


def test_report(tmp_path: Path) -> None:
    made = networks.tiny()
    graph, report = api.quantize(made, "w16a16")
    assert report.to_json() == {
        "schema": 1,
        "format": "w16a16",
        "weight_bytes": 2 * 24 + 4 * 5,
        "output_rms_error": report.output_rms_error,
        "output_max_error": report.output_max_error,
        "closed_loop_cost_ratio": None,
        "contract_hash": made.contract.hash,
        "graph_hash": graph.hash,
        "storage": (),
        "mixes": (),
        "closed_loop_cost_ratio_untuned": None,
        "layers": tuple(asdict(row) for row in report.layers),
    }
    assert weight_bytes(api.quantize(made, "f32")[0]) == 4 * 24 + 4 * 5
    archive.save(graph, tmp_path / "g.tctl")
    assert archive.load(tmp_path / "g.tctl").hash == report.graph_hash


def test_calibration_in_two_dimensions() -> None:
    data = random_sequences(networks.tiny().contract, None, None)[:, :1]
    flat, deep = (api.quantize(networks.tiny(), "w16a16", calibration=d)[0] for d in (data[:, 0], data))
    assert flat.hash == deep.hash
    with pytest.raises(TinyctlError, match="calibration: holds"):
        api.quantize(networks.tiny(), "w16a16", calibration=data[..., :1])


def test_random_sequences() -> None:
    contract = networks.all_layers_contract()
    for low, high in ((None, None), (-0.5, 2.0)):
        data = random_sequences(contract, low, high)
        assert data.shape[2] == 5
        assert data.dtype == F32
        for column, signal in zip(data.transpose(2, 0, 1), contract.inputs, strict=False):
            assert column.min() >= signal.low
            assert column.max() <= signal.high
        assert (data == random_sequences(contract, low, high)).all()
    assert random_sequences(contract, -0.5, 2.0)[..., 4].max() > 1.9


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8"])
def test_as_sequences(shape: tuple[int, ...], dtype: str) -> None:
    found = as_sequences(np.ones(shape, dtype), networks.all_layers_contract(), "file")
    assert found.shape == (7, shape[1] if len(shape) == 3 else 1, 5)
    assert found.dtype == F32


BAD = [
    np.ones((7, 4)),
    np.ones(5),
    np.ones((0, 5)),
    np.ones((2, 2, 2, 5)),
    np.array([["a"] * 5]),
    np.ones((7, 5), bool),
    np.ones((7, 5), complex),
    np.array([[None] * 5]),
    np.full((7, 5), np.nan),
    np.full((7, 5), -np.inf),
    np.full((7, 5), 1e300),
    np.array(3.0),
]


@pytest.mark.parametrize("data", BAD, ids=lambda data: f"{data.dtype}-{data.shape}")
def test_bad_calibration(data: Array) -> None:
    with pytest.raises(TinyctlError, match=r"^file: holds"):
        as_sequences(data, networks.all_layers_contract(), "file")


def test_every_quantized_network_can_be_emitted() -> None:
    for make in (networks.tiny, networks.all_layers, networks.branching, networks.demo_size):
        unit, _ = render(networks.in_format(make(), "w16a16"), "policy")
        assert unit.const_bytes > 0
