"""Scale: gain and offset by columns."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, pack_columns
from tinyctl.layers.scale import Scale


def kernel(layer: Scale, contract: Contract) -> Kernel:
    return Kernel((Table("float", "affine", pack_columns(layer.gain, layer.offset)),), helpers=("scale_f32",))
