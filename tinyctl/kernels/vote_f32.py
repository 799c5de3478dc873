"""Vote, float32: one pass over a value's logits keeps the first, the second and the first one's centre."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.vote import Vote


def kernel(layer: Vote, contract: Contract) -> Kernel:
    values = {
        "bins": layer.bins,
        "lead": np.float32(layer.lead),
        "steep": np.float32(1 / layer.rise),
        "wide": np.float32(layer.bins / 2),
    }
    return Kernel((Table("float", "centre", layer.centres),), values, helpers=("bits",))
