"""Products, integers: straight-line code, the multipliers are literals."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, saturate_helper
from tinyctl.kernels.products_f32 import factors
from tinyctl.layers.products import IntegerProducts


def kernel(layer: IntegerProducts, contract: Contract) -> Kernel:
    terms = [(*pair, multiplier) for pair, multiplier in zip(factors(layer), layer.multiplier, strict=True)]
    return Kernel((), {"terms": terms}, helpers=("integers", saturate_helper(layer.activation)))
