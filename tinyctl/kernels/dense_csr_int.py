"""Dense in compressed rows, integers of any width."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.kernels.dense_csr_f32 import C_NAMES, compressed_rows
from tinyctl.layers.dense import IntegerDense


def kernel(layer: IntegerDense, contract: Contract) -> Kernel:
    weight, column, count = compressed_rows(layer)
    rest = Table("int32_t", "bias", layer.bias), Table("int32_t", "multiplier", layer.multiplier)
    narrow = layer.activation == "int8"
    values = {
        "weight_type": weight.ctype,
        "column_type": column.ctype,
        "activation_type": C_NAMES[layer.activation],
        "requantize": "requantize8" if narrow else "requantize",
    }
    helpers = ("saturate_a8", "requantize_a8") if narrow else ("saturate_a16", "requantize_a16")
    return Kernel((weight, column, count, *rest), values, helpers=helpers)
