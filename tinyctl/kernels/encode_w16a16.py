"""Encode: float32 to int16 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, encode_table
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    table = encode_table(layer.gain, layer.offset)
    helpers = ("bits", "saturate_a16", "encode_a16", f"encode_{table.name}_a16")
    return Kernel((table,), {"by": table.name}, helpers=helpers)
