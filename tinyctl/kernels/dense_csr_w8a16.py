"""Dense in compressed rows, int8 weights and int16 activations."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, check_weight
from tinyctl.kernels.dense_csr_w16a16 import integer_rows
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int8")
    return integer_rows(layer, "a16", "requantize")
