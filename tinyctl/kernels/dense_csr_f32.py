"""Dense in compressed rows, float32: of each row the weights that are not zero, and the columns they stand in."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.dense import Dense, IntegerDense

C_NAMES = {"float32": "float", "int16": "int16_t", "int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t"}


def kernel(layer: Dense, contract: Contract) -> Kernel:
    tables = compressed_rows(layer)
    return Kernel((*tables, Table("float", "bias", layer.bias)), {"column_type": tables[1].ctype})


def compressed_rows(layer: Dense | IntegerDense) -> tuple[Table, Table, Table]:
    """The weights by rows, the column of each, and how many each row has. C has no empty arrays: a layer of zeros gets
    an entry that nothing reads."""
    row, column = np.nonzero(layer.weight)
    count = np.bincount(row, minlength=layer.n_out)
    weight = layer.weight[row, column] if len(row) else np.zeros(1, layer.weight.dtype)
    narrow = "uint8" if layer.n_in <= 256 else "uint16"
    return (
        Table(C_NAMES[weight.dtype.name], "weight", weight),
        Table(C_NAMES[narrow], "column", (column if len(row) else np.zeros(1)).astype(narrow)),
        Table("uint16_t", "count", count.astype(np.uint16)),
    )
