"""Leaky ReLU, integers."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.leaky_relu import IntegerLeakyRelu


def kernel(layer: IntegerLeakyRelu, contract: Contract) -> Kernel:
    return Kernel(values={"slope": layer.slope})
