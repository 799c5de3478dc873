"""Softsign, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.softsign import LINEAR, Softsign


def kernel(layer: Softsign, contract: Contract) -> Kernel:
    return Kernel(values={"linear": LINEAR}, helpers=("bits",))
