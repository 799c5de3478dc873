"""Scale: gain and offset by columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.scale import Scale


def kernel(layer: Scale, contract: Contract) -> Kernel:
    return Kernel((Table("float", "affine", np.stack([layer.gain, layer.offset], axis=1)),))
