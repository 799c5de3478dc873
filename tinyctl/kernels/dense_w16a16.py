"""Dense, int16: four rows and two columns at a time, for instructions that add two products to a sum."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, pack_rows
from tinyctl.layers.dense import IntegerDense

SIZES = (4, 1)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int16")
    tables = (
        Table("int16_t", "weight", pack_rows(layer.weight, SIZES, columns=2)),
        Table("int32_t", "bias", layer.bias),
        Table("int32_t", "multiplier", layer.multiplier),
    )
    blocks = layer.n_out // 4
    helpers = ("saturate_a16", "requantize_a16", *(("rows4_w16a16",) if blocks else ()))
    return Kernel(tables, {"blocks": blocks, "n_pairs": (layer.n_in + 1) // 2}, helpers=helpers)
