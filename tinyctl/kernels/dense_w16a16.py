"""Dense, int16: five or four rows and four columns at a time, for instructions that add two products to a sum."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, half_words, pack_rows, row_blocks
from tinyctl.layers.dense import IntegerDense

SIZES = (5, 4, 1)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int16")
    pairs = half_words(layer.weight, 2)
    stream = np.column_stack([layer.bias.view(np.uint32), pairs, layer.multiplier.view(np.uint32)])
    blocks = [b for b in row_blocks(layer.n_out, SIZES) if b[0] > 1]
    single = sum(rows * count for rows, _, count in blocks)
    return Kernel(
        (Table("uint32_t", "weight", pack_rows(stream, SIZES)),),
        {"blocks": blocks, "single": single, "n_pairs": pairs.shape[1]},
        helpers=("saturate_a16", "requantize_a16", *(f"rows{rows}_w16a16" for rows, _, _ in blocks)),
    )
