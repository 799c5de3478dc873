"""Keras: `.keras` and the older `.h5`, a chain of layers. Read without Keras: the JSON that describes it, the weights.

Keras itself would run code that a file holds (lambda layers); here such a layer is a name that is not known.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_FILE_BYTES, Imported, Request, contract_of, read_bytes
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.hdf5_file import Group, dataset, read_hdf5
from tinyctl.layers.base import Array

SUFFIXES = (".keras", ".h5", ".hdf5")
MEMBERS = ("config.json", "model.weights.h5")
MAX_LAYERS = 64
EPSILON = 1e-7  # Keras' default, the least deviation that Normalization divides by
Weights = Callable[[str], list[Array]]  # of a layer, by its name


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
        if isinstance(stored, Group):
            groups[stored.text("name")] = stored

    def find(name: str) -> list[Array]:
        stored = groups[name].members if name in groups else {}
        return [dataset(stored[key], f"{name}/{key}") for key in ("0", "1") if key in stored]

    return find


def _stored_by_name(file: Group) -> Weights:
    """Weights of `.h5`: model_weights/LAYER, whose attribute `weight_names` lists the paths in order."""

    def find(name: str) -> list[Array]:
        weights = file.members.get("model_weights")
        layer = weights.members.get(name) if isinstance(weights, Group) else None
        found = []
        for path in layer.texts("weight_names")[:2] if isinstance(layer, Group) else ():
            node: Any = layer
            for part in path.split("/"):
                node = node.members.get(part) if isinstance(node, Group) else None
            found.append(dataset(node, f"{name}/{path}"))
        return found

    return find


def _model(request: Request, config: Any, weights: Weights) -> Imported:
    """Walk the layers in order."""
    try:
        layers = _chain(config)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise TinyctlError(f"its configuration is not understood ({type(error).__name__})") from None
    if not 0 < len(layers) <= MAX_LAYERS:
        raise TinyctlError(f"{len(layers)} layers; 1 to {MAX_LAYERS} are read")
    body: Body | None = None
    y: Value | None = None
    for kind, name, settings in layers:
        where = f"layer {name!r:.60} ({kind!s:.40})"
        if kind not in KINDS:
            raise TinyctlError("is not a layer that is read", where=where, fix=f"those are {', '.join(sorted(KINDS))}")
        try:
            arrays = weights(name) if kind in WEIGHTED else []
            if body is None or y is None:
                width = _width(settings, arrays)
                if width is None:
                    continue
                body = Body(width)
                y = body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)
            y = KINDS[kind](body, y, name, settings, arrays)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise TinyctlError(
                f"its settings or weights are not understood ({type(error).__name__})", where=where
            ) from None
    if body is None or y is None:
        raise TinyctlError("does not tell the width of its input")
    contract, warnings = contract_of(request, body.input.width, y.width, output_range=body.final_range(y))
    return Imported(body.policy(y, contract), "Keras", tuple(warnings))


def _chain(config: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """(class, name, settings) of the layers; each must read the one before and no other."""
    if config["class_name"] not in ("Sequential", "Functional", "Model"):
        raise TinyctlError(f"a {config['class_name']!s:.40} is not read", fix="save a Sequential or functional model")
    rows, before = [], ""
    for row in config["config"]["layers"]:
        name = row["config"]["name"]
        inbound = row.get("inbound_nodes", [])
        if inbound and (len(inbound) != 1 or _sources(inbound[0]) != [before]):
            raise TinyctlError("does not read just the layer before it", where=f"layer {name!r:.60}")
        rows.append((str(row["class_name"]), str(name), dict(row["config"])))
        before = name
    return rows


def _sources(inbound: Any) -> list[str]:
    """The layers that a functional layer reads."""
    if isinstance(inbound, dict):
        read = [a for entry in inbound["args"] for a in (entry if isinstance(entry, list) else [entry])]
        return [a["config"]["keras_history"][0] for a in read]
    return [entry[0] for entry in inbound]  # the form of Keras 2


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


def _dense(body: Body, x: Value, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    bias = arrays[1] if settings["use_bias"] else np.zeros(arrays[0].shape[1])
    return _activate(body, body.dense(x, arrays[0].T, bias, name), settings["activation"], name)


def _normalization(body: Body, x: Value, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    if settings.get("invert"):
        raise TinyctlError("invert is not read", where=f"layer {name!r:.60}")
    mean, variance = (arrays[0], arrays[1]) if arrays else (settings["mean"], settings["variance"])
    mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in (mean, variance))
    gain = 1 / np.maximum(np.sqrt(variance), EPSILON)
    return body.scale(x, gain, -mean * gain, name)


def _rescaling(body: Body, x: Value, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    return body.scale(x, np.asarray(settings["scale"], np.float64), np.asarray(settings["offset"], np.float64), name)


def _relu(body: Body, x: Value, name: str, settings: dict[str, Any], arrays: list[Array]) -> Value:
    if settings.get("negative_slope") or settings.get("threshold"):
        raise TinyctlError("slope and threshold are not read", where=f"layer {name!r:.60}")
    limit = settings.get("max_value")
    return body.activation(x, "relu", name) if limit is None else body.clip(x, 0.0, float(limit), name)


Kind = Callable[[Body, Value, str, dict[str, Any], list[Array]], Value]
KINDS: dict[str, Kind] = {
    "InputLayer": lambda body, x, name, settings, arrays: x,
    "Dropout": lambda body, x, name, settings, arrays: x,
    "Flatten": lambda body, x, name, settings, arrays: x,
    "Dense": _dense,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Activation": lambda body, x, name, settings, arrays: _activate(body, x, settings["activation"], name),
    "ReLU": _relu,
}
WEIGHTED = ("Dense", "Normalization")
