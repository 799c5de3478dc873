"""Encode: float32 to int8 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, pack_columns
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    return Kernel((pack_columns(layer.gain, layer.offset),), helpers=("bits", "saturate_a8", "encode_a8"))
