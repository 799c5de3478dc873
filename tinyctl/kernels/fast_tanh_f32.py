"""The rational tanh of rl-tools, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.fast_tanh import CLAMP, LINEAR, FastTanh


def kernel(layer: FastTanh, contract: Contract) -> Kernel:
    return Kernel(values={"clamp": CLAMP, "linear": LINEAR}, helpers=("bits",))
