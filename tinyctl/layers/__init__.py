"""Layers, found by listing this folder: `LAYERS` maps the kind that files and kernels use to its class."""

from __future__ import annotations

import sys

from tinyctl.folders import modules
from tinyctl.layers.base import Layer

LAYERS: dict[str, type[Layer]] = {
    found.kind: found
    for module in modules(sys.modules[__name__]).values()
    for found in vars(module).values()
    if isinstance(found, type)
    and issubclass(found, Layer)
    and found.__module__ == module.__name__
    and "kind" in vars(found)
}
