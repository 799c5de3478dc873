"""Tanh, float32: the rational of `tinyctl.layers.tanh`."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.tanh import Tanh


def kernel(layer: Tanh, contract: Contract) -> Kernel:
    return Kernel(helpers=("bits", "tanh_f32", "tanh_columns_f32"))
