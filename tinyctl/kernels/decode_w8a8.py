"""Decode: int8 to float32."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.convert import Decode


def kernel(layer: Decode, contract: Contract) -> Kernel:
    return Kernel(values={"scale": np.float32(layer.scale)}, helpers=("decode_a8",))
