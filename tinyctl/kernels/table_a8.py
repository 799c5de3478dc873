"""A function of int8 values, one result for each; nodes with the same table share it."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, content_name
from tinyctl.layers.table import ByteTable


def kernel(layer: ByteTable, contract: Contract) -> Kernel:
    name = content_name("values", layer.values)
    return Kernel(values={"values": name}, shared=(Table("int8_t", name, layer.values),))
