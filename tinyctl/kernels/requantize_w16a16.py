"""Requantize to int16: one product, one sum, one shift by columns; literals where all columns are alike."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.convert import Requantize


def kernel(layer: Requantize, contract: Contract) -> Kernel:
    numbers = {"weight": layer.weight, "offset": layer.offset, "shift": layer.shift}
    alike = all(len(np.unique(column)) == 1 for column in numbers.values())
    tables = [Table(f"{column.dtype}_t", name, column) for name, column in numbers.items()]
    values = {"alike": alike, "reads": f"{layer.source}_t", **{name: column[0] for name, column in numbers.items()}}
    return Kernel(() if alike else tuple(tables), values, helpers=("saturate_a16",))
