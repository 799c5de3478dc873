"""Dense as straight-line code, integers: every weight that is not zero is an immediate operand.

Code in flash is prefetched and tables are not, so where flash is slow an immediate comes faster than a table's entry.
Eight rows have a register each for their sum; a word is loaded with the inputs of two columns, or of four, of which
then the even ones and the odd ones are spread over halves of a word.
"""

from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.kernels.dense_csr_f32 import C_NAMES
from tinyctl.layers.base import Array
from tinyctl.layers.dense import IntegerDense

REGISTERS = ("r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12")  # r7 may be the frame
ROWS = len(REGISTERS)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    narrow = layer.activation == "int8"
    values = {
        "activation_type": C_NAMES[layer.activation],
        "requantize": "requantize8" if narrow else "requantize",
        "bits": 8 if narrow else 16,
        "store": "strb" if narrow else "strh",
        "bytes": 1 if narrow else 2,
        "blocks": [_block(layer, first) for first in range(0, layer.n_out, ROWS)],
    }
    return Kernel(
        values=values, helpers=("saturate_a8", "requantize_a8") if narrow else ("saturate_a16", "requantize_a16")
    )


def _block(layer: IntegerDense, first: int) -> dict[str, Any]:
    """Rows from `first` on: what each starts and ends with, then the terms by the halves that hold their inputs."""
    weight = layer.weight[first : first + ROWS]
    rows = [
        {
            "sum": f"s{k}",
            "register": REGISTERS[k],
            "bias": int(layer.bias[first + k]),
            "bias_moves": _moves(int(layer.bias[first + k])),
            "multiplier": int(layer.multiplier[first + k]),
            "multiplier_moves": _moves(int(layer.multiplier[first + k])),
        }
        for k in range(len(weight))
    ]
    if layer.activation == "int16":
        loads = [_halves(weight, (j, j + 1), [f"ldr r3, [%[x], #{2 * j}]"]) for j in range(0, layer.n_in, 2)]
    else:
        loads = []
        for j in range(0, layer.n_in, 4):
            word = [f"ldr lr, [%[x], #{j}]"]
            even = _halves(weight, (j, j + 2), [*word, "sxtb16 r3, lr"])
            loads += [
                even,
                _halves(weight, (j + 1, j + 3), [*([] if even["terms"] else word), "sxtb16 r3, lr, ror #8"]),
            ]
    return {"first": first, "rows": rows, "loads": [load for load in loads if load["terms"]]}


def _halves(weight: Array, columns: tuple[int, int], lines: list[str]) -> dict[str, Any]:
    """The terms of two columns, whose inputs `lines` bring into the lower and the upper half of r3."""
    present = [
        (column, mac) for column, mac in zip(columns, ("smlabb", "smlabt"), strict=True) if column < weight.shape[1]
    ]
    terms = [
        {
            "sum": f"s{k}",
            "register": REGISTERS[k],
            "weight": int(weight[k, column]),
            "column": column,
            "move": "movs" if 0 < weight[k, column] < 256 else "movw",  # two bytes of code, or four
            "half": int(weight[k, column]) % 2**16,
            "mac": mac,
        }
        for column, mac in present
        for k in np.flatnonzero(weight[:, column])
    ]
    return {"lines": lines, "terms": terms}


def _moves(value: int) -> list[tuple[str, int]]:
    """The instructions that put a number of 32 bits into a register."""
    high = value % 2**32 >> 16
    return [("movw", value % 2**16)] + ([("movt", high)] if high else [])
