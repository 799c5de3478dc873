"""Dense, int16: four rows and two columns at a time, for instructions that add two products to a sum."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_rows, row_groups
from tinyctl.layers.dense import IntegerDense

ROWS, UNROLL = 4, 4  # measured: other blocks gain under 3 % and cost flash


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    tables = (
        Table("int16_t", "weight", pack_rows(layer.weight, ROWS, columns=2)),
        Table("int32_t", "bias", layer.bias),
        Table("int32_t", "multiplier", layer.multiplier),
    )
    values = {"groups": row_groups(layer.n_out, ROWS), "n_pairs": (layer.n_in + 1) // 2, "unroll": UNROLL}
    return Kernel(tables, values, helpers=("saturate_a16", "dual_mac", "requantize_a16"))
