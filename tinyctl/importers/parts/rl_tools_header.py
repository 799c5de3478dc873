"""The C++ headers that rl-tools writes as checkpoints, read as text: namespaces and the arrays in them.

Never compiled. A header is a nest of namespaces; `memory[] = {..}` are the bytes (little endian) of a float array
whose shape a `Specification` or `Shape` in the same namespace tells, `ActivationFunction::X` stands in the layer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS
from tinyctl.layers.base import Array

MAX_DEPTH = 64
TOKEN = re.compile(
    r"namespace\s+(?P<names>[A-Za-z_][\w:]{0,200})\s*\{"
    r"|alignas\((?P<type>\w{1,20})\)\s*const\s+unsigned\s+char\s+memory\[\]\s*=\s*\{(?P<bytes>[\d,\s]*)\}"
    r"|matrix::Specification<\s*\w+\s*,[\w\s:]{1,60},\s*(?P<rows>\d{1,9})\s*,\s*(?P<columns>\d{1,9})\b"
    r"|tensor::Shape<[\w\s:]{1,60}(?P<shape>(?:,\s*\d{1,9}\s*){1,8})>"
    r"|ActivationFunction::(?P<activation>\w{1,40})"
    r"|layers::(?P<layer>\w{1,40})::"
    r"|(?P<open>\{)|(?P<close>\})"
)


@dataclass
class Namespace:
    """What stands directly in one namespace."""

    memory: bytes | None = None
    type: str = "float"
    shape: tuple[int, ...] | None = None
    activation: str | None = None
    layers: set[str] = field(default_factory=set)

    def array(self, where: str) -> Array:
        """The array, float64; raises `TinyctlError` when bytes and shape disagree."""
        if self.type not in ("float", "double") or self.memory is None or self.shape is None:
            raise TinyctlError("has no float array", where=where)
        dtype = np.dtype("<f4" if self.type == "float" else "<f8")
        if prod(self.shape) > MAX_ELEMENTS or prod(self.shape) * dtype.itemsize != len(self.memory):
            raise TinyctlError(f"{len(self.memory)} bytes are not an array of shape {self.shape!s:.60}", where=where)
        with np.errstate(invalid="ignore"):  # a signalling NaN
            return np.frombuffer(self.memory, dtype).reshape(self.shape).astype(np.float64)


def parse_header(text: str) -> dict[tuple[str, ...], Namespace]:
    """Namespaces by their path, in the order in which they are first opened."""
    found: dict[tuple[str, ...], Namespace] = {}
    stack: list[tuple[str, ...]] = []  # the names each open brace adds
    for token in TOKEN.finditer(text):
        if token["names"] or token["open"]:
            stack.append(tuple(n for n in token["names"].split("::") if n) if token["names"] else ())
            if len(stack) > MAX_DEPTH:
                raise TinyctlError("namespaces or braces are nested too deep")
        elif token["close"]:
            if not stack:
                raise TinyctlError("a brace is closed that was not opened")
            stack.pop()
            continue
        path = tuple(name for names in stack for name in names)
        here = found.setdefault(path, Namespace())
        if token["bytes"] is not None:
            here.memory, here.type = _bytes(token["bytes"], path), token["type"]
        elif token["rows"]:
            here.shape = (int(token["rows"]), int(token["columns"]))
        elif token["shape"] and here.memory is not None:
            here.shape = tuple(int(n) for n in token["shape"].split(",") if n.strip())
        elif token["activation"] and here.activation is None:
            here.activation = token["activation"]
        elif token["layer"]:
            here.layers.add(token["layer"])
    return found


def _bytes(text: str, path: tuple[str, ...]) -> bytes:
    try:
        return bytes(int(word) for word in text.split(",") if word.strip())
    except ValueError:
        raise TinyctlError("memory is not a list of bytes", where="::".join(path)[-80:]) from None
