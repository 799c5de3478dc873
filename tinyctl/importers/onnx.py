"""ONNX: feed-forward networks with one input and static widths. Metadata of Isaac Lab and mjlab exports is heeded.

Nothing but protobuf parses the file: no shape inference, no checker, no external data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import Imported, Request, contract_of, missing, read_bytes
from tinyctl.importers.parts.onnx_graph import Reader
from tinyctl.jsons import parse_json
from tinyctl.layers.base import Array

SUFFIXES = (".onnx",)
CONTRACT_KEY = "tinyctl.contract"  # of our own exports
ROBOT_KEYS = ("observation_names", "joint_names", "action_scale", "default_joint_pos")


def read(request: Request) -> Imported:
    """Import an ONNX file."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise missing("onnx", "onnx") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_bytes(request.path))
    except (DecodeError, ValueError, RecursionError) as error:
        raise FileError(f"not an ONNX file, or damaged ({error})", where=request.path) from None
    if not model.graph.node and not model.graph.input:
        raise FileError("no graph inside: not an ONNX file", where=request.path)
    if any(isinstance(text, bytes) for text in _texts(model)):  # protobuf passes on what is not UTF-8 as bytes
        raise FileError("a name inside is not UTF-8: damaged", where=request.path)
    metadata = {p.key: p.value for p in model.metadata_props}
    reader = Reader(model.graph)
    body, result = reader.network(request, CONTRACT_KEY in metadata)
    found = None
    if CONTRACT_KEY in metadata:
        found = Contract.from_json(parse_json(metadata[CONTRACT_KEY], where=f"metadata {CONTRACT_KEY}"))
    if request.normalizer is None and not request.unnormalized and _lacks_normalizer(model.graph):
        raise TinyctlError(
            "an rsl_rl actor without a normaliser",
            fix="give --normalize stats.npz (docs/import.md) or, for an agent trained without, --no-normalize",
        )
    inputs, outputs, notes = _robot(metadata, reader.n_in, result.width, targets=request.joint_targets)
    if request.joint_targets:
        gain, offset = (_numbers(metadata, key, result.width) for key in ("action_scale", "default_joint_pos"))
        result = body.scale(result, gain, offset, "joint_target")
    contract, warnings = contract_of(
        request,
        reader.n_in,
        result.width,
        found=found,
        input_names=inputs,
        output_names=outputs,
        output_range=body.final_range(result),
    )
    return Imported(body.policy(result, contract), "ONNX", tuple(warnings + notes))


def _texts(model: Any) -> Iterator[Any]:
    """All names in a model."""
    graph = model.graph
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.node):
        yield named.name
    for node in graph.node:
        yield from (node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute))
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)


def _lacks_normalizer(graph: Any) -> bool:
    """Whether it is what rsl_rl exports (from `obs` to `actions`, through the module `actor`) of an actor alone."""
    names = [*(n.name for n in graph.node), *(t.name for t in graph.initializer)]
    ends = ([i.name for i in graph.input][:1], [o.name for o in graph.output])
    actor = any(name.startswith(("/actor/", "actor.")) for name in names)
    return ends == (["obs"], ["actions"]) and actor and not any("normalizer" in name for name in names)


def _numbers(metadata: dict[str, str], key: str, n_out: int) -> Array:
    """A list of the metadata, one number for each action or one for all."""
    words = metadata.get(key, "").split(",")
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        raise TinyctlError(f"{','.join(words)!r:.60} is no list of numbers", where=f"metadata {key}") from None
    if values.size not in (1, n_out):
        raise TinyctlError(f"{values.size} numbers for {n_out} actions", where=f"metadata {key}")
    return values


def _robot(
    metadata: dict[str, str], n_in: int, n_out: int, *, targets: bool
) -> tuple[list[str] | None, list[str] | None, list[str]]:
    """Names of inputs and outputs, and notes, from the comma-separated lists that Isaac Lab and mjlab attach."""
    lists = {key: metadata[key].split(",") for key in ROBOT_KEYS if metadata.get(key)}
    terms, joints = lists.get("observation_names"), lists.get("joint_names")
    notes = []
    if terms and len(terms) != n_in:
        notes.append(f"observation terms in order: {', '.join(terms)!s:.300}; the file does not tell their widths")
    if "action_scale" in lists and not targets:
        scale, rest = (", ".join(lists.get(k, ["unknown"]))[:200] for k in ("action_scale", "default_joint_pos"))
        notes.append(
            "the actions are the network's raw output; as metadata says (to three decimals), joint position = "
            f"default_joint_pos ({rest}) + action_scale ({scale}) * action: --joint-targets"
        )
    same = terms is not None and len(terms) == n_in
    return terms if same else None, joints if joints and len(joints) == n_out else None, notes
