"""Clip to a range by columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.clip import Clip


def kernel(layer: Clip, contract: Contract) -> Kernel:
    return Kernel((Table("float", "limits", np.stack([layer.low, layer.high], axis=1)),), helpers=("bits",))
