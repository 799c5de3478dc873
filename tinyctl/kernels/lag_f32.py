"""Lag: first-order filter, appended to the input."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.lag import Lag


def kernel(layer: Lag, contract: Contract) -> Kernel:
    columns = Table("uint16_t", "column", np.array(layer.columns))
    return Kernel((columns,), {"alpha": layer.alpha(contract.rate_hz)})
