"""Decode: int8 to float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.kernels.decode_a16 import decode_kernel
from tinyctl.layers.convert import Decode


def kernel(layer: Decode, contract: Contract) -> Kernel:
    return decode_kernel(layer, "decode8", "decode_a8")
