"""`.tctl` files: a zip of one JSON manifest and plain `.npy` arrays, the same bytes for the same network.

Files come from strangers. Nothing in one is executed or unpickled, every size is checked before memory is taken for it,
and whatever is wrong becomes one `FileError`.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.graph import Graph
from tinyctl.jsons import canonical_json, parse_json, record_from_json
from tinyctl.layers import LAYERS
from tinyctl.layers.base import MAX_WIDTH, Layer
from tinyctl.network import MAX_NODES, Network, Node
from tinyctl.policy import Policy
from tinyctl.safety.guard import Guard, Guarded, Monitor, Rules, group_from_json

SCHEMA = 1
MANIFEST = "manifest.json"
MAX_FILE_BYTES = 16 << 20  # far above any controller; also bounds the directory that zipfile parses
MAX_MEMBERS = 2048
EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's zero: files carry no date
DTYPES = frozenset({"float32", "int32", "int16", "int8"})
KINDS: dict[str, type[Network]] = {"policy": Policy, "graph": Graph, "guarded": Guarded}
FALLBACK = "fallback.tctl"


def save(network: Network, path: str | Path) -> None:
    """Write a policy or graph; an existing file is replaced only once the new one is complete."""
    write_atomically(Path(path), _zipped(network))


def _zipped(network: Network) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members(network):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    return buffer.getvalue()


def load(path: str | Path) -> Policy | Graph:
    """Read a policy or graph. Raises `FileError`, in one line, for anything that is not exactly one."""
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise FileError(f"larger than {MAX_FILE_BYTES >> 20} MiB", where=path)
        with zipfile.ZipFile(path) as archive:
            contents = _read_members(archive)
    except FileNotFoundError:
        raise FileError("no such file", where=path) from None
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror or error})", where=path) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise FileError(f"not a .tctl file, or damaged ({error})", where=path) from None
    try:
        return _network(contents)
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None


def members(network: Network) -> Iterator[tuple[str, bytes]]:
    """The files inside the archive, in order: the manifest, then the arrays of each node."""
    manifest = {
        "kind": network.kind,
        "schema": SCHEMA,
        "contract": network.contract.to_json(),
        "nodes": [
            {
                "name": node.name,
                "layer": node.layer.kind,
                "inputs": list(node.inputs),
                "format": node.format,
                "fields": {f: _plain(v) for f, v in _layer_fields(node.layer) if not isinstance(v, np.ndarray)},
            }
            for node in network.nodes
        ],
    }
    if isinstance(network, Guarded):
        manifest["guard"] = network.guard.to_json()
    yield MANIFEST, canonical_json(manifest).encode()
    if isinstance(network, Guarded):
        yield FALLBACK, _zipped(network.guard.fallback)
    for node in network.nodes:
        for name, value in _layer_fields(node.layer):
            if isinstance(value, np.ndarray):
                yield f"{node.name}/{name}.npy", _npy(value)


def _layer_fields(layer: Layer) -> list[tuple[str, Any]]:
    """Names and values. A field at its default is left out: a field that is new changes no older file and no hash."""
    found = ((f, getattr(layer, f.name)) for f in fields(layer))
    return [(f.name, value) for f, value in found if isinstance(value, np.ndarray) or value != f.default]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    np.lib.format.write_array(buffer, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read_members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS or len({e.filename for e in entries}) != len(entries):
        raise ValueError("too many members, or one twice")
    for entry in entries:
        # Stored, not compressed: a member cannot unfold to more than the file's own size.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 1:
            raise ValueError(f"member {entry.filename!r:.60} is compressed or encrypted")
    if sum(e.file_size for e in entries) > MAX_FILE_BYTES:
        raise ValueError("members larger than the file")
    return {e.filename: archive.read(e) for e in entries}


def _network(contents: dict[str, bytes]) -> Policy | Graph:
    if MANIFEST not in contents:
        raise TinyctlError(f"no {MANIFEST} inside: not a .tctl file")
    manifest = parse_json(contents.pop(MANIFEST), where=MANIFEST)
    keys = {"kind", "schema", "contract", "nodes"}
    if not isinstance(manifest, dict) or set(manifest) - {"guard"} != keys:
        raise TinyctlError("is not an object of kind, schema, contract and nodes", where=MANIFEST)
    if manifest["schema"] != SCHEMA or isinstance(manifest["schema"], bool):
        raise TinyctlError(f"schema {manifest['schema']!r:.20} is not {SCHEMA}", where=MANIFEST, fix="update tinyctl")
    if not isinstance(manifest["kind"], str) or manifest["kind"] not in KINDS:
        raise TinyctlError(f"kind {manifest['kind']!r:.20} is not one of {', '.join(KINDS)}", where=MANIFEST)
    rows = manifest["nodes"]
    if not isinstance(rows, list) or len(rows) > MAX_NODES:
        raise TinyctlError(f"nodes is not a list of at most {MAX_NODES}", where=MANIFEST)
    contract = Contract.from_json(manifest["contract"])
    nodes = tuple(_node(row, contents) for row in rows)
    guarded = manifest["kind"] == Guarded.kind
    if guarded != ("guard" in manifest):
        raise TinyctlError("a guard that is missing, or one too many", where=MANIFEST)
    guard = _guard(manifest["guard"], contents) if guarded else None
    if contents:
        raise TinyctlError(f"unexpected member {min(contents)!r:.60}")
    if guard is not None:
        return Guarded(contract, nodes, guard)
    network = KINDS[manifest["kind"]](contract, nodes)
    assert isinstance(network, Policy | Graph)
    return network


def _guard(row: Any, contents: dict[str, bytes]) -> Guard:
    """The guard of a manifest; its fallback is a file within the file."""
    if FALLBACK not in contents:
        raise TinyctlError(f"the member {FALLBACK!r} is missing")
    try:
        with zipfile.ZipFile(io.BytesIO(contents.pop(FALLBACK))) as archive:
            fallback = _network(_read_members(archive))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise TinyctlError(f"damaged ({error})", where=FALLBACK) from None
    if type(fallback) is not Graph:
        raise TinyctlError("is not a graph", where=FALLBACK)
    parts = {"groups": list, "monitor": dict, "rules": dict, "lag_s": float}
    if not isinstance(row, dict) or set(row) != set(parts) or not all(isinstance(row[k], t) for k, t in parts.items()):
        raise TinyctlError("guard is not an object of groups, monitor, rules and lag_s", where=MANIFEST)
    groups = tuple(group_from_json(group) for group in row["groups"])
    monitor = record_from_json(Monitor, row["monitor"], where="guard monitor")
    rules = record_from_json(Rules, row["rules"], where="guard rules")
    return Guard(groups, monitor, rules, row["lag_s"], fallback)


def _node(row: Any, contents: dict[str, bytes]) -> Node:
    if not isinstance(row, dict) or set(row) != {"name", "layer", "inputs", "format", "fields"}:
        raise TinyctlError("a node is not an object of name, layer, inputs, format and fields", where=MANIFEST)
    where = f"node {row['name']!r:.70}"
    if not isinstance(row["layer"], str) or row["layer"] not in LAYERS:
        raise TinyctlError(f"there is no layer {row['layer']!r:.40}", where=where)
    if not isinstance(row["fields"], dict):
        raise TinyctlError("fields is not an object", where=where)
    kind = LAYERS[row["layer"]]
    values = dict(row["fields"])
    for f in fields(kind):
        if "dtype" in f.metadata:
            member = f"{row['name']}/{f.name}.npy"
            if f.name in values:
                raise TinyctlError(f"the array {f.name!r} stands among the fields", where=where)
            if member not in contents:
                raise TinyctlError(f"the array {member!r:.90} is missing", where=where)
            values[f.name] = _array(contents.pop(member), where=member)
    layer = record_from_json(kind, values, where=where)
    body = {key: row[key] for key in ("name", "inputs", "format")}
    return record_from_json(Node, {**body, "layer": layer}, where=where)


def _array(data: bytes, *, where: str) -> np.ndarray[Any, Any]:
    """Parse a version 1.0 `.npy` whose header agrees with its length."""
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=1024)
    except Exception as error:  # NumPy parses the header with ast.literal_eval, which raises many kinds
        raise TinyctlError(f"not a .npy array ({error})", where=where) from None
    if fortran or dtype.name not in DTYPES or dtype.byteorder == ">":
        raise TinyctlError(f"an array of {dtype} is not possible here", where=where)
    if not 1 <= len(shape) <= 2 or not all(type(n) is int and 1 <= n <= MAX_WIDTH for n in shape):
        raise TinyctlError("an array of this shape is not possible here", where=where)
    count = math.prod(shape)
    if count * dtype.itemsize != len(data) - stream.tell():
        raise TinyctlError("the array's length does not fit its shape", where=where)
    return np.frombuffer(data, dtype, count, stream.tell()).reshape(shape).copy()
