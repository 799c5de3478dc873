"""Dense as straight-line code, float32: the weights that are not zero are read as one stream.

Sixteen rows have a register each for their sum, four columns one for their input. Four products are made before they
are added, because a result that is used at once costs a cycle.
"""

from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.base import Array
from tinyctl.layers.dense import Dense

ROWS = 16
COLUMNS = 4


def kernel(layer: Dense, contract: Contract) -> Kernel:
    blocks = []
    stream = np.zeros(0, np.float32)
    for first in range(0, layer.n_out, ROWS):
        block, values = _block(layer.weight[first : first + ROWS])
        blocks.append({"first": first, "weights": len(stream), **block})
        stream = np.concatenate([stream, values])
    tables = (
        Table("float", "weight", stream if len(stream) else np.zeros(1, np.float32)),
        Table("float", "bias", layer.bias),
    )
    return Kernel(tables, {"blocks": blocks})


def _block(weight: Array) -> tuple[dict[str, Any], Array]:
    """A block of rows for the template: groups of columns, each with its batches of (row, column) terms."""
    groups, values = [], []
    for start in range(0, weight.shape[1], COLUMNS):
        columns = weight[:, start : start + COLUMNS]
        terms = [(int(row), int(column)) for column, row in np.argwhere(columns.T)]
        batches = [terms[k : k + 4] for k in range(0, len(terms), 4)]
        loads = [(_registers(20, len(batch)), batch) for batch in batches]
        groups.append({"start": start, "inputs": _registers(16, columns.shape[1]), "batches": loads})
        values += [columns[row, column] for row, column in terms]
    block = {"rows": len(weight), "sums": _registers(0, len(weight)), "groups": groups}
    return block, np.array(values, np.float32)


def _registers(first: int, count: int) -> str:
    return f"s{first}-s{first + count - 1}" if count > 1 else f"s{first}"
