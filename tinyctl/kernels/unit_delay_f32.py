"""Unit delay, float32: a function that recalls, and one for the end of the step that keeps."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.unit_delay import UnitDelay


def kernel(layer: UnitDelay, contract: Contract) -> Kernel:
    return Kernel((Table("float", "limit", layer.limit),))
