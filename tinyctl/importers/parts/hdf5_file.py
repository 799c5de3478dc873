"""HDF5 files from outside, read in a process of their own: only data inside the file, small enough, of real numbers."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import missing
from tinyctl.layers.base import Array

CHILD = Path(__file__).with_name("hdf5_child.py")
LIMIT_S = 20  # a file of a controller takes a fraction of a second


@dataclass(frozen=True)
class Group:
    """A group: its attributes that are text, and its members in the file's order. A member that is a text is a data set
    that was not read, and says why."""

    attributes: dict[str, str | list[str]]
    members: dict[str, Group | Array | str]

    def text(self, name: str) -> str:
        """An attribute as text; empty for anything else."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """An attribute as a list of texts; empty for anything else."""
        value = self.attributes.get(name)
        return value if isinstance(value, list) else []


def read_hdf5(data: bytes) -> Group:
    """The root group of a file. Raises `FileError` for one that cannot be read, or not in time."""
    if importlib.util.find_spec("h5py") is None:
        raise missing("h5py", "hdf5")
    command = [sys.executable, "-P", str(CHILD)]  # -P: the folder's modules stand in nobody's way
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FileError(f"damaged: the HDF5 library does not get through it in {LIMIT_S} s") from None
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        plain = done.returncode == 1 and len(told) == 1
        raise FileError(told[0] if plain else "damaged: the HDF5 library breaks down on it")
    try:
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
            return _group(json.loads(arrays["tree"].tobytes()), arrays)
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError, OSError):
        raise FileError("damaged: what the HDF5 library made of it cannot be read") from None


def dataset(node: Group | Array | str | None, where: str) -> Array:
    """The numbers of a data set, float64; raises `TinyctlError` for anything else."""
    if isinstance(node, np.ndarray):
        return node
    raise TinyctlError(node if isinstance(node, str) else "is no data set in this file", where=where[-80:])


def _group(tree: dict[str, Any], arrays: Any) -> Group:
    members: dict[str, Group | Array | str] = {}
    for name, value in tree["members"].items():
        if isinstance(value, dict):
            members[name] = _group(value, arrays)
        else:
            members[name] = value[1:] if value.startswith("!") else arrays[value]
    return Group(tree["attributes"], members)
