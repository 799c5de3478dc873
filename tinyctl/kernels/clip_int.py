"""Clip to a range by columns, integers."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.clip import Clip


def kernel(layer: Clip, contract: Contract) -> Kernel:
    limits = Table(f"{layer.low.dtype}_t", "limits", np.stack([layer.low, layer.high], axis=1))
    return Kernel((limits,), helpers=("integers",))
