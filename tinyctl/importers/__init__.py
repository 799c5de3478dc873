"""Importers, found by listing this folder: each file has `SUFFIXES` and `read(request) -> Imported`."""

from __future__ import annotations

import importlib
import pkgutil

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import Imported, Request

__all__ = ["NAMES", "SUFFIXES", "Imported", "Request", "read"]

NAMES = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base"))
_MODULES = [importlib.import_module(f"{__name__}.{name}") for name in NAMES]
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
    for module in _MODULES:
        if suffix in module.SUFFIXES:
            try:
                imported: Imported = module.read(request)
                return imported
            except TinyctlError as error:
                if str(error).startswith(str(request.path)):
                    raise
                raise type(error)(str(error), where=request.path) from None
    raise FileError(
        f"no importer reads {suffix or 'a file without suffix'}",
        where=request.path,
        fix=f"known are {', '.join(SUFFIXES)}",
    )
