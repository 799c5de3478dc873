"""Integral: clamped sum over time, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.integral import Integral


def kernel(layer: Integral, contract: Contract) -> Kernel:
    tables = (Table("uint16_t", "column", np.array(layer.columns)), Table("float", "limit", layer.limit))
    return Kernel(tables, {"period": layer.period(contract.rate_hz)})
