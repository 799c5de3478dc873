"""Diagonal recurrence: the factors, real and imaginary part in turn."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.diagonal import Diagonal


def kernel(layer: Diagonal, contract: Contract) -> Kernel:
    return Kernel((Table("float", "factor", np.stack([layer.re, layer.im], axis=1).ravel()),))
