"""Encode: float32 to int8 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, encode_table
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    table = encode_table(layer.gain, layer.offset)
    helpers = ("bits", "saturate_a8", "encode_a8", f"encode_{table.name}_a8")
    return Kernel((table,), {"by": table.name}, helpers=helpers)
