"""Tanh, int16: one table for all nodes of a unit."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.kernels.table_a16 import segment_kernel
from tinyctl.layers.tanh import IntegerTanh, tanh_table


def kernel(layer: IntegerTanh, contract: Contract) -> Kernel:
    return segment_kernel("tanh_segment", *tanh_table())
