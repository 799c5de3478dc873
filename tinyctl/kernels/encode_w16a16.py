"""Encode: float32 to int16 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_columns
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    by = "affine" if layer.offset.any() else "gain"  # adding 0 cannot change what is encoded
    table = Table("float", by, pack_columns(layer.gain, layer.offset) if by == "affine" else pack_columns(layer.gain))
    return Kernel((table,), {"by": by}, helpers=("bits", "saturate_a16", "encode_a16", f"encode_{by}_a16"))
