"""History, integers: a ring of past values, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.history import IntegerHistory


def kernel(layer: IntegerHistory, contract: Contract) -> Kernel:
    tables = (Table("uint16_t", "column", np.array(layer.columns)), Table("int32_t", "share", layer.shares()))
    return Kernel(tables, {"depth": layer.depth, "every": layer.every}, helpers=("integers",))
