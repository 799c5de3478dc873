"""Dense, int8: as with int16 activations, which are made of each four bytes: columns 0 and 2, 1 and 3."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.kernels.dense_w8a16 import packed_kernel
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    return packed_kernel(layer, "a8", "requantize8", order=(0, 2, 1, 3))
