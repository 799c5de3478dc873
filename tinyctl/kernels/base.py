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
    the unit (named `UNIT_name`), and the helper functions of `codegen/math` that it calls."""

    tables: tuple[Table, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    shared: tuple[Table, ...] = ()
    helpers: tuple[str, ...] = ()


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
    """(size, first row, blocks of that size): the rows in as few blocks as can be; the sizes fall, the last is 1."""
    fewest = [0]
    for n in range(1, n_rows + 1):
        fewest.append(1 + min(fewest[n - size] for size in sizes if size <= n))
    found, first = [], 0
    for size in sizes:
        count, left = 0, n_rows - first
        while left >= size and fewest[left - size] < fewest[left]:
            count, left = count + 1, left - size
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


def half_words(weight: NDArray[Any], columns: int) -> NDArray[Any]:
    """(n_out, words) uint32: two columns of int16 a word, the first one lower.

    `n_in` is padded with zeros to a multiple of `columns`.
    """
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % columns))).view(np.uint16).astype(np.uint32)
    return padded[:, 0::2] | padded[:, 1::2] << 16


def pack_columns(*numbers: NDArray[Any]) -> NDArray[Any]:
    """The numbers of each column, four columns at a time: their first ones, then their second ones."""
    stacked = np.stack(numbers, axis=1)
    return pack_rows(np.pad(stacked, ((0, -len(stacked) % 4), (0, 0))), (4, 1))


def encode_table(gain: NDArray[Any], offset: NDArray[Any]) -> Table:
    """As few numbers as will do: adding 0 cannot change what is encoded, and one gain may serve all columns."""
    if offset.any():
        return Table("float", "affine", pack_columns(gain, offset))
    alike = len(np.unique(gain)) == 1
    return Table("float", "gain", gain[:1]) if alike else Table("float", "gains", pack_columns(gain))


def limit_runs(columns: NDArray[Any]) -> NDArray[Any]:
    """uint32: runs of equal rows of `columns` (n, k) float32, as their number and their bits; then 0."""
    bits = columns.view(np.uint32)
    starts = np.flatnonzero(np.r_[True, (bits[1:] != bits[:-1]).any(axis=1)][: len(bits)])
    lengths = np.diff(np.append(starts, len(bits))).astype(np.uint32)
    return np.append(np.column_stack([lengths, bits[starts]]), np.uint32(0))


def spans_zero(low: NDArray[Any], high: NDArray[Any]) -> bool:
    """Whether all columns can be clamped by their bits. With -0.0 as an upper end the order of the bits is not that of
    the floats."""
    return bool(((low < 0) & (high >= 0) & ~np.signbit(high)).all())
