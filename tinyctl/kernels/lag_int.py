"""Lag, integers: first-order filter with a state of 32 bits, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.lag import IntegerLag


def kernel(layer: IntegerLag, contract: Contract) -> Kernel:
    columns = Table("uint16_t", "column", np.array(layer.columns))
    values = {"multiplier": layer.multiplier(contract.rate_hz), "bits": layer.bits, "one": 2**layer.bits}
    return Kernel((columns,), {**values, "half": 2 ** (layer.bits - 1)}, helpers=("integers",))
