"""Screen: non-finite to `on_nan`, everything else into the contract's range; fills the applied_action columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table
from tinyctl.layers.screen import Screen


def kernel(layer: Screen, contract: Contract) -> Kernel:
    limits = np.stack([layer.low, layer.high, layer.on_nan], axis=1)  # one row a column, read as a stream
    tables = [Table("uint32_t", "limits", limits.view(np.uint32))]
    if contract.applied_outputs:
        tables.append(Table("uint16_t", "applied", np.array(contract.applied_outputs)))
    # With -0.0 as an upper end the order of the bits is not that of the floats.
    spans_zero = bool(((layer.low < 0) & (layer.high >= 0) & ~np.signbit(layer.high)).all())
    return Kernel(tuple(tables), {"n_obs": contract.n_obs, "spans_zero": spans_zero}, helpers=("bits",))
