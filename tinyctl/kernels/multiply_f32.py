"""Multiply, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.multiply import Multiply


def kernel(layer: Multiply, contract: Contract) -> Kernel:
    return Kernel()
