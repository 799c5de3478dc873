"""Dense, int16: five or four rows and two columns at a time, for instructions that add two products to a sum."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, pack_affine, pack_rows, row_blocks
from tinyctl.layers.dense import IntegerDense

SIZES = (5, 4, 1)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int16")
    tables = (
        Table("int16_t", "weight", pack_rows(layer.weight, SIZES, columns=2)),
        pack_affine(layer, SIZES),
    )
    blocks = [b for b in row_blocks(layer.n_out, SIZES) if b[0] > 1]
    single = sum(rows * count for rows, _, count in blocks)
    helpers = ("saturate_a16", "requantize_a16", *(f"rows{rows}_w16a16" for rows, _, _ in blocks))
    return Kernel(tables, {"blocks": blocks, "single": single, "n_pairs": (layer.n_in + 1) // 2}, helpers=helpers)
