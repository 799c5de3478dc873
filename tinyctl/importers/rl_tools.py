"""rl-tools: checkpoints as C++ header (Learning to Fly's among them) and as HDF5.

A header also holds an example observation with the action of the network that wrote it: the import is checked by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Imported, Request, contract_of, read_bytes
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.hdf5_file import Group, dataset, read_hdf5
from tinyctl.importers.parts.rl_tools_header import Namespace, parse_header
from tinyctl.layers.base import F32, Array

SUFFIXES = (".h", ".hpp", ".h5", ".hdf5")
ACTIVATIONS = {"RELU": "relu", "TANH": "tanh", "FAST_TANH": "fast_tanh", "SIGMOID": "sigmoid"}
TOLERANCE = 1e-3  # of the example; float32 sums in another order differ by less
MAX_LAYERS = 64
PARTS = {frozenset({"weights", "biases"}): "dense", frozenset({"mean", "precision"}): "standardize"}


@dataclass(frozen=True)
class _Layer:
    """A dense layer (weights, biases, activation) or a standardisation (mean, precision)."""

    name: str
    parts: dict[str, Array]
    activation: str | None


def read(request: Request) -> Imported:
    """Import a checkpoint."""
    data = read_bytes(request.path)
    example: tuple[Array, Array] | None = None
    if request.path.suffix.lower() in (".h", ".hpp"):
        found = parse_header(data.decode("utf-8", "replace"))
        layers, example = _from_header(found), _example(found)
    else:
        layers = _from_hdf5(data)
    if not 0 < len(layers) <= MAX_LAYERS:
        raise TinyctlError(f"{len(layers)} layers of an actor inside; 1 to {MAX_LAYERS} are read")
    body, y = _body(request, layers)
    contract, warnings = contract_of(request, body.input.width, y.width)
    policy = body.policy(y, contract)
    notes = [_checked(body, y, example)] if example is not None and request.normalizer is None else []
    return Imported(policy, "rl-tools", tuple(warnings), tuple(notes))


def _body(request: Request, layers: list[_Layer]) -> tuple[Body, Value]:
    first = next((layers[0].parts[part] for part in ("weights", "mean") if part in layers[0].parts), None)
    if first is None:
        raise TinyctlError("is no dense layer", where=f"layer {layers[0].name!r:.60}")
    body = Body(first.shape[-1])
    y = body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)
    for layer in layers:
        kind = PARTS.get(frozenset(layer.parts))
        if kind is None:
            raise TinyctlError(f"parts {', '.join(sorted(layer.parts))!s:.80}", where=f"layer {layer.name!r:.60}")
        if kind == "standardize":
            mean, precision = (layer.parts[p].reshape(-1) for p in ("mean", "precision"))
            if not mean.size == precision.size == y.width:
                raise TinyctlError(f"{mean.size} columns instead of {y.width}", where=f"layer {layer.name!r:.60}")
            y = body.scale(y, precision, -mean * precision, layer.name)
            continue
        y = body.dense(y, layer.parts["weights"], layer.parts["biases"].reshape(-1), layer.name)
        if layer.activation is None:
            raise TinyctlError(
                "does not tell its activation", where=f"layer {layer.name!r:.60}", fix="save it as header"
            )
        if layer.activation != "IDENTITY":
            kind = ACTIVATIONS.get(layer.activation, layer.activation.lower())
            y = body.activation(y, kind, f"{layer.name}_{kind}")
    return body, y


def _from_header(found: dict[tuple[str, ...], Namespace]) -> list[_Layer]:
    """The actor's layers in the order of the file."""
    parts: dict[tuple[str, ...], dict[str, Array]] = {}
    for path, here in found.items():
        if "actor" not in path:
            continue
        if "sample_and_squash" in here.layers or "gru" in here.layers:
            raise TinyctlError("a sampling or recurrent layer is not read", where="::".join(path)[-80:])
        if here.memory is None or path[-1] != "parameters_memory" or len(path) < 3:
            continue
        layer, part = path[:-2], path[-2]
        if part != "log_std":  # exploration noise: not part of the action that is flown
            parts.setdefault(layer, {})[part] = here.array("::".join(path[-4:])[:80])
    layers = []
    for path, arrays in parts.items():
        told = [here.activation for p, here in found.items() if p[: len(path)] == path and here.activation]
        name = "_".join(path[path.index("actor") + 1 :]) or "layer"
        layers.append(_Layer(name, arrays, told[0] if told else None))
    return layers


def _example(found: dict[tuple[str, ...], Namespace]) -> tuple[Array, Array] | None:
    """Observations (n, n_in) and actions (n, n_out) that the writer of the header recorded."""
    pair = []
    for names in (("observation", "input"), ("action", "output")):
        here = next((h for p, h in found.items() if p and p[-1] in names and h.memory and "actor" not in p), None)
        if here is None or here.shape is None:
            return None
        pair.append(here.array(names[0]).reshape(-1, here.shape[-1]))
    return pair[0], pair[1]


def _checked(body: Body, y: Value, example: tuple[Array, Array]) -> str:
    """A note on how well the example is met; raises `TinyctlError` when it is not."""
    inputs, outputs = example
    if inputs.shape != (len(outputs), body.input.width) or outputs.shape[1] != y.width:
        raise TinyctlError(f"shapes {inputs.shape} and {outputs.shape} do not fit the network", where="example")
    open_request = Request(Path(), rate_hz=1.0)  # any contract that lets the example through
    contract, _ = contract_of(open_request, body.input.width, y.width)
    trial = body.policy(y, contract)
    action, _ = trial.run(inputs.astype(F32), trial.init(len(inputs)))
    worst = float(np.abs(action - outputs).max())
    if not worst <= TOLERANCE:
        raise TinyctlError(
            f"the example in the file is missed by {worst:.2g}: the network is not understood",
            where="example",
            fix="please report the file",
        )
    return f"the file's own example is met within {worst:.1g}"


def _from_hdf5(data: bytes) -> list[_Layer]:
    layers: list[_Layer] = []
    _walk(read_hdf5(data), "", layers)
    actors = [layer for layer in layers if layer.name.startswith("actor/")]
    return actors or layers


def _walk(group: Group, path: str, layers: list[_Layer]) -> None:
    """Collect the groups that are layers, numbers and the names of an MLP in their order."""
    children = {name: group.members[name] for name in sorted(group.members, key=_rank)}
    for parts in PARTS:
        if parts <= set(children):
            told = group.text("activation_function") or None
            arrays = {p: _parameter(children[p], f"{path}{p}") for p in sorted(parts)}
            layers.append(_Layer(path.strip("/") or "layer", arrays, told))
            return
    for name, node in children.items():
        if isinstance(node, Group):
            _walk(node, f"{path}{name}/", layers)


def _rank(name: str) -> tuple[int, int, str]:
    """Numbers by value; an MLP's input layer before its hidden, these before its output layer."""
    if name.isascii() and name.isdigit():
        return 0, int(name[:9]), name
    return ({"input_layer": 0, "output_layer": 2}.get(name, 1), len(name), name)


def _parameter(node: Any, where: str) -> Array:
    """The numbers of a parameter: a dataset, or a group with the dataset `parameters`."""
    return dataset(node.members.get("parameters") if isinstance(node, Group) else node, where)
