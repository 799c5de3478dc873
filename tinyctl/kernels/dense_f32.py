"""Dense, float32: four rows at a time, so that an input is loaded once for four independent sums."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_rows, row_groups
from tinyctl.layers.dense import Dense

ROWS = 4


def kernel(layer: Dense, contract: Contract) -> Kernel:
    tables = (Table("float", "weight", pack_rows(layer.weight, ROWS)), Table("float", "bias", layer.bias))
    return Kernel(tables, {"groups": row_groups(layer.n_out, ROWS)})
