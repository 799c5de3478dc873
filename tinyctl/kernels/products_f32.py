"""Products, float32: straight-line code without tables."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.products import Products


def kernel(layer: Products, contract: Contract) -> Kernel:
    return Kernel((), {"pairs": layer.pairs})
