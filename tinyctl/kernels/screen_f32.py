"""Screen: non-finite to `on_nan`, everything else into the contract's range; fills the applied_action columns."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, limit_runs, spans_zero
from tinyctl.layers.screen import Screen


def kernel(layer: Screen, contract: Contract) -> Kernel:
    columns = np.stack([layer.low, layer.high, layer.on_nan], axis=1)
    tables = [Table("uint32_t", "limits", limit_runs(columns[: contract.n_obs]))]
    if contract.applied_outputs:
        tables.append(Table("uint32_t", "applied_limits", limit_runs(columns[contract.n_obs :])))
        tables.append(Table("uint16_t", "applied", np.array(contract.applied_outputs)))
    screen = "screen" if spans_zero(layer.low, layer.high) else "screen_any"
    return Kernel(tuple(tables), {"n_obs": contract.n_obs, "screen": screen}, helpers=("bits", "screen_any", screen))
