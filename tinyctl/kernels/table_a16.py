"""A function of int16 values as 512 segments; nodes with the same table share it."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, content_name
from tinyctl.layers.base import Array
from tinyctl.layers.table import IntegerTable


def kernel(layer: IntegerTable, contract: Contract) -> Kernel:
    return segment_kernel(content_name("segment", layer.start, layer.rise), layer.start, layer.rise, layer.width)


def segment_kernel(name: str, start: Array, rise: Array, width: int) -> Kernel:
    """Start and rise share a word of the table."""
    low, high = (half.astype(np.uint16).astype(np.uint32) for half in (start, rise))
    table = Table("uint32_t", name, low | high << 16)
    return Kernel(values={"segments": name, "pairs": (width + 1) // 2}, shared=(table,), helpers=("table_a16",))
