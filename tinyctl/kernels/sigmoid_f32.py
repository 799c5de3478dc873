"""Sigmoid, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.sigmoid import Sigmoid


def kernel(layer: Sigmoid, contract: Contract) -> Kernel:
    return Kernel(helpers=("bits", "tanh_f32"))
