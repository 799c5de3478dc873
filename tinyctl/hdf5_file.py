"""HDF5 files from outside: only data inside the file, small enough, of real numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, missing
from tinyctl.layers.base import Array


@contextmanager
def hdf5_file(data: bytes) -> Iterator[Any]:
    """The open file; whatever the library raises while it is read becomes a `FileError`."""
    try:
        import h5py
    except ImportError:
        raise missing("h5py", "hdf5") from None
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except TinyctlError:
        raise
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        MemoryError,
        RecursionError,
    ) as error:
        raise FileError(f"not an HDF5 file, or damaged ({type(error).__name__})") from None


def child(group: Any, name: str) -> Any:
    """A member that lies in this very file; None for others (links can lead out of it)."""
    import h5py

    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def dataset(node: Any, where: str) -> Array:
    """The numbers of a data set, float64. Raises `TinyctlError` before anything large or outside is read."""
    import h5py

    if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external:
        raise TinyctlError("keeps its data in another file, or is no data set", where=where[-80:])
    if node.dtype.kind != "f" or not 1 <= node.ndim <= 3 or node.size > MAX_ELEMENTS:
        raise TinyctlError(f"shape {node.shape!s:.60} of {node.dtype!s:.20} is not read", where=where[-80:])
    return np.array(node[()], np.float64)


def text(value: Any) -> str:
    """An attribute as text; empty for anything else."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
