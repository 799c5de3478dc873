"""Policy to ONNX: the same computation for other runtimes, the contract as metadata.

Input and output are (batch, columns) float32. The input has every column of the contract, those of applied actions
too: ONNX has no memory, so policies with stateful layers are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.importers.base import missing
from tinyctl.importers.onnx import CONTRACT_KEY
from tinyctl.importers.parts.onnx_graph import SCREENED
from tinyctl.jsons import canonical_json
from tinyctl.layers.base import Array, Layer
from tinyctl.policy import Policy
from tinyctl.version import VERSION

OPSET = 17  # of 2022: new enough for every operator used, old enough for the runtimes in the field
IR_VERSION = 8


def export_onnx(policy: Policy, path: Path) -> None:
    """Write a policy as an ONNX file. Raises `TinyctlError` for a layer that ONNX cannot express."""
    data = onnx_bytes(policy)
    write_atomically(path, data)


def onnx_bytes(policy: Policy) -> bytes:
    """The ONNX file of a policy; the same policy gives the same bytes."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise missing("onnx", "onnx") from None
    graph = _Graph()
    values: dict[str, str] = {}
    for place, node in enumerate(policy.nodes):
        if node.layer.kind not in WRITERS:
            raise TinyctlError(
                f"a {node.layer.kind} layer has no ONNX form"
                + (", it has memory" if node.name in policy.stateful else ""),
                where=f"node {node.name}",
            )
        value = "action" if place == len(policy.nodes) - 1 else node.name if place else SCREENED
        source = [values[name] for name in node.inputs] or ["observation"]
        WRITERS[node.layer.kind](graph, node.layer, source, value)
        values[node.name] = value
    contract = policy.contract
    made = helper.make_graph(
        graph.nodes,
        "tinyctl",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", len(contract.inputs)])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", len(contract.outputs)])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "tinyctl", VERSION
    helper.set_model_props(
        model,
        {
            CONTRACT_KEY: canonical_json(contract.to_json()),
            "observation_names": ",".join(s.name for s in contract.inputs),
        },
    )
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Array) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def _clamp(graph: _Graph, layer: Any, x: str, y: str) -> None:
    low, high = (graph.constant(f"{y}.{side}", getattr(layer, side)) for side in ("low", "high"))
    graph.node("Min", [graph.node("Max", [x, low], f"{y}.raised"), high], y)


def _screen(graph: _Graph, layer: Any, inputs: list[str], y: str) -> None:
    bad = graph.node(
        "Or",
        [graph.node("IsNaN", inputs, f"{y}.nan"), graph.node("IsInf", inputs, f"{y}.infinite")],
        f"{y}.rejected",
    )
    on_nan = graph.constant(f"{y}.on_nan", layer.on_nan)
    _clamp(graph, layer, graph.node("Where", [bad, on_nan, *inputs], f"{y}.finite"), y)


def _clip(graph: _Graph, layer: Any, inputs: list[str], y: str) -> None:
    _clamp(graph, layer, inputs[0], y)


def _scale(graph: _Graph, layer: Any, inputs: list[str], y: str) -> None:
    gain, offset = (graph.constant(f"{y}.{part}", getattr(layer, part)) for part in ("gain", "offset"))
    graph.node("Add", [graph.node("Mul", [*inputs, gain], f"{y}.scaled"), offset], y)


def _dense(graph: _Graph, layer: Any, inputs: list[str], y: str) -> None:
    parts = [graph.constant(f"{y}.{part}", getattr(layer, part)) for part in ("weight", "bias")]
    graph.node("Gemm", [*inputs, *parts], y, transB=1)


def _products(graph: _Graph, layer: Any, inputs: list[str], y: str) -> None:
    columns = [graph.node("Gather", [*inputs, graph.constant(f"{y}.column{k}", np.array([k]))], f"{y}.{k}", axis=1)
               for k in range(layer.n_in)]  # fmt: skip
    for k, (a, b) in enumerate(layer.pairs, layer.n_in):
        columns.append(graph.node("Mul", [columns[a], columns[b]], f"{y}.{k}"))
    graph.node("Concat", columns, y, axis=1)


def _plain(kind: str) -> Callable[[_Graph, Layer, list[str], str], None]:
    def write(graph: _Graph, layer: Layer, inputs: list[str], y: str) -> None:
        graph.node(kind, inputs, y)

    return write


WRITERS: dict[str, Callable[[_Graph, Any, list[str], str], object]] = {
    "screen": _screen,
    "clip": _clip,
    "scale": _scale,
    "dense": _dense,
    "relu": _plain("Relu"),
    "tanh": _plain("Tanh"),
    "sigmoid": _plain("Sigmoid"),
    "softsign": _plain("Softsign"),
    "leaky_relu": lambda graph, layer, inputs, y: graph.node("LeakyRelu", inputs, y, alpha=layer.slope),
    "elu": lambda graph, layer, inputs, y: graph.node("Elu", inputs, y, alpha=layer.alpha),
    "add": _plain("Add"),
    "multiply": _plain("Mul"),
    "products": _products,
    "concat": lambda graph, layer, inputs, y: graph.node("Concat", inputs, y, axis=1),
}
