"""Keras: `.keras` and the older `.h5`. Read without Keras: the JSON that describes the layers, the weights.

Keras itself would run code that a file holds (lambda layers); here such a layer is a name that is not known.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_FILE_BYTES, Imported, Request, contract_of, read_bytes
from tinyctl.importers.parts.body import Body, Value, in_order
from tinyctl.importers.parts.hdf5_file import Group, dataset, read_hdf5
from tinyctl.layers.base import Array

SUFFIXES = (".keras", ".h5", ".hdf5")
MEMBERS = ("config.json", "model.weights.h5")
MAX_LAYERS = 64
EPSILON = 1e-7  # Keras' default, the least deviation that Normalization divides by
Weights = Callable[[str, int], list[Array]]  # of a layer, by its name, the first so many
Values = tuple[Value, ...]  # what a layer reads
Kind = Callable[[Body, Values, str, dict[str, Any], list[Array]], Value]


def claims(path: Path) -> bool:
    """Whether an HDF5 file is Keras' rather than another framework's."""
    if path.suffix.lower() == ".keras":
        return True
    return "model_config" in read_hdf5(read_bytes(path)).attributes


def read(request: Request) -> Imported:
    """Import a saved model."""
    data = read_bytes(request.path)
    if request.path.suffix.lower() == ".keras":
        config, data = _members(data)
        return _model(request, config, _stored(read_hdf5(data)))
    file = read_hdf5(data)
    return _model(request, _json(file.text("model_config")), _stored_by_name(file))


def _members(data: bytes) -> tuple[Any, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in MEMBERS:
                if archive.getinfo(name).file_size > MAX_FILE_BYTES:
                    raise FileError(f"{name} unfolds to more than {MAX_FILE_BYTES >> 20} MiB")
            config, weights = (archive.read(name) for name in MEMBERS)
    except KeyError:
        raise FileError("no config.json and model.weights.h5 inside: not a saved Keras model") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise FileError(f"not a .keras file, or damaged ({error})") from None
    return _json(config), weights


def _json(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FileError(f"its configuration is not valid JSON ({error})") from None


def _stored(file: Group) -> Weights:
    """Weights of `.keras`: layers/KIND_N/vars/0, 1, ..; the attribute `name` of `vars` is the layer's."""
    groups: dict[str, Group] = {}
    layers = file.members.get("layers")
    for layer in layers.members.values() if isinstance(layers, Group) else ():
        stored = layer.members.get("vars") if isinstance(layer, Group) else None
        cell = layer.members.get("cell") if isinstance(layer, Group) else None
        inside = cell.members.get("vars") if isinstance(cell, Group) else None
        if isinstance(stored, Group):
            groups[stored.text("name")] = inside if isinstance(inside, Group) else stored

    def find(name: str, count: int) -> list[Array]:
        stored = groups[name].members if name in groups else {}
        return [dataset(stored[key], f"{name}/{key}") for key in map(str, range(count)) if key in stored]

    return find


def _stored_by_name(file: Group) -> Weights:
    """Weights of `.h5`: model_weights/LAYER, whose attribute `weight_names` lists the paths in order."""

    def find(name: str, count: int) -> list[Array]:
        weights = file.members.get("model_weights")
        layer = weights.members.get(name) if isinstance(weights, Group) else None
        found = []
        for path in layer.texts("weight_names")[:count] if isinstance(layer, Group) else ():
            node: Any = layer
            for part in path.split("/"):
                node = node.members.get(part) if isinstance(node, Group) else None
            found.append(dataset(node, f"{name}/{path}"))
        return found

    return find


def _model(request: Request, config: Any, weights: Weights) -> Imported:
    """Walk the layers in the file's order."""
    try:
        rows, output = _rows(config), _output(config, request.output)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise TinyctlError(f"its configuration is not understood ({type(error).__name__})") from None
    body: Body | None = None
    values: dict[str, Value] = {}
    _check_steps(rows)
    for row in rows:
        where = f"layer {row.name!r:.60} ({row.kind!s:.40})"
        if row.kind not in KINDS:
            raise TinyctlError("is not a layer that is read", where=where, fix=f"those are {', '.join(sorted(KINDS))}")
        try:
            arrays = weights(row.name, WEIGHTED.get(row.kind, 0))
            if body is None:
                width = _width(row.settings, arrays)
                if width is None:
                    continue
                body = Body(width)
                first = body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)
                inputs: Values = (first,)
            elif not row.reads or not set(row.reads) <= set(values):
                raise TinyctlError("reads no layer before it; one input is read", where=where)
            else:
                inputs = tuple(values[name] for name in row.reads)
            values[row.name] = KINDS[row.kind](body, inputs, row.name, row.settings, arrays)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise TinyctlError(
                f"its settings or weights are not understood ({type(error).__name__})", where=where
            ) from None
    if body is None:
        raise TinyctlError("does not tell the width of its input")
    if output is not None and output not in values:
        raise TinyctlError("does not depend on the input", where=f"output {output!r:.60}")
    y = values[output] if output is not None else list(values.values())[-1]
    contract, warnings = contract_of(request, body.input.width, y.width, output_range=body.final_range(y))
    return Imported(body.policy(y, contract), "Keras", tuple(warnings))


@dataclass(frozen=True)
class _Row:
    """A layer: its class, name and settings, and the layers that it reads."""

    kind: str
    name: str
    settings: dict[str, Any]
    reads: tuple[str, ...]


def _rows(config: Any) -> list[_Row]:
    if config["class_name"] not in ("Sequential", "Functional", "Model"):
        raise TinyctlError(f"a {config['class_name']!s:.40} is not read", fix="save a Sequential or functional model")
    rows: list[_Row] = []
    layers = config["config"]["layers"]
    if not 0 < len(layers) <= MAX_LAYERS:
        raise TinyctlError(f"{len(layers)} layers; 1 to {MAX_LAYERS} are read")
    for row in layers:
        name, inbound = str(row["config"]["name"]), row.get("inbound_nodes", [])
        if len(inbound) > 1:
            raise TinyctlError("is used twice", where=f"layer {name!r:.60}", fix="give each use a layer of its own")
        before = [rows[-1].name] if rows and config["class_name"] == "Sequential" else []
        reads = _sources(inbound[0]) if inbound else before
        if name in [other.name for other in rows]:
            raise TinyctlError("the name is taken", where=f"layer {name!r:.60}")
        rows.append(_Row(str(row["class_name"]), name, dict(row["config"]), tuple(map(str, reads))))
    return rows


def _output(config: Any, wanted: str | None) -> str | None:
    """The layer that computes the action; None for the last one, of a sequential model."""
    told = config["config"].get("output_layers", [])
    entries = told if told and isinstance(told[0], list) else [told] if told else []
    names = [str(entry[0]) for entry in entries]
    if (len(names) > 1 and wanted is None) or (wanted is not None and wanted not in names):
        fix = "choose the action with --output NAME"
        raise TinyctlError(f"{len(names)} outputs ({', '.join(names)!s:.120})", fix=fix)
    return wanted if wanted is not None else names[0] if names else None


def _sources(inbound: Any) -> list[str]:
    """The layers that a functional layer reads."""
    if isinstance(inbound, dict):
        read = [a for entry in inbound["args"] for a in (entry if isinstance(entry, list) else [entry])]
        return [a["config"]["keras_history"][0] for a in read]
    return [entry[0] for entry in inbound]  # the form of Keras 2


def _check_steps(rows: list[_Row]) -> None:
    """A cell must go on from one control step to the next, not start afresh with every window."""
    shape = next((s for s in map(_input_shape, rows) if s is not None), None)
    for row in rows:
        if row.kind in CELLS and (shape is None or len(shape) != 3):
            raise TinyctlError("reads no sequence", where=f"layer {row.name!r:.60}")
        if row.kind in CELLS and shape is not None and shape[1] is not None and not row.settings.get("stateful"):
            raise TinyctlError(
                f"starts afresh for every window of {shape[1]!s:.20} steps",
                where=f"layer {row.name!r:.60}",
                fix="save it with stateful=True, or with inputs of any length",
            )
    if shape is not None and len(shape) == 3 and any(row.kind in CELLS for row in rows):
        rows[0].settings["batch_shape"] = (shape[0], shape[2])  # what one step reads


def _input_shape(row: _Row) -> Any:
    return row.settings.get("batch_shape") or row.settings.get("batch_input_shape")


def _width(settings: dict[str, Any], arrays: list[Array]) -> int | None:
    """The number of inputs that a first layer tells, None when it does not."""
    shape = settings.get("batch_shape") or settings.get("batch_input_shape")
    if shape is not None:
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise TinyctlError(
                f"an input of shape {shape!s:.60}", fix="the observation must be one vector of fixed width"
            )
        return shape[1]
    return len(arrays[0]) if arrays else None


def _activate(body: Body, x: Value, kind: Any, name: str) -> Value:
    if kind in (None, "linear"):
        return x
    parameters = (0.2,) if kind == "leaky_relu" else ()  # Keras' own default
    return body.activation(x, str(kind)[:40], f"{name}_{kind!s:.40}", *parameters)


def _dense(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    (x,) = inputs
    bias = arrays[1] if settings["use_bias"] else np.zeros(arrays[0].shape[1])
    return _activate(body, body.dense(x, arrays[0].T, bias, name), settings["activation"], name)


def _recurrent(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    """A stateful cell, fed one step at a time. Gates from Keras' order to that of the cell."""
    (x,) = inputs
    kernel, recurrent = (a.T for a in arrays[:2])
    bias = arrays[2] if settings["use_bias"] else np.zeros(len(kernel))
    if (settings["activation"], settings["recurrent_activation"]) != ("tanh", "sigmoid"):
        raise TinyctlError("has other activations than tanh and sigmoid", where=f"layer {name!r:.60}")
    if settings.get("go_backwards"):
        raise TinyctlError("runs backwards", where=f"layer {name!r:.60}")
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    if "reset_after" not in settings:  # an LSTM
        return body.lstm(x, (kernel, recurrent, *biases), name)
    weights = tuple(in_order(a, (1, 0, 2)) for a in (kernel, recurrent, *biases))
    return body.gru(x, weights, name, reset_after=bool(settings["reset_after"]))


def _normalization(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    if settings.get("invert"):
        raise TinyctlError("invert is not read", where=f"layer {name!r:.60}")
    mean, variance = (arrays[0], arrays[1]) if arrays else (settings["mean"], settings["variance"])
    mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in (mean, variance))
    gain = 1 / np.maximum(np.sqrt(variance), EPSILON)
    (x,) = inputs
    return body.scale(x, gain, -mean * gain, name)


def _batch_normalization(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    rest = list(arrays)  # what scales, what centers, then the statistics
    gain = rest.pop(0) if settings["scale"] else np.ones(len(rest[-1]))
    offset = rest.pop(0) if settings["center"] else np.zeros(len(rest[-1]))
    mean, variance = rest
    (x,) = inputs
    gain = gain / np.sqrt(variance + float(settings["epsilon"]))
    return body.scale(x, gain, offset - mean * gain, name)


def _rescaling(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    (x,) = inputs
    return body.scale(x, np.asarray(settings["scale"], np.float64), np.asarray(settings["offset"], np.float64), name)


def _relu(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    (x,) = inputs
    if settings.get("negative_slope") or settings.get("threshold"):
        raise TinyctlError("slope and threshold are not read", where=f"layer {name!r:.60}")
    limit = settings.get("max_value")
    return body.activation(x, "relu", name) if limit is None else body.clip(x, 0.0, float(limit), name)


def _parameter(kind: str, *keys: str) -> Kind:
    """An activation with a parameter that one of the settings holds."""

    def make(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
        (x,) = inputs
        return body.activation(x, kind, name, float(next(settings[key] for key in keys if key in settings)))

    return make


def _same(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    (x,) = inputs
    return x


def _add(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    total, *rest = inputs
    for x in rest:
        total = body.add(total, x, name)
    return total


def _concatenate(body: Body, inputs: Values, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    if settings["axis"] not in (-1, 1):
        raise TinyctlError("along another axis than the last", where=f"layer {name!r:.60}")
    return body.concat(inputs, name)


CELLS = ("GRU", "LSTM")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("InputLayer", "Dropout", "Flatten"), _same),
    "Dense": _dense,
    **dict.fromkeys(CELLS, _recurrent),
    "Normalization": _normalization,
    "BatchNormalization": _batch_normalization,
    "Rescaling": _rescaling,
    "Activation": lambda body, inputs, name, settings, arrays: _activate(body, inputs[0], settings["activation"], name),
    "ReLU": _relu,
    "LeakyReLU": _parameter("leaky_relu", "negative_slope", "alpha"),
    "ELU": _parameter("elu", "alpha"),
    "Add": _add,
    "Concatenate": _concatenate,
}
WEIGHTED = {"Dense": 2, "GRU": 3, "LSTM": 3, "Normalization": 2, "BatchNormalization": 4}  # arrays of a layer
