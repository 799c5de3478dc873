"""Encode: float32 to int16 by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, pack_columns
from tinyctl.layers.convert import Encode


def kernel(layer: Encode, contract: Contract) -> Kernel:
    return Kernel((pack_columns(layer.gain, layer.offset),), helpers=("bits", "saturate_a16", "encode_a16"))
