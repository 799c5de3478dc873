"""Table, int8: the value of each input."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.table import ByteTable


def kernel(layer: ByteTable, contract: Contract) -> Kernel:
    return Kernel((Table("int8_t", "value", layer.values),))
