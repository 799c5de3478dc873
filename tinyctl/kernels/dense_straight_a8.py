"""Dense as straight-line code, int8 activations, in C: a byte has to be loaded by itself, and assembly gains little."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.kernels.dense_straight_a16 import straight_lines
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    return straight_lines(layer, "a8", "requantize8")
