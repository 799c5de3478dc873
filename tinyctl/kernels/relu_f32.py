"""ReLU, float32."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.relu import Relu


def kernel(layer: Relu, contract: Contract) -> Kernel:
    return Kernel(helpers=("bits", "relu_f32"))
