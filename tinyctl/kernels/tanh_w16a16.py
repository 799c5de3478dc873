"""Tanh, int16: the table of `tinyctl.layers.tanh`, shared by all nodes of a unit."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.tanh import IntegerTanh, tanh_table


def kernel(layer: IntegerTanh, contract: Contract) -> Kernel:
    start, rise = (half.astype(np.uint16).astype(np.uint32) for half in tanh_table())
    shared = Table("uint32_t", "tanh_segment", start | rise << 16)
    return Kernel(shared=(shared,), helpers=("tanh_w16a16",))
