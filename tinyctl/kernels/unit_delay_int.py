"""Unit delay, integers: a function that recalls, and one for the end of the step that keeps."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.unit_delay import IntegerUnitDelay


def kernel(layer: IntegerUnitDelay, contract: Contract) -> Kernel:
    return Kernel(helpers=("integers",))
