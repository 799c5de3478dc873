"""ONNX in and out: equal to onnxruntime, metadata kept, hostile files refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import networks
import numpy as np
import pytest

from tinyctl.contract import check_identifier
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.importers import Imported, Request, read
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers import LAYERS
from tinyctl.layers.add import Add
from tinyctl.layers.base import Array, Layer, StatefulLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.multiply import Multiply
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import Network, Node, chain
from tinyctl.onnx_export import onnx_bytes
from tinyctl.policy import Policy

RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True, scope="module")
def packages(require_package: Callable[[str], ModuleType]) -> None:
    require_package("onnx")


@pytest.fixture
def runtime(require_package: Callable[[str], ModuleType]) -> Callable[[bytes, Array], Array]:
    """Runs the first output of an ONNX file."""
    ort = require_package("onnxruntime")

    def run(data: bytes, x: Array) -> Array:
        session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x})[0]

    return run


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def model(nodes: list[Any], constants: dict[str, Array], shape: list[Any], out: list[Any], **metadata: str) -> Any:
    """An ONNX model from `x` to `y`."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata)
    return made


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, inputs.split(), [output], name=f"/{output}", **attributes)


def imported(made: Any, path: Path, **extra: Any) -> Imported:
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return read(Request(path, **{"rate_hz": 50.0, **extra}))


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def mlp() -> Any:
    """With a normaliser, MatMul and Add, Gemm, a residue of plumbing, a scaled and clipped action."""
    nodes = [
        node("Sub", "x mean", "a"),
        node("Add", "std small", "deviation"),
        node("Div", "a deviation", "b"),
        node("Clip", "b minus five", "c"),
        node("Transpose", "w0", "w0t", perm=[1, 0]),
        node("MatMul", "c w0t", "d"),
        node("Add", "b0 d", "e"),
        node("Relu", "e", "f"),
        node("Identity", "f", "g"),
        node("Gemm", "g w1 b1", "h", transB=1, alpha=0.5, beta=2.0),
        node("Tanh", "h", "i"),
        node("Gemm", "i w2 b2", "j"),
        node("Mul", "half j", "k"),
        node("Sub", "one k", "l"),
        node("Min", "l limit", "y"),
    ]
    constants = {
        "mean": floats(5),
        "std": np.abs(floats(1, 5)),
        "small": np.float32([0.01]),
        "minus": np.array(-5, np.float32),
        "five": np.array(5, np.float32),
        "w0": floats(8, 5),
        "b0": floats(8),
        "w1": floats(6, 8),
        "b1": floats(6),
        "w2": floats(6, 3),
        "b2": floats(1, 3),
        "half": np.array(0.5, np.float32),
        "one": np.ones(3, np.float32),
        "limit": np.array(1.5, np.float32),
    }
    return model(nodes, constants, ["batch", 5], ["batch", 3])


def test_a_network_equals_onnxruntime(tmp_path: Path, runtime: Callable[[bytes, Array], Array]) -> None:
    made = mlp()
    policy = imported(made, tmp_path / "net.onnx").policy
    x = 2 * floats(1000, 5)
    np.testing.assert_allclose(run(policy, x), runtime(made.SerializeToString(), x), atol=2e-5, rtol=2e-5)
    kinds = [n.layer.kind for n in policy.nodes]
    assert kinds == ["screen", "scale", "clip", "dense", "relu", "dense", "tanh", "dense", "scale", "clip"]


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "out"),
    [
        (
            [("Flatten", "x", "a"), ("Gemm", "a w", "y")],
            {"w": (12, 2)},
            ["n", 3, 4],
            ["n", 2],
        ),
        ([("Reshape", "x s", "a"), ("Mul", "a c", "b"), ("Reshape", "b t", "y")], {"c": (3, 4)}, [1, 12], [1, 12]),
        ([("MatMul", "w x", "a"), ("Tanh", "a", "y")], {"w": (3, 5)}, [5], [3]),
        ([("Unsqueeze", "x z", "a"), ("Gemm", "a w", "b"), ("Squeeze", "b z", "y")], {"w": (5, 3)}, [5], [3]),
        ([("BatchNormalization", "x g b m v", "y")], dict.fromkeys("gbmv", (4,)), ["n", 4], ["n", 4]),
        ([("Neg", "x", "a"), ("Sub", "c a", "b"), ("Max", "b c", "y")], {"c": (1,)}, ["n", 4], ["n", 4]),
    ],
    ids=["flatten", "reshape", "constant_first", "vector", "batch_norm", "flipped"],
)
def test_forms_equal_onnxruntime(
    tmp_path: Path,
    runtime: Callable[[bytes, Array], Array],
    nodes: list[tuple[str, str, str]],
    constants: dict[str, tuple[int, ...]],
    shape: list[Any],
    out: list[Any],
) -> None:
    values: dict[str, Array] = {name: np.abs(floats(*size)) + 0.1 for name, size in constants.items()}
    values |= {"s": np.array([0, 3, 4]), "t": np.array([0, -1]), "z": np.array([0])}
    used = {name for _, reads, _ in nodes for name in reads.split()}
    made = model([node(*n) for n in nodes], {k: v for k, v in values.items() if k in used}, shape, out)
    policy = imported(made, tmp_path / "net.onnx").policy
    inner = shape[1:] if len(shape) > 1 else shape
    for _ in range(20):
        x = floats(1, *inner)
        there = runtime(made.SerializeToString(), x if len(shape) > 1 else x[0])
        np.testing.assert_allclose(run(policy, x.reshape(1, -1)).reshape(-1), there.reshape(-1), atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ([("Sigmoid", "x", "y", {})], "sigmoid"),
        ([("Softsign", "x", "y", {})], "softsign"),
        ([("Elu", "x", "y", {"alpha": 0.5})], "elu"),
        ([("LeakyRelu", "x", "y", {})], "leaky_relu"),
        ([("Tanh", "x", "a", {}), ("Add", "x a", "y", {})], "add"),
        ([("Tanh", "x", "a", {}), ("Concat", "a x", "b", {"axis": 1}), ("MatMul", "b w", "y", {})], "concat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_are_used_where_there_are_such(
    tmp_path: Path, runtime: Callable[[bytes, Array], Array], nodes: list[tuple[str, str, str, Any]], kind: str
) -> None:
    """Equal where the project has the layer, refused by name where it has not."""
    constants = {"w": floats(8, 4)} if kind == "concat" else {}
    made = model([node(*n[:3], **n[3]) for n in nodes], constants, ["n", 4], ["n", 4])
    if kind not in LAYERS:
        return refused(made, tmp_path / "net.onnx", f"{kind} .*is not a layer")
    policy = imported(made, tmp_path / "net.onnx").policy
    x = 3 * floats(200, 4)
    np.testing.assert_allclose(run(policy, x), runtime(made.SerializeToString(), x), atol=1e-5)
    np.testing.assert_allclose(run(policy, x), runtime(onnx_bytes(policy), x), atol=1e-5)


def test_export_is_equal_and_comes_back(tmp_path: Path, runtime: Callable[[bytes, Array], Array]) -> None:
    policy = imported(mlp(), tmp_path / "net.onnx").policy
    data = onnx_bytes(policy)
    assert data == onnx_bytes(policy)
    x = np.concatenate([floats(500, 5), 1e7 * floats(20, 5), np.full((1, 5), np.nan, np.float32)])
    x[3, 2] = np.inf
    np.testing.assert_allclose(run(policy, x), runtime(data, x), atol=2e-5, rtol=2e-5)
    (tmp_path / "back.onnx").write_bytes(data)
    back = read(Request(tmp_path / "back.onnx"))
    assert back.warnings == ()
    assert back.policy.contract == policy.contract
    assert [n.layer.kind for n in back.policy.nodes] == [n.layer.kind for n in policy.nodes]
    assert np.array_equal(run(back.policy, x), run(policy, x))


def test_export_refuses_what_onnx_cannot_say() -> None:
    with pytest.raises(TinyctlError, match="lag layer has no ONNX form, it has memory"):
        onnx_bytes(networks.tiny())
    contract = networks.tiny_contract()
    fast = [("screen", Screen.of(contract)), ("fast", FastTanh(3)), ("out", Dense(floats(1, 3), floats(1)))]
    with pytest.raises(TinyctlError, match="node fast: a fast_tanh layer has no ONNX form"):
        onnx_bytes(Policy(contract, chain([*fast, ("clip", Clip.of(contract))])))


def test_every_other_layer_is_exported(runtime: Callable[[bytes, Array], Array]) -> None:
    """Of the float layers only those with memory, and rl-tools' tanh and votes, have no form."""
    policies = [networks.activations(), networks.widths(), networks.dictionary(), _joins()]
    seen = {node.layer.kind for policy in policies for node in policy.nodes}
    integer = {"encode", "decode", "requantize"} | {kind for kind in LAYERS if kind.startswith(("integer_", "byte_"))}
    memory = {kind for kind, layer in LAYERS.items() if issubclass(layer, StatefulLayer)}
    assert seen == set(LAYERS) - integer - memory - {"fast_tanh", "vote"}
    for policy in policies:
        x = floats(40, len(policy.contract.inputs))
        applied = np.zeros((len(x), policy.contract.n_act), np.float32)
        applied[:, list(policy.contract.applied_outputs)] = x[:, policy.contract.n_obs :]
        action, _ = policy.run(x[:, : policy.contract.n_obs], policy.init(len(x)).with_applied(applied))
        np.testing.assert_allclose(action, runtime(onnx_bytes(policy), x), atol=2e-5)


def _joins() -> Policy:
    contract = networks.tiny_contract()
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "screen": (Screen.of(contract), ()),
        "scale": (Scale(floats(3), floats(3)), ("screen",)),
        "sum": (Add(3), ("scale", "screen")),
        "fold": (Relu(3), ("sum",)),
        "product": (Multiply(3), ("fold", "scale")),
        "wide": (Concat((3, 3)), ("product", "screen")),
        "out": (Dense(floats(1, 6), floats(1)), ("wide",)),
        "clip": (Clip.of(contract), ("out",)),
    }
    return Policy(contract, tuple(Node(name, layer, reads) for name, (layer, reads) in layers.items()))


def test_robot_metadata_give_names_and_a_warning(tmp_path: Path) -> None:
    made = mlp()
    from onnx import helper

    names = "base lin vel,base_ang_vel,*/ bad,while,7"
    robot = {"observation_names": names, "joint_names": "hip,knee,ankle", "action_scale": "0.500,0.250,0.125"}
    helper.set_model_props(made, {**robot, "default_joint_pos": "0.1,0.2,0.3"})
    found = imported(made, tmp_path / "net.onnx")
    assert [s.name for s in found.policy.contract.inputs] == ["base_lin_vel", "base_ang_vel", "bad", "while_x", "obs_7"]
    assert [s.name for s in found.policy.contract.outputs] == ["hip", "knee", "ankle"]
    assert "units, frames and ranges are unknown" in found.warnings[0]
    assert "action_scale (0.500, 0.250, 0.125)" in found.warnings[1]


def test_joint_targets_are_made_where_they_are_asked_for(tmp_path: Path) -> None:
    from onnx import helper

    made = mlp()
    helper.set_model_props(made, {"action_scale": "0.500,0.250,0.125", "default_joint_pos": "0.1,-0.2,0.3"})
    x = floats(50, 5)
    raw = run(imported(made, tmp_path / "net.onnx").policy, x)
    found = imported(made, tmp_path / "net.onnx", joint_targets=True)
    np.testing.assert_allclose(run(found.policy, x), raw * [0.5, 0.25, 0.125] + [0.1, -0.2, 0.3], atol=1e-6)
    assert len(found.warnings) == 1
    helper.set_model_props(made, {"action_scale": "0.5,0.5", "default_joint_pos": "0.1"})
    refused(made, tmp_path / "net.onnx", "metadata action_scale: 2 numbers for 3 actions", joint_targets=True)
    helper.set_model_props(made, {"action_scale": "0.5"})
    refused(made, tmp_path / "net.onnx", "metadata default_joint_pos: .* no list", joint_targets=True)
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(TinyctlError, match="metadata of an ONNX file"):
        read(Request(tmp_path / "net.pt", joint_targets=True))


def test_an_rsl_rl_actor_without_its_normaliser_asks_for_it(
    tmp_path: Path, runtime: Callable[[bytes, Array], Array]
) -> None:
    """As rsl_rl's exporter writes it: from `obs` to `actions`; a normaliser that is an identity leaves no node."""
    path = Path(__file__).parents[1] / "seeds" / "actor.onnx"
    with pytest.raises(TinyctlError, match=r"rsl_rl actor without a normaliser; .*--normalize"):
        read(Request(path, rate_hz=50.0))
    plain = read(Request(path, rate_hz=50.0, unnormalized=True)).policy
    x = floats(1, 2)
    np.testing.assert_allclose(run(plain, x), runtime(path.read_bytes(), x), atol=1e-6)
    normalizer = Normalizer(np.array([1.0, -2.0]), np.array([4.0, 0.25]), epsilon=0.0)
    asked = read(Request(path, rate_hz=50.0, normalizer=normalizer)).policy
    np.testing.assert_allclose(run(asked, x * [2, 0.5] + [1, -2]), run(plain, x), atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
def test_a_torch_export_is_read(
    tmp_path: Path, runtime: Callable[[bytes, Array], Array], require_package: Callable[[str], ModuleType]
) -> None:
    """What PyTorch's own exporter writes."""
    torch: Any = require_package("torch")
    require_package("onnxscript")
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2), torch.nn.Tanh()).eval()
    torch.onnx.export(net, (torch.zeros(1, 4),), tmp_path / "net.onnx", external_data=False)
    x = floats(1, 4)
    policy = read(Request(tmp_path / "net.onnx", rate_hz=50.0)).policy
    np.testing.assert_allclose(run(policy, x), runtime((tmp_path / "net.onnx").read_bytes(), x), atol=1e-6)


def refused(made: Any, path: Path, message: str, **extra: Any) -> None:
    with pytest.raises(TinyctlError, match=message) as raised:
        imported(made, path, **extra)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) <= 400


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Conv", "x w", "y")], r"node /y \(Conv\): is not an operator"),
        ([("Div", "x x", "y")], "of two computed values"),
        ([("GRU", "x w w", "y")], "direction|not one step|malformed"),
        ([("RNN", "x w w", "y")], "is not an operator that is read"),
        ([("MatMul", "x x", "y")], "computed value times a constant"),
        ([("MatMul", "x odd", "y")], "does not fit"),
        ([("MatMul", "x", "y")], "malformed"),
        ([("Tanh", "nothing", "y")], "nothing before it computes"),
        ([("Div", "x zero", "y")], "by zero"),
        ([("Mul", "x infinite", "y")], "not finite"),
        ([("Reshape", "x turned", "y")], "into the batch"),
        ([("Tanh", "w", "y")], "cannot be folded|does not depend"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, nodes: list[tuple[str, str, str]], message: str) -> None:
    constants = {
        "w": floats(4, 4),
        "odd": floats(3, 2),
        "zero": np.zeros(4, np.float32),
        "infinite": np.array([np.inf], np.float32),
        "turned": np.array([4, -1]),
    }
    refused(model([node(*n) for n in nodes], constants, ["n", 4], ["n", 4]), tmp_path / "net.onnx", message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (["n", "m"], "axis 1 is dynamic"),
        (["n"], "axis 0 is dynamic"),
        ([7, 4], "batch is fixed to 7"),
        ([1, 2**40], "too many"),
        ([], "shape of 1 to 8 axes"),
    ],
)
def test_shapes_must_be_static(tmp_path: Path, shape: list[Any], message: str) -> None:
    refused(model([node("Tanh", "x", "y")], {}, shape, shape), tmp_path / "net.onnx", message)


def test_files_outside_are_never_read(tmp_path: Path) -> None:
    from onnx import TensorProto

    made = model([node("MatMul", "x w", "y")], {"w": floats(4, 4)}, ["n", 4], ["n", 4])
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    refused(made, tmp_path / "net.onnx", "tensor 'w': keeps its data in another file")


def test_huge_dimensions_are_refused_before_they_are_made(tmp_path: Path) -> None:
    made = model([node("MatMul", "x w", "y")], {"w": floats(4, 4)}, ["n", 4], ["n", 4])
    made.graph.initializer[0].dims[:] = [2**62, 2**62]
    refused(made, tmp_path / "net.onnx", "not possible here")
    made.graph.initializer[0].dims[:] = [4, 2**16]
    refused(made, tmp_path / "net.onnx", "data do not fit")
    wide = [node("Add", "a b", f"c{i}") for i in range(3)]
    constants = {"a": floats(1, 4096), "b": floats(4096, 1)}
    made = model([*wide, node("Mul", "x c2", "y")], constants, ["n", 4], ["n", 4])
    refused(made, tmp_path / "net.onnx", "too large")


def test_several_outputs_are_asked_for(tmp_path: Path) -> None:
    made = mlp()
    extra = made.graph.output.add()
    extra.CopyFrom(made.graph.output[0])
    extra.name = "i"
    refused(made, tmp_path / "net.onnx", "2 outputs .*--output")
    refused(made, tmp_path / "net.onnx", "no output 'z'", output="z")
    assert imported(made, tmp_path / "net.onnx", output="i").policy.contract.n_act == 6


def test_hostile_names_reach_no_source(tmp_path: Path) -> None:
    made = model([node("Tanh", "x", "y")], {}, ["n", 2], ["n", 2])
    made.graph.node[0].name = '*/ #include "/etc/passwd"\n int'
    policy = imported(made, tmp_path / "net.onnx").policy
    for n in policy.nodes:
        check_identifier(n.name, "node")
    emit(Graph(policy.contract, policy.nodes), tmp_path / "c")
    assert 'passwd"' not in "".join(f.read_text() for f in (tmp_path / "c").iterdir())


def test_contract_and_network_must_agree(tmp_path: Path) -> None:
    refused(
        mlp(),
        tmp_path / "net.onnx",
        "contract has 3 inputs, the network 5",
        contract=networks.tiny_contract(),
        rate_hz=None,
    )
    refused(mlp(), tmp_path / "net.onnx", "--rate-hz or --contract", rate_hz=None)
