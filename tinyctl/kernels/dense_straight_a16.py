"""Dense as straight-line code, int16 activations: every weight that is not zero is an immediate operand.

Code in flash is prefetched and tables are not, so where flash is slow an immediate comes faster than a table's entry.
Eight rows have a register each for their sum; two columns are loaded as one word.
"""

from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.dense import IntegerDense

REGISTERS = ("r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12")  # r7 may be the frame
ROWS = len(REGISTERS)


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    return straight_lines(layer, "a16", "requantize")


def straight_lines(layer: IntegerDense, activation: str, requantize: str) -> Kernel:
    """The rows in blocks, and the helpers that turn their sums into results, one of which is called."""
    blocks = [_block(layer, first) for first in range(0, layer.n_out, ROWS)]
    helpers = (f"saturate_{activation}", f"requantize_{activation}")
    return Kernel(values={"blocks": blocks, "requantize": requantize}, helpers=helpers)


def _block(layer: IntegerDense, first: int) -> dict[str, Any]:
    """Rows from `first` on: what each starts with and ends with, then the terms by the word that holds their input."""
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
    loads = []
    for start in range(0, layer.n_in, 2):
        pair = weight[:, start : start + 2]
        terms = [_term(int(pair[k, half]), int(k), start + int(half)) for half, k in np.argwhere(pair.T)]
        if terms:
            loads.append({"offset": 2 * start, "terms": terms})
    return {"first": first, "rows": rows, "loads": loads}


def _term(weight: int, k: int, column: int) -> dict[str, Any]:
    """One product: its weight is moved to a register, by two bytes of code where it has eight bits, else by four."""
    return {
        "sum": f"s{k}",
        "register": REGISTERS[k],
        "weight": weight,
        "column": column,
        "move": "movs" if 0 < weight < 256 else "movw",
        "half": weight % 2**16,
        "mac": "smlabt" if column % 2 else "smlabb",
    }


def _moves(value: int) -> list[tuple[str, int]]:
    """The instructions that put a number of 32 bits into a register."""
    high = value % 2**32 >> 16
    return [("movw", value % 2**16)] + ([("movt", high)] if high else [])
