"""Encode: float32 to int8 by columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    return Kernel(
        (Table("float", "affine", np.stack([layer.gain, layer.offset], axis=1)),),
        helpers=("bits", "saturate_a8", "encode_a8"),
    )
