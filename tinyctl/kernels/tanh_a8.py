"""Tanh, int8: one table for all nodes of a unit."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.tanh import ByteTanh, byte_table


def kernel(layer: ByteTanh, contract: Contract) -> Kernel:
    return Kernel(values={"values": "tanh8"}, shared=(Table("int8_t", "tanh8", byte_table()),))
