"""Dense, int8 weights and int16 activations: two rows share a word of 16 bits, 256 times the second plus the first.

A dual multiply-add of that word gives both rows' products in one sum, one of its lower bytes gives the first row's
alone: four products for two instructions and one that extends bytes.
"""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight, half_words, pack_rows
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    return packed_kernel(layer, "a16", "requantize", order=(0, 1, 2, 3))


def packed_kernel(layer: IntegerDense, activation: str, requantize: str, order: tuple[int, ...]) -> Kernel:
    """`order`: the columns of a group of four as two words hold them."""
    check_weight(layer.weight, "int8")
    blocks = layer.n_out // 4
    wide, rest = layer.weight[: 4 * blocks].astype(np.int16), layer.weight[4 * blocks :]
    affine = np.stack([layer.bias, layer.multiplier], axis=1)
    tables = []
    if blocks:
        first, second = affine[: 4 * blocks : 2], affine[1 : 4 * blocks : 2]
        carried = second[:, :1].astype(np.int64) - (-first[:, :1].astype(np.int64) >> 8)
        wide = np.pad(wide, ((0, 0), (0, -layer.n_in % 4)))
        wide = wide.reshape(len(wide), -1, 4)[:, :, order].reshape(len(wide), -1)
        pairs = half_words(wide[0::2] + 256 * wide[1::2], 2)
        stream = [first[:, :1], pairs, carried, first[:, 1:], second[:, 1:]]
        words = np.concatenate([part.astype(np.uint32) for part in stream], axis=1)
        tables.append(Table("uint32_t", "weight", pack_rows(words, (2, 1))))
    if len(rest):
        tables += [Table("int8_t", "weight_rest", rest), Table("int32_t", "affine", affine[4 * blocks :])]
    rows = f"rows4_w8{activation}"
    values = {"blocks": blocks, "fours": (layer.n_in + 3) // 4, "rows": rows, "requantize": requantize}
    helpers = (f"saturate_{activation}", f"requantize_{activation}", *((rows,) if blocks else ()))
    return Kernel(tuple(tables), values, helpers=helpers)
