"""Bend, int16: the multiplier above zero, and what is added to it below."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.bend import UNIT, IntegerBend


def kernel(layer: IntegerBend, contract: Contract) -> Kernel:
    tables = [Table("int32_t", "bias", layer.bias), Table("int32_t", "above", layer.above)]
    bends = bool((layer.below != layer.above).any())
    if bends:
        tables.append(Table("int32_t", "change", np.subtract(layer.below, layer.above)))
    return Kernel(tuple(tables), {"step": UNIT, "bends": bends}, helpers=("saturate_a16", "requantize_a16"))
