"""Add, integers: each input times its weight; literals where all columns are alike."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, saturate_helper
from tinyctl.layers.add import IntegerAdd


def kernel(layer: IntegerAdd, contract: Contract) -> Kernel:
    helpers = (saturate_helper(layer.activation),)
    weight, shift = layer.weight.T, layer.shift
    if (weight == weight[0]).all() and (shift == shift[0]).all():
        values = {"weight_a": weight[0, 0], "weight_b": weight[0, 1], "half": layer.half[0], "shift": shift[0]}
        return Kernel((), {"alike": True, **values}, helpers=helpers)
    tables = (Table("int16_t", "weight", weight), Table("int8_t", "shift", shift))
    return Kernel(tables, {"alike": False}, helpers=helpers)
