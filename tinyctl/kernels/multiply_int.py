"""Multiply, integers: a product of two columns is requantized like a sum; a literal where all columns are alike."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, saturate_helper
from tinyctl.layers.multiply import IntegerMultiply


def kernel(layer: IntegerMultiply, contract: Contract) -> Kernel:
    helpers, multiplier = ("integers", saturate_helper(layer.activation)), layer.multiplier
    if (multiplier == multiplier[0]).all():
        return Kernel((), {"alike": True, "multiplier": multiplier[0]}, helpers=helpers)
    return Kernel((Table("int32_t", "multiplier", multiplier),), {"alike": False}, helpers=helpers)
