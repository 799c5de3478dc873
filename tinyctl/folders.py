"""Parts that are found by listing a folder: a new layer, format, kernel or command is a new file and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules(package: ModuleType) -> dict[str, ModuleType]:
    """Every module of a package by its file name, in order; `base` and subpackages hold what they share."""
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "base" and not m.ispkg)
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}
