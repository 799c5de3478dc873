"""ELU, float32."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.elu import LINEAR, Elu


def kernel(layer: Elu, contract: Contract) -> Kernel:
    return Kernel(values={"alpha": np.float32(layer.alpha), "linear": LINEAR}, helpers=("bits", "tanh_f32"))
