"""Decode: integers to float32; a literal where all columns have one scale."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.convert import Decode


def kernel(layer: Decode, contract: Contract) -> Kernel:
    if len(np.unique(layer.scale)) == 1:
        return Kernel(values={"scale": layer.scale[0]})
    return Kernel((Table("float", "scale", layer.scale),), {"scale": None})
