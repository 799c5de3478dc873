"""Leaky ReLU, float32."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.leaky_relu import LeakyRelu


def kernel(layer: LeakyRelu, contract: Contract) -> Kernel:
    return Kernel(values={"slope": np.float32(layer.slope)}, helpers=("bits",))
