"""Dense, int8: four rows and four columns at a time."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, pack_rows
from tinyctl.layers.dense import IntegerDense

SIZES = (4, 1)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int8")
    tables = (
        Table("int8_t", "weight", pack_rows(layer.weight, SIZES, columns=4)),
        Table("int32_t", "bias", layer.bias),
        Table("int32_t", "multiplier", layer.multiplier),
    )
    blocks = layer.n_out // 4
    helpers = ("saturate_a8", "requantize_a8", *(("rows4_w8a8",) if blocks else ()))
    return Kernel(tables, {"blocks": blocks, "fours": (layer.n_in + 3) // 4}, helpers=helpers)
