"""Reads one HDF5 file in a process of its own: standard input to standard output. See `hdf5_file.py`, which runs it.

A damaged file can make the HDF5 library hang, crash or ask for all memory; here that ends this process, nothing else.
What comes out is an `.npz` of float64 arrays and of one JSON tree that names them.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import h5py
import numpy as np

MAX_OBJECTS, MAX_DEPTH, MAX_ELEMENTS, MAX_NAMES = 4096, 16, 1 << 22, 64


def main() -> int:
    arrays: dict[str, Any] = {}
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
            tree = walk(file, arrays, [0], 0)
        arrays["tree"] = np.frombuffer(json.dumps(tree).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
    except Exception as error:  # h5py passes on whatever a damaged file leads the library to
        print(f"not an HDF5 file, or damaged ({type(error).__name__})", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(buffer.getvalue())
    return 0


def walk(group: Any, arrays: dict[str, Any], visited: list[int], depth: int) -> dict[str, Any]:
    """The group as a tree: attributes that are text, members that lie in this very file (links can lead out of it)."""
    members: dict[str, Any] = {}
    for name in group if depth < MAX_DEPTH else ():
        visited[0] += 1
        if visited[0] > MAX_OBJECTS:
            raise ValueError("too many objects")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        node = group[name]
        members[name] = walk(node, arrays, visited, depth + 1) if hasattr(node, "keys") else leaf(node, arrays)
    told = {key: value for key in group.attrs if (value := words(group.attrs[key])) is not None}
    return {"attributes": told, "members": members}


def leaf(node: Any, arrays: dict[str, Any]) -> str:
    """The name under which the data set's numbers are kept; after a "!" the reason why they are not read."""
    if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external:
        return "!keeps its data in another file, or is no data set"
    if node.dtype.kind != "f" or not 1 <= node.ndim <= 3 or node.size > MAX_ELEMENTS:
        return f"!shape {node.shape!s:.60} of {node.dtype!s:.20} is not read"
    name = f"a{len(arrays)}"
    arrays[name] = np.array(node[()], np.float64)
    return name


def words(value: Any) -> str | list[str] | None:
    """An attribute that is text, or a list of texts."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) <= MAX_NAMES:
        texts = [words(item) for item in value]
        return [t for t in texts if isinstance(t, str)]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


if __name__ == "__main__":
    sys.exit(main())
