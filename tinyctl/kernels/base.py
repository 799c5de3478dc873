"""What a kernel file gives the emitter: the constants of one node, packed as its template reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def row_groups(n_rows: int, size: int) -> list[tuple[int, int, int]]:
    """(first, end, rows): loops over whole blocks of `size` rows, then over the rest, that cover `n_rows`."""
    whole = n_rows - n_rows % size
    loops = [(0, whole, size), (whole, n_rows, n_rows - whole)]
    return [loop for loop in loops if loop[2] and loop[0] < loop[1]]


def pack_rows(weight: NDArray[Any], size: int, columns: int = 1) -> NDArray[Any]:
    """Flatten (n_out, n_in) so that a block of rows reads one stream: by block, then `columns` at a time, then row.

    `n_in` is padded with zeros to a multiple of `columns`.
    """
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % columns)))
    return np.concatenate(
        [
            padded[row : row + rows].reshape(rows, -1, columns).swapaxes(0, 1).ravel()
            for first, end, rows in row_groups(len(weight), size)
            for row in range(first, end, rows)
        ]
    )
