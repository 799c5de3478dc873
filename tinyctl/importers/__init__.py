"""Importers, found by listing this folder: each file has `SUFFIXES` and `read(request) -> Imported`."""

from __future__ import annotations

import importlib
import pkgutil

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import Imported, Request

__all__ = ["Imported", "Request", "read", "suffixes"]

NAMES = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base"))
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
    for name in NAMES:
        module = importlib.import_module(f"{__name__}.{name}")
        if suffix in module.SUFFIXES:
            try:
                imported: Imported = module.read(request)
                return imported
            except TinyctlError as error:
                if str(error).startswith(str(request.path)):
                    raise
                raise type(error)(str(error), where=request.path) from None
    raise FileError(f"no importer reads {suffix or 'a file without suffix'}", where=request.path, fix=suffixes())


def suffixes() -> str:
    """The suffixes that are read, for people."""
    found = [s for name in NAMES for s in importlib.import_module(f"{__name__}.{name}").SUFFIXES]
    return f"known are {', '.join(sorted(set(found)))}"
