"""A function of int16 values as 512 segments; nodes with the same table share it."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, content_name
from tinyctl.layers.base import Array
from tinyctl.layers.table import IntegerTable


def kernel(layer: IntegerTable, contract: Contract) -> Kernel:
    return segment_kernel(content_name("segment", layer.start, layer.rise), layer.start, layer.rise)


def segment_kernel(name: str, start: Array, rise: Array) -> Kernel:
    """A segment in one word, as the line through it: `start * 2^7 + rise * rest` is `intercept * 2^7 + rise * x`.

    The place within the segment need not be known then. An intercept may leave 16 bits, the result does not: its bits
    are the same whatever is lost above.
    """
    start, rise = start.astype(np.int32), rise.astype(np.int32)
    intercept = start - rise * (np.arange(len(rise)) - len(rise) // 2)
    table = Table("uint32_t", name, ((intercept & 0xFFFF) | rise << 16).astype(np.uint32))
    return Kernel(values={"segments": name}, shared=(table,), helpers=("table_a16",))
