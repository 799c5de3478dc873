"""Dense in compressed rows, int16."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, check_weight
from tinyctl.kernels.dense_csr_f32 import C_NAMES, compressed_rows
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    check_weight(layer.weight, "int16")
    return integer_rows(layer, "a16", "requantize")


def integer_rows(layer: IntegerDense, activation: str, requantize: str) -> Kernel:
    """The compressed rows, and what turns their sums into results: helpers for an activation, one of them called."""
    weight, column, count = compressed_rows(layer)
    rest = Table("int32_t", "bias", layer.bias), Table("int32_t", "multiplier", layer.multiplier)
    values = {
        "weight_type": weight.ctype,
        "column_type": column.ctype,
        "activation_type": C_NAMES[layer.activation],
        "requantize": requantize,
    }
    helpers = (f"saturate_{activation}", f"requantize_{activation}")
    return Kernel((weight, column, count, *rest), values, helpers=helpers)
