"""Importers, found by listing this folder: each file has `SUFFIXES` and `read(request) -> Imported`.

Where several read the same suffix, each but the last has `claims(path) -> bool`.
"""

from __future__ import annotations

import sys

from tinyctl.errors import FileError, TinyctlError
from tinyctl.folders import modules
from tinyctl.importers.base import Imported, Request

__all__ = ["NAMES", "SUFFIXES", "Imported", "Request", "read"]

_FOUND = modules(sys.modules[__name__])
NAMES, _MODULES = tuple(_FOUND), list(_FOUND.values())
SUFFIXES = tuple(sorted({suffix for module in _MODULES for suffix in module.SUFFIXES}))
PICKLES = (".pkl", ".pickle", ".joblib")


def read(request: Request) -> Imported:
    """Import the file of `request` with the importer that its suffix names."""
    suffix = request.path.suffix.lower()
    if suffix in PICKLES:
        raise FileError(
            "is a pickle, which runs code when it is loaded: never read here",
            where=request.path,
            fix="see docs/import.md",
        )
    readers = [module for module in _MODULES if suffix in module.SUFFIXES]
    if not readers:
        told = suffix or "a file without suffix"
        raise FileError(f"no importer reads {told}", where=request.path, fix=f"known are {', '.join(SUFFIXES)}")
    if request.joint_targets and suffix != ".onnx":
        raise FileError("only the metadata of an ONNX file tell joint targets", where=request.path)
    try:
        chosen = next((module for module in readers[:-1] if module.claims(request.path)), readers[-1])
        imported: Imported = chosen.read(request)
        return imported
    except TinyctlError as error:
        if str(error).startswith(str(request.path)):
            raise
        raise type(error)(str(error), where=request.path) from None
