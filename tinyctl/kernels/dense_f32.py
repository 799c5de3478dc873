"""Dense, float32: sixteen rows at a time, then four, then one, so that an input is loaded once for independent sums."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_rows, row_blocks
from tinyctl.layers.dense import Dense

SIZES = (16, 4, 1)


def kernel(layer: Dense, contract: Contract) -> Kernel:
    tables = (Table("float", "weight", pack_rows(layer.weight, SIZES)), Table("float", "bias", layer.bias))
    blocks = [b for b in row_blocks(layer.n_out, SIZES) if b[0] > 1]
    calls = [(rows, first, count, first * layer.n_in) for rows, first, count in blocks]
    single = sum(rows * count for rows, _, count in blocks)
    return Kernel(tables, {"blocks": calls, "single": single}, helpers=tuple(f"rows{b[0]}_f32" for b in blocks))
