"""Concat, float32."""

from itertools import accumulate

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.concat import Concat


def kernel(layer: Concat, contract: Contract) -> Kernel:
    firsts = accumulate((0, *layer.parts))
    return Kernel(values={"parts": list(zip(firsts, layer.parts, strict=False))})
