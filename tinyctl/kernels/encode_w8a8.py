"""Encode: float32 to int8 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_columns
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    by = "affine" if layer.offset.any() else "gain"  # adding 0 cannot change what is encoded
    table = Table("float", by, pack_columns(layer.gain, layer.offset) if by == "affine" else pack_columns(layer.gain))
    return Kernel((table,), {"by": by}, helpers=("bits", "saturate_a8", "encode_a8", f"encode_{by}_a8"))
