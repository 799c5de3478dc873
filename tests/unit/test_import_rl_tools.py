"""rl-tools checkpoints: headers in both of their styles and HDF5, checked by the example that a header holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.importers import Imported, Request, read
from tinyctl.layers.base import Array
from tinyctl.network import Network

RNG = np.random.default_rng(5)
X = "RL_TOOLS_NAMESPACE_WRAPPER ::rl_tools"


def floats(*shape: int, rng: np.random.Generator = RNG) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


class Net:
    """Standardise, dense fast_tanh, dense relu, dense tanh: what the headers and files below hold."""

    def __init__(self, n_in: int = 5) -> None:
        rng = np.random.default_rng(n_in)  # its own, so that the files are always the same
        self.mean, self.precision = floats(1, n_in, rng=rng), np.abs(floats(1, n_in, rng=rng))
        sizes = [(8, n_in), (6, 8), (2, 6)]
        self.layers = [
            (name, floats(*size, rng=rng), floats(1, size[0], rng=rng), activation)
            for name, size, activation in zip(
                ("input_layer", "hidden_layer_0", "output_layer"), sizes, ("FAST_TANH", "RELU", "TANH"), strict=True
            )
        ]

    def __call__(self, x: Array, *, standardize: bool) -> Array:
        y = x.astype(np.float64)
        if standardize:
            y = (y - self.mean) * self.precision
        for _, weight, bias, kind in self.layers:
            y = y @ weight.T.astype(np.float64) + bias
            c = np.clip(y, -3, 3)
            y = {"FAST_TANH": c * (27 + c * c) / (27 + 9 * c * c), "RELU": np.maximum(y, 0), "TANH": np.tanh(y)}[kind]
        return y


def memory(value: Array) -> str:
    words = ", ".join(str(b) for b in np.ascontiguousarray(value, "<f4").tobytes())
    return f"static_assert(sizeof(unsigned char) == 1);\nalignas(float) const unsigned char memory[] = {{{words}}};\n"


def parameter(name: str, value: Array) -> str:
    rows, columns = value.shape
    layout = f"true, {X}::matrix::layouts::RowMajorAlignment<unsigned long, 1>"
    spec = f"{X}::matrix::Specification<float, unsigned long, {rows}, {columns}, {layout}>"
    return (
        f"namespace {name} {{ namespace parameters_memory {{\n{memory(value)}using CONTAINER_SPEC = {spec};\n"
        "const CONTAINER_TYPE container = {(float*)memory};\n}\n"
        "const PARAMETERS parameters = {parameters_memory::container};\n}\n"
    )


def dense(name: str, weight: Array, bias: Array, activation: str) -> str:
    return (
        f"namespace {name} {{\n{parameter('weights', weight)}{parameter('biases', bias)}}}\nnamespace {name} {{\n"
        f"using CONFIG = {X}::nn::layers::dense::Configuration<float, unsigned long, {len(weight)}, "
        f"{X}::nn::activation_functions::ActivationFunction::{activation}, {X}::nn::parameters::groups::Input>;\n"
        "const TYPE module = {weights::parameters, biases::parameters};\n"
        "template <typename T> const T f(){return T{weights::parameters};}\n}\n"
    )


def old_header(net: Net, x: Array, y: Array) -> str:
    """As Learning to Fly's: an MLP, then an observation and its action."""
    body = "".join(dense(*layer) for layer in net.layers)
    structure = "using STRUCTURE = mlp::Specification<float, 5, 2, a::ActivationFunction::FAST_TANH>;\n"
    tail = "".join(
        f"namespace backprop_tools::checkpoint::{name} {{\n{memory(value)}using CONTAINER_SPEC = "
        f"backprop_tools::matrix::Specification<float, unsigned long, 1, {value.shape[1]}, L>;\n}}\n"
        for name, value in (("observation", x), ("action", y))
    )
    return f"#include <x.h>\nnamespace backprop_tools::checkpoint::actor {{\n{body}{structure}}}\n{tail}"


def new_header(net: Net, x: Array, y: Array) -> str:
    """As of 2024: a sequence with a standardisation, then examples as tensors."""
    layers = "".join(dense(*layer) for layer in net.layers)
    first = parameter("mean", net.mean) + parameter("precision", net.precision)
    tail = "".join(
        f"namespace rl_tools::checkpoint::example::{name} {{\n{memory(value)}"
        f"using SHAPE = {X}::tensor::Shape<unsigned long, 1, {value.shape[0]}, {value.shape[1]}>;\n}}\n"
        for name, value in (("input", x), ("output", y))
    )
    body = f"namespace layer_0 {{\n{first}}}\nnamespace layer_1 {{\n{layers}}}\n"
    return f"namespace rl_tools::checkpoint::actor {{\n{body}}}\n{tail}"


def imported(text: str, path: Path) -> Imported:
    path.write_text(text)
    return read(Request(path, rate_hz=100.0))


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def test_a_learning_to_fly_header(tmp_path: Path) -> None:
    net = Net()
    x = floats(1, 5)
    found = imported(old_header(net, x, net(x, standardize=False)), tmp_path / "actor.h")
    assert "example is met" in found.notes[0]
    assert [n.layer.kind for n in found.policy.nodes][1:-1] == ["dense", "fast_tanh", "dense", "relu", "dense", "tanh"]
    many = floats(1000, 5)
    np.testing.assert_allclose(run(found.policy, many), net(many, standardize=False), atol=2e-5)


def test_a_header_with_standardisation(tmp_path: Path) -> None:
    net = Net()
    x = floats(13, 5)
    found = imported(new_header(net, x, net(x, standardize=True)), tmp_path / "actor.h")
    assert "example is met" in found.notes[0]
    many = floats(1000, 5)
    np.testing.assert_allclose(run(found.policy, many), net(many, standardize=True), atol=2e-5)


def test_an_example_that_is_missed_is_told(tmp_path: Path) -> None:
    net = Net()
    x = floats(1, 5)
    with pytest.raises(TinyctlError, match="example in the file is missed by"):
        imported(old_header(net, x, net(x, standardize=False) + 0.01), tmp_path / "actor.h")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ActivationFunction::RELU", "ActivationFunction::GELU", "gelu is not a layer"),
        ("namespace weights", "namespace weight_input_hidden", "is no dense layer"),
        (", 8, 5, true", ", 8, 6, true", "bytes are not an array"),
        (", 8, 5, true", ", 999999999, 999999999, true", "bytes are not an array"),
        ("unsigned char memory[] = {", "unsigned char memory[] = {999,", "not a list of bytes"),
        ("checkpoint::actor {", "checkpoint::critic {", "0 layers"),
        ("layers::dense::Conf", "layers::gru::Conf", "recurrent"),
        ("namespace backprop", "}" * 3 + "namespace backprop", "not opened"),
        ("namespace backprop", "{" * 1000 + "namespace backprop", "too deep"),
        ("namespace backprop_tools::checkpoint::actor {", "", "0 layers|closed"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    net = Net()
    x = floats(1, 5)
    text = old_header(net, x, net(x, standardize=False))
    assert old in text
    with pytest.raises(TinyctlError, match=message) as raised:
        imported(text.replace(old, new, 1), tmp_path / "actor.h")
    assert str(raised.value).isprintable()


# --- HDF5 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def h5py(require_package: Callable[[str], ModuleType]) -> Any:
    return require_package("h5py")


def write_hdf5(h5py: Any, path: Path, net: Net, *, standardize: bool = True) -> None:
    """actor/layers/N with weights/parameters and biases/parameters, as rl-tools' `save`."""
    with h5py.File(path, "w") as file:
        actor = file.create_group("actor/layers")
        number = 0
        if standardize:
            first = actor.create_group("0")
            first.create_dataset("mean/parameters", data=net.mean)
            first.create_dataset("precision/parameters", data=net.precision)
            number = 1
        for _, weight, bias, activation in net.layers:
            group = actor.create_group(str(number))
            group.create_dataset("weights/parameters", data=weight)
            group.create_dataset("biases/parameters", data=bias)
            group.attrs["activation_function"], group.attrs["type"] = activation, "dense"
            number += 1
        file.create_dataset("critic/layers/0/weights/parameters", data=floats(2, 2))
        file.create_dataset("critic/layers/0/biases/parameters", data=floats(1, 2))


@pytest.mark.parametrize("standardize", [True, False])
def test_an_hdf5_checkpoint(tmp_path: Path, h5py: Any, standardize: bool) -> None:
    net = Net()
    write_hdf5(h5py, tmp_path / "checkpoint.h5", net, standardize=standardize)
    policy = read(Request(tmp_path / "checkpoint.h5", rate_hz=100.0)).policy
    x = floats(1000, 5)
    np.testing.assert_allclose(run(policy, x), net(x, standardize=standardize), atol=2e-5)


def test_hdf5_reads_no_other_file(tmp_path: Path, h5py: Any) -> None:
    write_hdf5(h5py, tmp_path / "other.h5", Net())
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["actor"] = h5py.ExternalLink("other.h5", "/actor")
    with pytest.raises(TinyctlError, match="0 layers"):
        read(Request(tmp_path / "links.h5", rate_hz=1.0))
    (tmp_path / "raw").write_bytes(bytes(400))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        for part, shape in (("weights", (2, 3)), ("biases", (1, 2))):
            place = [(str(tmp_path / "raw"), 0, 4 * shape[0] * shape[1])]
            file.create_dataset(f"actor/layers/0/{part}/parameters", shape, "f4", external=place)
    with pytest.raises(TinyctlError, match="in another file"):
        read(Request(tmp_path / "raw.h5", rate_hz=1.0))


def test_huge_hdf5_sets_are_refused_before_they_are_read(tmp_path: Path, h5py: Any) -> None:
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        for part in ("weights", "biases"):
            file.create_dataset(f"actor/layers/0/{part}/parameters", (2**30, 2**20), "f4", chunks=(1024, 1024))
    with pytest.raises(TinyctlError, match="is not read"):
        read(Request(tmp_path / "huge.h5", rate_hz=1.0))
