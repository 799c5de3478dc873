"""History: a ring of past values, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.history import History


def kernel(layer: History, contract: Contract) -> Kernel:
    columns = Table("uint16_t", "column", np.array(layer.columns))
    return Kernel((columns, Table("float", "share", layer.shares())), {"depth": layer.depth, "every": layer.every})
