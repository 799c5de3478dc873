"""TensorFlow Lite: float models equal the interpreter, quantized ones within one step of each result, hostile files
refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.importers import Request, read
from tinyctl.layers.base import Array
from tinyctl.network import Network
from tinyctl.policy import Policy

pytestmark = pytest.mark.xdist_group("tflite")  # the models are made once
MAKER = Path(__file__).parents[1] / "tflite_models.py"
SINGLE = ("linear", "only_relu", "only_relu6", "only_tanh", "only_sigmoid", "only_leaky_relu")


@pytest.fixture(scope="module")
def models(require_package: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the converter with what the interpreter makes of them."""
    require_package("tflite")
    require_package("tensorflow.version")  # a part that loads at once: the rest is for the process below
    folder = tmp_path_factory.mktemp("tflite")
    done = subprocess.run([sys.executable, str(MAKER), str(folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return folder


def imported(models: Path, name: str, **extra: Any) -> tuple[Network, Any]:
    return read(Request(models / f"{name}.tflite", **{"rate_hz": 50.0, **extra})).policy, np.load(
        models / f"{name}.npz"
    )


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def test_float_models_equal_the_interpreter(models: Path) -> None:
    names = [path.stem for path in models.glob("*_float*.tflite")]  # one with weights of 16 bits
    assert len(names) == 16
    for name in names:
        policy, expected = imported(models, name)
        assert isinstance(policy, Policy)
        np.testing.assert_allclose(run(policy, expected["x"]), expected["y"], atol=2e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_quantized_layers_are_within_one_step(models: Path, kind: str) -> None:
    for name in SINGLE:
        graph, expected = imported(models, f"{name}_{kind}")
        assert isinstance(graph, Graph)
        steps = np.abs(run(graph, expected["x"]) - expected["y"]) / expected["step"]
        assert steps.max() < 1.01, (name, steps.max())


@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_quantized_networks_stay_as_close(models: Path, kind: str) -> None:
    """What differs by a step in a hidden layer may differ by more at the end, where an activation is steep."""
    for name in ("relu", "relu6", "tanh", "sigmoid", "leaky_relu", "arithmetic", "joined"):
        graph, expected = imported(models, f"{name}_{kind}")
        assert all(node.format != "f32" for node in graph.nodes if "dense" in node.layer.kind)
        steps = np.abs(run(graph, expected["x"]) - expected["y"]) / expected["step"]
        assert np.sqrt(np.mean(steps**2)) < 0.7, name
        assert steps.max() < 8, name


def test_an_elu_of_a_quantized_file_stays_float32(models: Path) -> None:
    graph, expected = imported(models, "elu_int8")
    assert [n.format for n in graph.nodes if n.layer.kind == "elu"] == ["f32", "f32"]
    assert np.abs(run(graph, expected["x"]) - expected["y"]).max() / expected["step"] < 3.01


def test_weights_alone_in_int8_become_a_float_policy(models: Path) -> None:
    found = read(Request(models / "dynamic.tflite", rate_hz=50.0))
    assert isinstance(found.policy, Policy)
    assert found.notes == ("the interpreter rounds what enters the layers of int8 weights; here it stays float32",)
    expected = np.load(models / "dynamic.npz")
    assert np.abs(run(found.policy, expected["x"]) - expected["y"]).max() < 0.02 * np.abs(expected["y"]).max()


def test_contract_and_ranges(models: Path, tmp_path: Path) -> None:
    """Without a contract the ranges are what the file's integers can stand for; with one, its own."""
    graph, expected = imported(models, "tanh_int8")
    step = float(expected["step"])
    for signal in graph.contract.outputs:
        assert signal.high - signal.low == pytest.approx(255 * step, rel=1e-6)
    wide = Contract(
        tuple(Input(f"x{i}", "m", "world", -1e30, 1e30) for i in range(6)),
        tuple(Output(f"u{i}", "N", "", -0.5, 0.5) for i in range(3)),
        rate_hz=100.0,
    )
    graph = read(Request(models / "tanh_int8.tflite", wide)).policy
    assert graph.contract == wide
    x = np.full((1, 6), 1e29, np.float32)
    inside = np.full((1, 6), 1e3, np.float32)
    assert np.array_equal(run(graph, x), run(graph, inside))
    assert np.array_equal(
        np.clip(run(imported(models, "tanh_int8")[0], expected["x"]), -0.5, 0.5), run(graph, expected["x"])
    )
    emit(graph, tmp_path)


def test_what_cannot_be_read_is_named(models: Path) -> None:
    for extra, message in (
        ({"output": "other"}, "1 outputs .*--output NAME"),
        ({"rate_hz": None}, "--rate-hz or --contract"),
    ):
        with pytest.raises(TinyctlError, match=message):
            imported(models, "tanh_int8", **extra)
