"""Dense, int8 weights and int16 activations: two rows share a word of 16 bits, 256 times the second plus the first.

A dual multiply-add of that word gives both rows' products in one sum, one of its lower bytes gives the first row's
alone: four products for two instructions and one that extends bytes.
"""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, half_words, pack_rows
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int8")
    blocks = layer.n_out // 4
    wide, rest = layer.weight[: 4 * blocks].astype(np.int16), layer.weight[4 * blocks :]
    affine = np.stack([layer.bias, layer.multiplier], axis=1)
    tables = []
    if blocks:
        ends = affine[: 4 * blocks].view(np.uint32).reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1, 4)
        stream = np.column_stack([half_words(wide[0::2] + 256 * wide[1::2], 4), ends])
        tables.append(Table("uint32_t", "weight", pack_rows(stream, (2, 1))))
    if len(rest):
        tables += [Table("int8_t", "weight_rest", rest), Table("int32_t", "affine", affine[4 * blocks :])]
    helpers = ("saturate_a16", "requantize_a16", *(("rows4_w8a16",) if blocks else ()))
    return Kernel(tuple(tables), {"blocks": blocks, "fours": (layer.n_in + 3) // 4}, helpers=helpers)
