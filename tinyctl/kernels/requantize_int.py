"""Requantize: one product, one sum, one shift by columns; literals where all columns are alike."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, saturate_helper
from tinyctl.layers.convert import Requantize


def kernel(layer: Requantize, contract: Contract) -> Kernel:
    numbers = {"weight": layer.weight, "offset": layer.offset, "shift": layer.shift}
    alike = all(len(np.unique(column)) == 1 for column in numbers.values())
    tables = tuple(Table(f"{column.dtype}_t", name, column) for name, column in numbers.items())
    values = {"alike": alike, **{name: column[0] for name, column in numbers.items()}}
    return Kernel(() if alike else tables, values, helpers=(saturate_helper(layer.activation),))
