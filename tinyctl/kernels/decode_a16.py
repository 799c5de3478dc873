"""Decode: int16 to float32; a literal where all columns have one scale."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.convert import Decode


def kernel(layer: Decode, contract: Contract) -> Kernel:
    return decode_kernel(layer, "decode", "decode_a16")


def decode_kernel(layer: Decode, function: str, helper: str) -> Kernel:
    """Through the helper where one scale serves all columns."""
    if len(np.unique(layer.scale)) == 1:
        return Kernel(values={"scale": layer.scale[0], "decode": function}, helpers=(helper,))
    return Kernel((Table("float", "scale", layer.scale),), {"scale": None})
