"""Tanh, int16: the table of `tinyctl.layers.tanh`, shared by all nodes of a unit.

Start and rise of a segment are written as the line through it, `intercept * 2^7 + rise * x`: the same number, and the
place within the segment need not be known.
"""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.tanh import SEGMENT_BITS, IntegerTanh, tanh_table


def kernel(layer: IntegerTanh, contract: Contract) -> Kernel:
    start, rise = (half.astype(np.int32) for half in tanh_table())
    intercept = start - rise * (np.arange(len(rise)) - 2 ** (15 - SEGMENT_BITS))
    words = (intercept & 0xFFFF) | rise << 16
    return Kernel(shared=(Table("uint32_t", "tanh_segment", words.astype(np.uint32)),), helpers=("tanh_w16a16",))
