"""Integral, integers: clamped sum over time with a state of 32 bits, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, saturate_helper
from tinyctl.layers.integral import FULL, IntegerIntegral


def kernel(layer: IntegerIntegral, contract: Contract) -> Kernel:
    tables = (Table("uint16_t", "column", np.array(layer.columns)), Table("int32_t", "gain", layer.gain))
    values = {"widen": 2 ** (32 - layer.bits), "full": FULL, "shift": layer.shift, "half": 2 ** (layer.shift - 1)}
    return Kernel(tables, values, helpers=("integers", saturate_helper(layer.activation)))
