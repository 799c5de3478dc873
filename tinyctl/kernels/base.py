"""What a kernel file gives the emitter: the constants of one node, packed as its template reads them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyctl.errors import TinyctlError


@dataclass(frozen=True)
class Table:
    """A constant array `SYMBOL_name` of the C type `ctype`; `values` in the order of the file, any shape."""

    ctype: str
    name: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """One node's share of the C file: its constants, numbers for its template, constants it shares with other nodes of
    the unit (named `UNIT_name`), the helper functions of `codegen/math` that it calls, and whether its own template has
    assembly for an FPU."""

    tables: tuple[Table, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    shared: tuple[Table, ...] = ()
    helpers: tuple[str, ...] = ()
    fpu: bool = False


def check_weight(weight: NDArray[Any], dtype: str) -> None:
    """Raise `TinyctlError` unless the weights have the type of the kernel's format."""
    if weight.dtype != np.dtype(dtype):
        raise TinyctlError(f"weights are {weight.dtype}, but the node's format wants {dtype}")


def saturate_helper(activation: str) -> str:
    """The helper of `codegen/math` that saturates to an integer type."""
    return {"int8": "saturate_a8", "int16": "saturate_a16"}[activation]


def content_name(word: str, *arrays: NDArray[Any]) -> str:
    """A name for a constant that nodes may share: the same numbers, the same name."""
    return f"{word}_{zlib.crc32(b''.join(array.tobytes() for array in arrays)):08x}"


def row_blocks(n_rows: int, sizes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(size, first row, blocks of that size): the rows in blocks of the largest size first; the last size is 1."""
    found, first = [], 0
    for size in sizes:
        count = (n_rows - first) // size
        if count:
            found.append((size, first, count))
        first += count * size
    return found


def pack_rows(weight: NDArray[Any], sizes: tuple[int, ...], columns: int = 1) -> NDArray[Any]:
    """Flatten (n_out, n_in) so that a block of rows reads one stream: by block, then `columns` at a time, then row.

    `n_in` is padded with zeros to a multiple of `columns`.
    """
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % columns)))
    return np.concatenate(
        [
            padded[row : row + size].reshape(size, -1, columns).swapaxes(0, 1).ravel()
            for size, first, count in row_blocks(len(weight), sizes)
            for row in range(first, first + count * size, size)
        ]
    )
