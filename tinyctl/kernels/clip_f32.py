"""Clip to a range by columns: what screens, which also clamps."""

import numpy as np

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel, Table, limit_runs, spans_zero
from tinyctl.layers.clip import Clip


def kernel(layer: Clip, contract: Contract) -> Kernel:
    limits = limit_runs(np.stack([layer.low, layer.high, layer.low], axis=1))  # the third is not used: all is finite
    screen = "screen" if spans_zero(layer.low, layer.high) else "screen_any"
    return Kernel(
        (Table("uint32_t", "limits", limits),), {"screen": screen, "limits": limits.size}, helpers=("bits", screen)
    )
