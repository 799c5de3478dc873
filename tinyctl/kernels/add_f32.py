"""Add, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.add import Add


def kernel(layer: Add, contract: Contract) -> Kernel:
    return Kernel()
