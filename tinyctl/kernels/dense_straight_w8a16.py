"""Dense as straight-line code, int8 weights: as in w16a16, with more weights whose move takes two bytes."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, check_weight
from tinyctl.kernels.dense_straight_w16a16 import straight_lines
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int8")
    return straight_lines(layer, "a16", "requantize")
